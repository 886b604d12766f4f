"""Permits that are reserved, lent and given back, seen by one thread."""

import random
import threading

import pytest

from parallel.limiter import Limiter, LimiterEvent, Permit
from pipeline.errors import EndpointDown, Interrupted
from pipeline.llm.limiting import Observation, Seen


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def limiter_at(clock: Clock, most: int, **how: object) -> Limiter:
    limiter = Limiter(most, clock=clock, rng=random.Random(1), **how)  # type: ignore[arg-type]  # passed on
    limiter.endpoint("a")
    return limiter


def seen(kind: Seen = "ok", at_s: float = 0.0, **more: float) -> Observation:
    return Observation(kind=kind, started_s=at_s, finished_s=at_s, **more)  # type: ignore[arg-type]  # passed on


def reserved(limiter: Limiter, count: int, stage: str = "score") -> list[Permit]:
    """As many as there are, at most so many."""
    permits = (limiter.reserve("a", stage) for _ in range(count))
    return [permit for permit in permits if permit is not None]


def test_all_that_the_user_allows_may_start_in_the_first_moment() -> None:
    limiter = limiter_at(Clock(), 64)
    assert len(reserved(limiter, 100)) == 64


def test_a_stage_and_the_run_bound_what_is_reserved_together() -> None:
    limiter = limiter_at(Clock(), 4, stage_limits={"extract": 2})
    assert len(reserved(limiter, 9, "extract")) == 2
    assert len(reserved(limiter, 9, "score")) == 2


def test_a_reserved_permit_is_used_by_the_thread_that_it_is_lent_to() -> None:
    limiter = limiter_at(Clock(), 1)
    (permit,) = reserved(limiter, 1)
    with permit.lent(), limiter.endpoint("a").permit("score") as used:
        assert used is permit
        assert limiter.in_flight() == 1
    assert limiter.in_flight() == 0


def test_a_second_attempt_needs_a_permit_of_its_own() -> None:
    limiter = limiter_at(Clock(), 1)
    (permit,) = reserved(limiter, 1)
    with permit.lent():
        for _ in range(2):
            with limiter.endpoint("a").permit("score"):
                assert limiter.in_flight() == 1
    assert limiter.in_flight() == 0


def test_a_permit_that_was_lent_and_not_used_is_given_back() -> None:
    limiter = limiter_at(Clock(), 1)
    (permit,) = reserved(limiter, 1)
    with permit.lent():
        pass
    assert limiter.in_flight() == 0
    assert len(reserved(limiter, 1)) == 1


@pytest.mark.parametrize(("endpoint", "stage"), [("a", "gate"), ("b", "score")])
def test_a_lent_permit_for_something_else_is_given_back_first(
    endpoint: str, stage: str
) -> None:
    limiter = limiter_at(Clock(), 1)
    limiter.endpoint("b")
    (permit,) = reserved(limiter, 1)
    with permit.lent(), limiter.endpoint(endpoint).permit(stage):
        assert limiter.in_flight() == 1
    assert limiter.in_flight() == 0


def test_another_thread_does_not_get_what_was_lent() -> None:
    limiter = limiter_at(Clock(), 2)
    (permit,) = reserved(limiter, 1)
    used: list[object] = []

    def attempt() -> None:
        with limiter.endpoint("a").permit("score") as own:
            used.append(own)

    with permit.lent():
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join(5.0)
    assert used
    assert used[0] is not permit


def test_a_refusal_cuts_from_what_is_in_flight_and_not_from_the_limit() -> None:
    limiter = limiter_at(Clock(), 32)
    permits = reserved(limiter, 7)
    with permits[0].lent(), limiter.endpoint("a").permit("score") as permit:
        permit.note(seen("rate", retry_after_s=1.0))
    assert limiter.snapshots()[0].limit == 6


def test_a_fault_or_a_refusal_of_its_own_cuts_nothing() -> None:
    limiter = limiter_at(Clock(), 8)
    for kind in ("fault", "other"):
        with limiter.endpoint("a").permit("score") as permit:
            permit.note(seen(kind))
    assert limiter.snapshots()[0].limit == 8


def test_a_pace_says_when_time_alone_lets_the_next_one_start() -> None:
    clock = Clock()
    limiter = Limiter(8, clock=clock)
    limiter.endpoint("a", requests_per_minute=60.0)
    assert len(reserved(limiter, 9)) == 1
    assert limiter.held_s(["a"]) == pytest.approx(1.0)
    clock.now_s = 1.0
    assert len(reserved(limiter, 9)) == 1


def test_after_stop_nothing_is_reserved_and_what_was_is_of_no_use() -> None:
    limiter = limiter_at(Clock(), 2)
    (permit,) = reserved(limiter, 1)
    limiter.stop()
    assert reserved(limiter, 1) == []
    with (
        permit.lent(),
        pytest.raises(Interrupted),
        limiter.endpoint("a").permit("score"),
    ):
        raise AssertionError("it was let in")
    assert limiter.in_flight() == 0


def test_an_endpoint_that_is_out_for_too_long_has_no_permits_to_reserve() -> None:
    clock = Clock()
    limiter = limiter_at(clock, 2, max_outage_s=60.0)
    with limiter.endpoint("a").permit("score") as permit:
        permit.note(seen("loading"))
    clock.now_s = 61.0
    with pytest.raises(EndpointDown, match="a has not answered for 61 s"):
        limiter.reserve("a", "score")


def test_a_listener_hears_of_permits_that_came_free_and_may_ask() -> None:
    limiter = limiter_at(Clock(), 1)
    heard: list[int] = []
    with limiter.listening(lambda: heard.append(limiter.in_flight())):
        with limiter.endpoint("a").permit("score") as permit:
            permit.note(seen())
        limiter.return_unused(reserved(limiter, 1)[0])
    assert heard
    assert heard[-1] == 0
    limiter.return_unused(reserved(limiter, 1)[0])
    assert len(heard) == len([*heard])


def test_a_listener_that_left_hears_nothing_more() -> None:
    limiter = limiter_at(Clock(), 1)
    heard: list[int] = []
    with limiter.listening(lambda: heard.append(1)):
        pass
    limiter.return_unused(reserved(limiter, 1)[0])
    assert heard == []


def test_who_hears_of_events_may_ask_the_limiter() -> None:
    events: list[tuple[str, int]] = []

    def on_event(event: LimiterEvent) -> None:
        events.append((event.kind, limiter.in_flight()))

    limiter = limiter_at(Clock(), 4, on_event=on_event)
    with limiter.endpoint("a").permit("score") as permit:
        permit.note(seen("loading"))
    assert events == [("breaker open", 0)]


def test_so_many_asleep_are_enough_to_wait_for_an_endpoint() -> None:
    limiter = limiter_at(Clock(), 1)
    endpoint = limiter.endpoint("a")
    endpoint.sleeping = 3 * 1 + 16
    assert len(reserved(limiter, 1)) == 1
    limiter = limiter_at(Clock(), 1)
    limiter.endpoint("a").sleeping = 3 * 1 + 17
    assert reserved(limiter, 1) == []


def test_a_smaller_total_holds_at_once_and_climbs_back_with_answers() -> None:
    limiter = limiter_at(Clock(), 3)
    limiter.shrink_to(0)
    (kept,) = reserved(limiter, 9)
    limiter.return_unused(kept)
    limiter.restore()
    counts = []
    for _ in range(3):
        with limiter.endpoint("a").permit("score") as permit:
            permit.note(seen())
        permits = reserved(limiter, 9)
        counts.append(len(permits))
        for permit in permits:
            limiter.return_unused(permit)
    assert counts == [2, 3, 3]


def test_the_largest_number_in_flight_is_kept() -> None:
    limiter = limiter_at(Clock(), 5)
    for permit in reserved(limiter, 4):
        limiter.return_unused(permit)
    assert (limiter.in_flight(), limiter.peak_in_flight) == (0, 4)
    assert limiter.snapshots()[0].peak_in_flight == 4


@pytest.mark.parametrize(
    ("most", "stages"), [(0, {}), (2, {"score": 0})], ids=["total", "stage"]
)
def test_a_limit_below_one_is_refused(most: int, stages: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="limits must be at least 1"):
        Limiter(most, stage_limits=stages)


def test_an_endpoint_is_the_same_for_the_same_name_and_checks_what_is_stated() -> None:
    limiter = Limiter(4)
    assert limiter.endpoint("a") is limiter.endpoint("a")
    with pytest.raises(ValueError, match="max_in_flight"):
        limiter.endpoint("b", max_in_flight=-1)
    with pytest.raises(ValueError, match="per minute"):
        limiter.endpoint("b", requests_per_minute=0.0)
