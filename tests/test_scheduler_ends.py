"""How a run of the scheduler fails, stops, is interrupted or lacks threads."""

import contextlib
import gc
import signal
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from parallel.limiter import Limiter
from parallel.scheduler import Ended, Events, Scheduler, Stopped, Task, no_more
from tests.task_fakes import FAILSAFE_S, HandPool, fails, no_work, task

# Failures


def test_a_failure_is_reported_has_no_followers_and_ends_nothing_else() -> None:
    failed: list[tuple[object, str]] = []
    scheduler = Scheduler(
        max_tasks=2, on_failed=lambda t, e: failed.append((t.key, str(e)))
    )
    tasks = [task(1), task(2, fails("lost"), then=lambda _: [task(9)]), task(3)]
    assert list(scheduler.run(tasks)) == [1, 3]
    assert failed == [(2, "lost")]


def test_a_failure_keeps_nothing_of_its_frames_alive() -> None:
    class Reply:
        """Stands for a large reply in a frame of the failed call."""

    replies: list[weakref.ref[Reply]] = []

    def fail() -> object:
        reply = Reply()
        replies.append(weakref.ref(reply))
        raise LookupError(str(reply))

    def look() -> bool:
        return replies[0]() is None

    gc.disable()  # only what no reference holds may be gone
    try:
        results = Scheduler(max_tasks=1).run([task(1, fail), task(2), task(3, look)])
    finally:
        gc.enable()
    assert results[3] is True


def test_a_fatal_error_awaits_what_is_under_way_and_starts_nothing_more() -> None:
    wrong_key, both_began = LookupError("wrong key"), threading.Barrier(2)
    draining, done, started = threading.Event(), list[object](), list[object]()

    def refuse() -> None:
        both_began.wait(FAILSAFE_S)
        raise wrong_key

    def finish_late() -> str:
        both_began.wait(FAILSAFE_S)
        assert draining.wait(FAILSAFE_S)
        return "paid for"

    scheduler = Scheduler(
        max_tasks=2,
        is_fatal=lambda error: error is wrong_key,
        on_started=lambda t: started.append(t.key),
        on_done=lambda t, result: done.append((t.key, result)),
        on_stopping=draining.set,
    )
    late = task("late", finish_late, then=lambda _: pytest.fail("asked what follows"))
    with pytest.raises(LookupError) as caught:
        scheduler.run([task("refused", refuse), late, *map(task, range(5))])
    assert caught.value is wrong_key
    assert done == [("late", "paid for")]
    assert started == ["refused", "late"]


def test_a_fatal_error_takes_the_results_of_its_run_with_it() -> None:
    class Reply:
        """Stands for a large result."""

    replies: list[weakref.ref[Reply]] = []

    def answer() -> Reply:
        reply = Reply()
        replies.append(weakref.ref(reply))
        return reply

    scheduler = Scheduler(max_tasks=1, is_fatal=lambda _: True)
    gc.disable()  # only what no reference holds may be gone
    try:
        with contextlib.suppress(LookupError):
            scheduler.run([task(1, answer), task(2, fails())])
        assert replies[0]() is None
    finally:
        gc.enable()


def test_the_first_of_several_fatal_errors_is_raised_and_each_is_reported() -> None:
    all_began, first_is_seen = threading.Barrier(3), threading.Event()

    def refuse_first() -> None:
        all_began.wait(FAILSAFE_S)
        raise LookupError("first")

    def refuse_later() -> None:
        all_began.wait(FAILSAFE_S)
        assert first_is_seen.wait(FAILSAFE_S)
        raise LookupError("later")

    failed: list[str] = []
    scheduler = Scheduler(
        max_tasks=3,
        is_fatal=lambda _: True,
        on_failed=lambda _, error: failed.append(str(error)),
        on_stopping=first_is_seen.set,
    )
    tasks = [task(1, refuse_later), task(2, refuse_first), task(3, refuse_later)]
    with pytest.raises(LookupError, match="first"):
        scheduler.run(tasks)
    assert failed == ["first", "later", "later"]


@pytest.mark.parametrize("place", ["then", "on_started", "on_done", "on_failed"])
def test_an_error_of_a_callback_escapes_after_the_rest_has_ended(place: str) -> None:
    other_ended, release = threading.Event(), threading.Event()

    def other() -> None:
        assert release.wait(FAILSAFE_S)
        other_ended.set()

    def break_down(*_: object) -> Iterable[Task]:
        raise OSError("disk full")

    def started(t: Task) -> None:
        if t.key == "broken":
            break_down()

    scheduler = Scheduler(max_tasks=2, on_stopping=release.set)
    if place == "on_started":
        scheduler.on_started = started
    elif place != "then":
        setattr(scheduler, place, break_down)
    broken = task(
        "broken",
        fails() if place == "on_failed" else no_work,
        then=break_down if place == "then" else no_more,
    )
    with pytest.raises(OSError, match="disk full"):
        scheduler.run([task("other", other), broken])
    assert other_ended.is_set()


def test_a_task_that_calls_exit_ends_the_run() -> None:
    with pytest.raises(SystemExit):
        Scheduler(max_tasks=1).run([task(1, sys.exit), task(2)])


# Ends


def test_stop_keeps_what_is_done_and_starts_nothing_more() -> None:
    stop, started = threading.Event(), list[object]()
    scheduler = Scheduler(
        max_tasks=1, stop=stop, on_started=lambda t: started.append(t.key)
    )
    tasks = [
        task("a", lambda: 1),
        task("b", stop.set, then=lambda _: [task("follower")]),
        task("c"),
    ]
    with pytest.raises(Stopped) as caught:
        scheduler.run(tasks)
    assert caught.value.results == {"a": 1, "b": None}
    assert started == ["a", "b"]


def test_stop_ends_a_run_that_waits_for_a_permit() -> None:
    stop, limiter = threading.Event(), Limiter(1)

    def nothing_happens(_events: Events, _patience_s: float) -> None:
        stop.set()

    scheduler = Scheduler(limiter=limiter, stop=stop, next_event=nothing_happens)
    with limiter.endpoint("").permit("score"), pytest.raises(Stopped) as caught:
        scheduler.run([task(1)])
    assert caught.value.results == {}


def test_a_run_that_was_stopped_before_it_began_runs_nothing() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Scheduler(max_tasks=1, stop=stop).run([task(1, fails())])


def test_an_interrupt_escapes_at_once_and_drops_what_has_not_started() -> None:
    before = set(threading.enumerate())
    release, ended, ran_after = threading.Event(), threading.Event(), list[object]()
    stopping: list[bool] = []

    def under_way() -> None:
        signal.raise_signal(signal.SIGINT)
        assert release.wait(FAILSAFE_S)
        ended.set()

    scheduler = Scheduler(max_tasks=1, on_stopping=lambda: stopping.append(True))
    with pytest.raises(KeyboardInterrupt):
        scheduler.run([task(1, under_way), task(2, lambda: ran_after.append(2))])
    assert stopping == [True]
    assert not ended.is_set()
    release.set()
    assert ended.wait(FAILSAFE_S)
    for thread in set(threading.enumerate()) - before:
        thread.join(FAILSAFE_S)
    assert ran_after == []


# Threads


def allow_threads(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the system start so many threads and then refuse, as it does when full."""
    start, left = threading.Thread.start, iter(range(count))

    def start_or_refuse(thread: threading.Thread) -> None:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_refuse)


def test_too_few_threads_run_every_task_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[object] = []
    allow_threads(monkeypatch, 2)
    tasks = [task(n, partial(ran.append, n)) for n in range(20)]
    results = Scheduler(max_tasks=8).run(tasks)
    assert Counter(ran) == Counter(range(20))
    assert list(results) == list(range(20))


def test_a_task_that_waits_for_a_thread_is_dropped_by_a_fatal_error() -> None:
    pool, ran = HandPool(), list[object]()

    def run_newest_first(events: Events, _patience_s: float) -> Ended | None:
        if pool.held:
            pool.held.pop()()
        return None if events.empty() else events.get()

    scheduler = Scheduler(
        max_tasks=2,
        is_fatal=lambda _: True,
        next_event=run_newest_first,
        make_executor=lambda _: pool,
    )
    with pytest.raises(LookupError):
        scheduler.run([task("waits", lambda: ran.append(1)), task("refused", fails())])
    assert ran == []


def test_without_one_thread_the_run_ends_with_a_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow_threads(monkeypatch, 0)
    with pytest.raises(RuntimeError, match="not one thread started"):
        Scheduler(max_tasks=8).run([task(1)])


def test_another_refusal_of_the_pool_is_not_taken_for_want_of_threads() -> None:
    def closed_pool(max_threads: int) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(max_threads)
        pool.shutdown()
        return pool

    with pytest.raises(RuntimeError, match="after shutdown"):
        Scheduler(max_tasks=1, make_executor=closed_pool).run([task(1)])


def test_no_thread_outlives_a_run() -> None:
    before = threading.active_count()
    Scheduler(max_tasks=8).run([task(n) for n in range(50)])
    assert threading.active_count() == before
