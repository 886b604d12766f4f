"""Which task starts next, and how many at once, with real threads."""

import threading
from collections.abc import Mapping
from functools import partial
from operator import mul

import pytest

from parallel.limiter import Limiter
from parallel.scheduler import Scheduler, Task
from pipeline.llm.limiting import Observation
from tests.task_fakes import FAILSAFE_S, Trap, task, waits_for

# Order


def test_one_at_a_time_runs_the_tasks_one_by_one_in_order_of_rank() -> None:
    ran: list[object] = []
    tasks = [task(n, partial(ran.append, n), rank=n) for n in (3, 1, 2, 0)]
    Scheduler(max_tasks=1).run(tasks)
    assert ran == [0, 1, 2, 3]


def test_a_follower_of_small_rank_starts_before_what_was_ready_longer() -> None:
    ran: list[object] = []
    follower = task("urgent", lambda: ran.append("urgent"), rank=1)
    first = task(
        "first", lambda: ran.append("first"), rank=0, then=lambda _: [follower]
    )
    last = task("last", lambda: ran.append("last"), rank=2)
    Scheduler(max_tasks=1).run([last, first])
    assert ran == ["first", "urgent", "last"]


def test_results_stand_in_order_of_rank_when_the_first_finishes_last() -> None:
    second_is_done = threading.Event()
    tasks = [
        task("b", second_is_done.set, rank=2),
        task("a", waits_for(second_is_done)),
    ]
    results = Scheduler(max_tasks=2).run(tasks)
    assert list(results) == ["a", "b"]


def test_a_follower_starts_while_a_task_of_its_leaders_stage_still_runs() -> None:
    extracted = threading.Event()
    follower = task("card 1", extracted.set, rank=1, stage="extract")
    tasks = [
        task("draft 1", then=lambda _: [follower]),
        task("draft 2", waits_for(extracted)),
    ]
    assert len(Scheduler(max_tasks=2).run(tasks)) == 3


def test_then_receives_the_result_of_its_own_task() -> None:
    def then(result: object) -> list[Task]:
        return [task(("after", result))]

    tasks = [task(n, partial(mul, n, 10), then=then) for n in range(5)]
    results = Scheduler(max_tasks=3).run(tasks)
    assert set(results) == {*range(5), *(("after", n * 10) for n in range(5))}


def test_no_tasks_are_no_results() -> None:
    assert Scheduler(max_tasks=3).run([]) == {}


def test_two_tasks_with_one_key_are_refused_before_anything_runs() -> None:
    ran: list[object] = []
    tasks = [task("a", lambda: ran.append("a")), task("a")]
    with pytest.raises(ValueError, match="two tasks with the key 'a'"):
        Scheduler(max_tasks=1).run(tasks)
    assert ran == []


def test_a_follower_that_repeats_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="two tasks with the key 'a'"):
        Scheduler(max_tasks=1).run([task("a", then=lambda _: [task("a")])])


# Limits


def test_never_more_than_the_limit_run_at_once() -> None:
    results = Scheduler(max_tasks=2).run([task(n, Trap(2)) for n in range(6)])
    assert len(results) == 6


def test_the_trap_notices_one_place_too_many() -> None:
    errors: list[Exception] = []
    trap = Trap(2)
    scheduler = Scheduler(max_tasks=3, on_failed=lambda _, e: errors.append(e))
    scheduler.run([task(n, trap) for n in range(3)])
    assert len(errors) == 3 or isinstance(errors[0], AssertionError)


def limiter_for(
    *endpoints: str, most: int = 8, stages: Mapping[str, int] | None = None
) -> Limiter:
    limiter = Limiter(most, stage_limits=stages)
    for name in endpoints:
        limiter.endpoint(name)
    return limiter


def test_a_task_starts_with_a_permit_of_its_endpoint_and_stage() -> None:
    limiter = limiter_for("a", stages={"score": 1})
    endpoint = limiter.endpoint("a")
    seen: list[int] = []

    def work() -> None:
        with endpoint.permit("score"):
            seen.append(limiter.in_flight())

    Scheduler(limiter=limiter).run([task(n, work, endpoint="a") for n in range(3)])
    assert seen == [1, 1, 1]
    assert limiter.peak_in_flight == 1


def test_a_permit_that_is_not_used_comes_back_when_its_task_ends() -> None:
    limiter = limiter_for("a", most=2)
    Scheduler(limiter=limiter).run([task(n, endpoint="a") for n in range(6)])
    assert limiter.in_flight() == 0


@pytest.mark.parametrize(("endpoint", "stage"), [("a", "gate"), ("b", "score")])
def test_a_permit_for_something_else_does_not_hold_up_the_task_it_was_lent_to(
    endpoint: str, stage: str
) -> None:
    limiter = limiter_for("a", "b", most=1)

    def work() -> str:
        with limiter.endpoint(endpoint).permit(stage):
            return f"{limiter.in_flight()} in flight"

    results = Scheduler(limiter=limiter).run([task(1, work, endpoint="a")])
    assert results == {1: "1 in flight"}
    assert limiter.in_flight() == 0


def test_never_more_of_a_stage_than_its_limit_run_at_once() -> None:
    trap, failed = Trap(1), list[object]()
    scheduler = Scheduler(
        limiter=limiter_for("", stages={"extract": 1}),
        on_failed=lambda t, _: failed.append(t.key),
    )
    scheduler.run([task(n, trap, stage="extract") for n in range(4)])
    assert failed == []


def test_a_full_stage_does_not_hold_up_another() -> None:
    scored = threading.Event()
    tasks = [
        task(1, waits_for(scored), stage="extract"),
        task(2, stage="extract"),
        task(3, scored.set, rank=9),
    ]
    limiter = limiter_for("", most=2, stages={"extract": 1})
    assert list(Scheduler(limiter=limiter).run(tasks)) == [1, 2, 3]


def test_a_full_endpoint_does_not_hold_up_another() -> None:
    limiter = Limiter(3)
    limiter.endpoint("slow", max_in_flight=1)
    limiter.endpoint("fast")
    fast_is_done = threading.Event()
    slow = [task(n, waits_for(fast_is_done), endpoint="slow") for n in range(3)]
    fast = task("fast", fast_is_done.set, rank=9, endpoint="fast")
    assert len(Scheduler(limiter=limiter).run([*slow, fast])) == 4


def test_a_task_that_waits_without_a_permit_leaves_it_to_another() -> None:
    limiter = limiter_for("a", most=1)
    endpoint, other_ran = limiter.endpoint("a"), threading.Event()

    def refused_once() -> None:
        with endpoint.permit("score"):
            pass  # an attempt that was refused
        assert other_ran.wait(FAILSAFE_S), "the permit was not given to another"

    tasks = [task(1, refused_once, endpoint="a"), task(2, other_ran.set, endpoint="a")]
    assert len(Scheduler(limiter=limiter).run(tasks)) == 2


def test_an_endpoint_that_is_out_for_too_long_fails_its_own_tasks_alone() -> None:
    now_s, failed = [0.0], list[str]()
    limiter = Limiter(4, max_outage_s=60.0, clock=lambda: now_s[0])
    limiter.endpoint("near")
    with limiter.endpoint("far").permit("score") as permit:
        permit.note(Observation(kind="loading", started_s=0.0, finished_s=0.0))
    now_s[0] = 61.0
    scheduler = Scheduler(
        limiter=limiter, on_failed=lambda _, error: failed.append(type(error).__name__)
    )

    def call_far() -> None:
        with limiter.endpoint("far").permit("score"):
            pytest.fail("it was let in")

    tasks = [task(1, call_far, endpoint="far"), task(2, endpoint="near")]
    assert scheduler.run(tasks) == {2: None}
    assert failed == ["EndpointDown"]


def test_a_scheduler_may_run_again_and_again() -> None:
    scheduler = Scheduler(limiter=limiter_for(""))
    assert scheduler.run([task(1)]) == {1: None}
    assert scheduler.run([task(1)]) == {1: None}
