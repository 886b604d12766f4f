"""Which task starts next, and how many at once, with real threads."""

import threading
from functools import partial
from operator import mul

import pytest

from parallel import scheduler as scheduler_module
from parallel.scheduler import Scheduler, Task
from tests.task_fakes import FAILSAFE_S, Trap, task, waits_for


class Waiting:
    """A clock that stands still and tells when the scheduler begins to wait."""

    def __init__(self) -> None:
        self._is_made, self.begins = False, threading.Event()

    def __call__(self) -> float:
        # Read once when the run is made, then before each wait.
        if self._is_made:
            self.begins.set()
        self._is_made = True
        return 0.0


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """The clock of a scheduler that looks up for nothing but events."""
    monkeypatch.setattr(scheduler_module, "TICK_S", 60.0)
    return Waiting()


# Order


def test_one_place_runs_the_tasks_one_by_one_in_order_of_rank() -> None:
    ran: list[object] = []
    tasks = [task(n, partial(ran.append, n), rank=n) for n in (3, 1, 2, 0)]
    Scheduler(max_in_flight=1).run(tasks)
    assert ran == [0, 1, 2, 3]


def test_a_follower_of_small_rank_starts_before_what_was_ready_longer() -> None:
    ran: list[object] = []
    follower = task("urgent", lambda: ran.append("urgent"), rank=1)
    first = task(
        "first", lambda: ran.append("first"), rank=0, then=lambda _: [follower]
    )
    last = task("last", lambda: ran.append("last"), rank=2)
    Scheduler(max_in_flight=1).run([last, first])
    assert ran == ["first", "urgent", "last"]


def test_results_stand_in_order_of_rank_when_the_first_finishes_last() -> None:
    second_is_done = threading.Event()
    tasks = [
        task("b", second_is_done.set, rank=2),
        task("a", waits_for(second_is_done)),
    ]
    results = Scheduler(max_in_flight=2).run(tasks)
    assert list(results) == ["a", "b"]


def test_a_follower_starts_while_a_task_of_its_leaders_group_still_runs() -> None:
    extracted = threading.Event()
    follower = task("card 1", extracted.set, rank=1, group="extract")
    tasks = [
        task("draft 1", then=lambda _: [follower]),
        task("draft 2", waits_for(extracted)),
    ]
    assert len(Scheduler(max_in_flight=2).run(tasks)) == 3


def test_then_receives_the_result_of_its_own_task() -> None:
    def then(result: object) -> list[Task]:
        return [task(("after", result))]

    tasks = [task(n, partial(mul, n, 10), then=then) for n in range(5)]
    results = Scheduler(max_in_flight=3).run(tasks)
    assert set(results) == {*range(5), *(("after", n * 10) for n in range(5))}


def test_no_tasks_are_no_results() -> None:
    assert Scheduler(max_in_flight=3).run([]) == {}


def test_two_tasks_with_one_key_are_refused_before_anything_runs() -> None:
    ran: list[object] = []
    tasks = [task("a", lambda: ran.append("a")), task("a")]
    with pytest.raises(ValueError, match="two tasks with the key 'a'"):
        Scheduler(max_in_flight=1).run(tasks)
    assert ran == []


def test_a_follower_that_repeats_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="two tasks with the key 'a'"):
        Scheduler(max_in_flight=1).run([task("a", then=lambda _: [task("a")])])


# Limits


def test_never_more_than_the_limit_run_at_once() -> None:
    results = Scheduler(max_in_flight=2).run([task(n, Trap(2)) for n in range(6)])
    assert len(results) == 6


def test_the_trap_notices_one_place_too_many() -> None:
    errors: list[Exception] = []
    trap = Trap(2)
    scheduler = Scheduler(max_in_flight=3, on_failed=lambda _, e: errors.append(e))
    scheduler.run([task(n, trap) for n in range(3)])
    assert len(errors) == 3 or isinstance(errors[0], AssertionError)


def test_never_more_of_a_group_than_its_limit_run_at_once() -> None:
    trap, failed = Trap(1), list[object]()
    scheduler = Scheduler(
        max_in_flight=8,
        group_limits={"extract": 1},
        on_failed=lambda t, _: failed.append(t.key),
    )
    scheduler.run([task(n, trap, group="extract") for n in range(4)])
    assert failed == []


def test_a_full_group_does_not_hold_up_another() -> None:
    scored = threading.Event()
    tasks = [
        task(1, waits_for(scored), group="extract"),
        task(2, group="extract"),
        task(3, scored.set, rank=9),
    ]
    scheduler = Scheduler(max_in_flight=2, group_limits={"extract": 1})
    assert list(scheduler.run(tasks)) == [1, 2, 3]


def test_a_slow_lane_does_not_hold_up_a_fast_one() -> None:
    fast_is_done = threading.Event()
    slow = [task(n, waits_for(fast_is_done), lane="slow") for n in range(3)]
    fast = task("fast", fast_is_done.set, rank=9, lane="fast")
    scheduler = Scheduler(max_in_flight=2, room={"slow": 1, "fast": 2}.__getitem__)
    assert len(scheduler.run([*slow, fast])) == 4


def test_wake_uses_new_room_at_once(waiting: Waiting) -> None:
    room, second_began = [1], threading.Event()

    def grow() -> None:
        assert waiting.begins.wait(FAILSAFE_S)
        room[0] = 2
        scheduler.wake()
        assert second_began.wait(FAILSAFE_S), "new room was not used"

    scheduler = Scheduler(max_in_flight=2, room=lambda _: room[0], clock=waiting)
    assert len(scheduler.run([task(1, grow), task(2, second_began.set)])) == 2


def test_a_task_that_goes_to_sleep_gives_its_place_to_another(waiting: Waiting) -> None:
    sleeping, other_ran = [0], threading.Event()

    def sleep() -> None:
        assert waiting.begins.wait(FAILSAFE_S)
        sleeping[0] = 1
        scheduler.wake()
        assert other_ran.wait(FAILSAFE_S), "the sleeper's place stayed empty"
        sleeping[0] = 0

    scheduler = Scheduler(
        max_in_flight=1, extra_room=lambda: sleeping[0], clock=waiting
    )
    assert len(scheduler.run([task(1, sleep), task(2, other_ran.set)])) == 2


def test_wake_before_and_after_a_run_does_no_harm() -> None:
    scheduler = Scheduler(max_in_flight=1)
    scheduler.wake()
    assert scheduler.run([task(1)]) == {1: None}
    scheduler.wake()
    assert scheduler.run([task(1)]) == {1: None}
