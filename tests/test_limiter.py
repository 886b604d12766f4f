"""Threads at the limiter: never more than allowed, and no wait without an end."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel.limiter import (
    Lane,
    Limiter,
    LimiterEvent,
    LimiterStopped,
    OutageTooLong,
)
from tests.limit_simulator import Seen

FAILSAFE_S = 5.0
NOTICE_S = 0.05


def seen(kind: str = "ok", *, retry_after_s: float | None = None) -> Seen:
    """An attempt of this thread that began and ended now."""
    now_s = time.monotonic()
    return Seen(
        kind=kind, started_s=now_s, finished_s=now_s, retry_after_s=retry_after_s
    )


def until(claim: Callable[[], bool]) -> None:
    """Wait for what other threads are about to do."""
    pause, end_s = threading.Event(), time.monotonic() + FAILSAFE_S
    while not claim():
        assert time.monotonic() < end_s
        pause.wait(0.001)


def trip(lane: Lane, *, kind: str = "loading") -> None:
    """One call that opens the breaker."""
    with lane.admit() as permit:
        started_s = permit.started_s
    lane.note(Seen(kind=kind, started_s=started_s, finished_s=started_s))


@contextmanager
def pool(threads: int, limiter: Limiter) -> Iterator[ThreadPoolExecutor]:
    """Threads that end with the test, also with a failed one."""
    with ThreadPoolExecutor(threads) as executor:
        try:
            yield executor
        finally:
            limiter.stop()


def crowd_of(
    lanes: list[tuple[Lane, str]], *, one_too_many: int, limiter: Limiter
) -> None:
    """Send a call to each; fails when that many are in at once."""
    barrier = threading.Barrier(one_too_many)

    def call(lane: Lane, group: str) -> None:
        with lane.admit(group):
            with suppress(threading.BrokenBarrierError):
                barrier.wait(NOTICE_S)
                raise AssertionError("too many at once")
            lane.note(seen())

    with pool(len(lanes), limiter) as executor:
        for future in [executor.submit(call, *one) for one in lanes]:
            future.result(FAILSAFE_S)


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("most", [1, 3, 8])
def test_never_more_than_the_total(most: int, *, adaptive: bool) -> None:
    limiter = Limiter(most, adaptive=adaptive)
    lanes = [(limiter.lane(f"lane {number % 3}"), "") for number in range(2 * most)]
    crowd_of(lanes, one_too_many=most + 1, limiter=limiter)
    assert limiter.snapshot().peak_in_flight == most


def test_never_more_than_a_group_may_have() -> None:
    limiter = Limiter(8, group_limits={"score": 2})
    lane = limiter.lane("a")
    crowd_of([(lane, "score")] * 6, one_too_many=3, limiter=limiter)


def test_never_more_than_a_lane_may_have() -> None:
    limiter = Limiter(8)
    lane = limiter.lane("a", max_in_flight=2)
    crowd_of([(lane, "")] * 6, one_too_many=3, limiter=limiter)


def test_a_full_group_or_lane_leaves_the_other_places_to_the_rest() -> None:
    limiter = Limiter(3, group_limits={"score": 1})
    slow, fast = limiter.lane("slow", max_in_flight=1), limiter.lane("fast")
    with pool(2, limiter) as executor:
        with slow.admit("score"):
            waits = [executor.submit(enter, lane, "score") for lane in (slow, fast)]
            until(lambda: lanes_waiting(limiter) == 2)
            with fast.admit("extract"), fast.admit("extract"):
                assert limiter.in_flight() == 3
            assert not any(future.done() for future in waits)
        for future in waits:
            future.result(FAILSAFE_S)


def enter(lane: Lane, group: str = "") -> None:
    with lane.admit(group):
        lane.note(seen())


def lanes_waiting(limiter: Limiter) -> int:
    return sum(lane.waiting for lane in limiter.snapshot().lanes.values())


def test_a_freed_place_goes_to_the_one_who_waited_longest() -> None:
    limiter = Limiter(1)
    lane = limiter.lane("a")
    order: list[int] = []

    def call(number: int) -> None:
        with lane.admit():
            order.append(number)
            lane.note(seen())

    with pool(5, limiter) as executor:
        futures: list[Future[None]] = []
        with lane.admit():
            for number in range(5):
                futures.append(executor.submit(call, number))
                until(lambda: lanes_waiting(limiter) == len(futures))
            lane.note(seen())
        for future in futures:
            future.result(FAILSAFE_S)
    assert order == [0, 1, 2, 3, 4]


def hold(lane: Lane, name: str, order: list[str]) -> None:
    """Keep a place until the run is stopped."""
    with suppress(LimiterStopped), lane.admit():
        order.append(name)
        lane.sleep(1000.0)


def test_of_two_lanes_the_one_that_waited_longest_gets_the_place() -> None:
    limiter = Limiter(1)
    later, sooner = limiter.lane("later"), limiter.lane("sooner")
    order: list[str] = []
    with pool(2, limiter) as executor:
        with later.admit():
            executor.submit(hold, sooner, "sooner", order)
            until(lambda: lanes_waiting(limiter) == 1)
            executor.submit(hold, later, "later", order)
            until(lambda: lanes_waiting(limiter) == 2)
            later.note(seen())
        until(lambda: bool(order))
    assert order == ["sooner"]


def test_nobody_overtakes_a_call_that_waits() -> None:
    offset = [0.0]
    limiter = Limiter(1, clock=lambda: time.monotonic() + offset[0])
    lane = limiter.lane("a")
    order: list[str] = []
    trip(lane)
    with pool(2, limiter) as executor:
        executor.submit(hold, lane, "first", order)
        until(lambda: lanes_waiting(limiter) == 1)
        offset[0] = 5.0  # the pause is over, but the first does not know it yet
        executor.submit(hold, lane, "second", order)
        until(lambda: bool(order))
    assert order == ["first"]


def test_the_place_of_a_refused_call_is_not_given_away_before_it_is_known() -> None:
    limiter = Limiter(2)
    lane = limiter.lane("a")
    with pool(1, limiter) as executor:
        with lane.admit() as kept:
            with lane.admit() as refused:
                waiting = executor.submit(enter, lane)
                until(lambda: lanes_waiting(limiter) == 1)
            assert lanes_waiting(limiter) == 1
            lane.note(
                Seen(kind="rate", started_s=refused.started_s, retry_after_s=60.0)
            )
            assert limiter.snapshot().lanes["a"].limit == 1
            assert not waiting.done()
            lane.note(Seen(started_s=kept.started_s))
        waiting.result(FAILSAFE_S)
    assert limiter.snapshot().lanes["a"].starts == 3


@pytest.mark.parametrize("is_inside", [True, False])
def test_once_the_outcome_is_noted_the_place_is_given_away(*, is_inside: bool) -> None:
    limiter = Limiter(1, clock=lambda: 0.0)  # a moment without end
    lane = limiter.lane("a")
    with pool(1, limiter) as executor:
        with lane.admit():
            waiting = executor.submit(enter, lane)
            until(lambda: lanes_waiting(limiter) == 1)
            if is_inside:
                lane.note(Seen())
        if not is_inside:
            lane.note(Seen())
        waiting.result(FAILSAFE_S)


def test_a_call_of_which_nothing_is_told_keeps_its_place_only_for_a_moment() -> None:
    limiter = Limiter(1)
    lane = limiter.lane("a")
    with pool(1, limiter) as executor:
        with lane.admit():
            waiting = executor.submit(enter, lane)
            until(lambda: lanes_waiting(limiter) == 1)
        waiting.result(FAILSAFE_S)


def test_an_error_inside_a_permit_gives_the_place_back() -> None:
    limiter = Limiter(1)
    lane = limiter.lane("a")
    with pytest.raises(KeyError), lane.admit():
        raise KeyError
    enter(lane)
    assert limiter.in_flight() == 0


def test_stop_ends_every_wait() -> None:
    limiter = Limiter(2, group_limits={"one": 1})
    lane, paced = limiter.lane("a"), limiter.lane("paced", requests_per_minute=0.001)
    down, narrow = limiter.lane("down"), limiter.lane("narrow", max_in_flight=1)
    trip(down)
    enter(paced)
    with pool(7, limiter) as executor:
        with narrow.admit("one"):
            waits = [
                executor.submit(enter, paced),
                executor.submit(enter, down),
                executor.submit(enter, narrow),
                executor.submit(enter, lane, "one"),
                executor.submit(lane.sleep, 1000.0),
            ]
            until(lambda: lanes_waiting(limiter) == 4)
            with lane.admit():
                waits.append(executor.submit(enter, lane))
                until(lambda: lanes_waiting(limiter) == 5)
                until(lambda: limiter.snapshot().lanes["a"].sleeping == 1)
                limiter.stop()
        errors = [future.exception(FAILSAFE_S) for future in waits]
    assert all(isinstance(error, LimiterStopped) for error in errors)
    with pytest.raises(LimiterStopped):
        lane.sleep(0.0)
    with pytest.raises(LimiterStopped):
        enter(lane)


def test_a_sleep_lasts_as_long_as_was_asked() -> None:
    lane = Limiter(1).lane("a")
    since_s = time.monotonic()
    lane.sleep(0.02)
    assert time.monotonic() - since_s >= 0.02


def test_a_pace_lets_the_waiters_in_one_after_another() -> None:
    limiter = Limiter(8)
    lane = limiter.lane("a", requests_per_minute=6000.0)
    starts: list[float] = []

    def call() -> None:
        with lane.admit() as permit:
            starts.append(permit.started_s)
            lane.note(seen())

    with pool(8, limiter) as executor:
        for future in [executor.submit(call) for _ in range(8)]:
            future.result(FAILSAFE_S)
    assert max(starts) - min(starts) >= 7 * 0.01 - 0.01


def test_a_pause_holds_all_calls_and_ends_by_itself() -> None:
    limiter = Limiter(4)
    lane = limiter.lane("a")
    with lane.admit() as permit:
        wait_s = lane.note(
            Seen(kind="rate", started_s=permit.started_s, retry_after_s=0.03)
        )
    assert wait_s == 0.03
    noted_s = time.monotonic()
    with pool(3, limiter) as executor:
        for future in [executor.submit(enter, lane) for _ in range(3)]:
            future.result(FAILSAFE_S)
    assert time.monotonic() - noted_s >= 0.02


def test_room_is_the_limit_and_those_who_sleep() -> None:
    limiter = Limiter(4)
    lane = limiter.lane("a", max_in_flight=3)
    assert (limiter.room("a"), limiter.room("never seen")) == (3, 4)
    with pool(2, limiter) as executor:
        for _ in range(2):
            executor.submit(lane.sleep, 1000.0)
        until(lambda: limiter.sleeping() == 2)
        assert limiter.room("a") == 5


def test_calls_that_wait_for_their_own_lane_leave_room_to_other_lanes() -> None:
    limiter = Limiter(4)
    down, full = limiter.lane("down"), limiter.lane("full", max_in_flight=1)
    trip(down)
    with pool(4, limiter) as executor, full.admit():
        for lane in (down, down, down, full):
            executor.submit(enter, lane)
        until(lambda: lanes_waiting(limiter) == 4)
        assert limiter.sleeping() == 4
        assert limiter.room("down") == 4, "but no more of them are wanted"


def test_calls_that_wait_for_a_place_of_the_run_do_not_make_room() -> None:
    limiter = Limiter(1)
    with pool(1, limiter) as executor, limiter.lane("a").admit():
        executor.submit(enter, limiter.lane("b"))
        until(lambda: lanes_waiting(limiter) == 1)
        assert limiter.sleeping() == 0


def test_a_change_is_told_when_a_call_sleeps_or_the_limit_grows() -> None:
    told = threading.Event()
    limiter = Limiter(4)
    limiter.on_change = told.set
    lane = limiter.lane("a")
    with pool(1, limiter) as executor:
        executor.submit(lane.sleep, 1000.0)
        assert told.wait(FAILSAFE_S)
        limiter.shrink_to(1)
        limiter.restore()
        told.clear()
        enter(lane)
        assert told.wait(FAILSAFE_S)


def test_callbacks_may_ask_the_limiter() -> None:
    asked: list[int] = []
    events: list[LimiterEvent] = []

    def on_event(event: LimiterEvent) -> None:
        events.append(event)
        asked.append(limiter.room(event.lane))

    limiter = Limiter(4, on_event=on_event)
    limiter.on_change = lambda: asked.append(limiter.sleeping())
    lane = limiter.lane("a")
    lane.sleep(0.0)
    trip(lane)
    assert asked == [1, 4]
    assert [event.kind for event in events] == ["breaker open"]
    assert lane.is_out


def test_an_outage_that_lasts_too_long_ends_every_wait_of_its_lane() -> None:
    limiter = Limiter(4, max_outage_s=0.05)
    lane = limiter.lane("http://localhost")
    trip(lane)
    with pool(3, limiter) as executor:
        waits = [executor.submit(enter, lane) for _ in range(3)]
        errors = [future.exception(FAILSAFE_S) for future in waits]
        enter(limiter.lane("another"))
        with pytest.raises(OutageTooLong, match="http://localhost") as caught:
            enter(lane)
    assert all(isinstance(error, OutageTooLong) for error in errors)
    assert lanes_waiting(limiter) == 0
    assert caught.value.seconds >= 0.05


def test_while_the_breaker_is_open_only_one_call_goes_out() -> None:
    offset = [0.0]
    limiter = Limiter(4, clock=lambda: time.monotonic() + offset[0])
    lane = limiter.lane("a")
    trip(lane)
    offset[0] = 5.0
    with pool(3, limiter) as executor:
        with lane.admit() as probe:
            waits = [executor.submit(enter, lane) for _ in range(3)]
            until(lambda: lanes_waiting(limiter) == 3)
            lane.note(Seen(started_s=probe.started_s))
        for future in waits:
            future.result(FAILSAFE_S)
    assert not lane.is_out


def test_a_smaller_total_holds_at_once_and_climbs_back_with_answers() -> None:
    limiter = Limiter(3)
    lane = limiter.lane("a")
    limiter.shrink_to(0)
    crowd_of([(lane, "")] * 3, one_too_many=2, limiter=limiter)
    limiter = Limiter(3)
    lane = limiter.lane("a")
    limiter.shrink_to(1)
    enter(lane)
    assert limiter.room("a") == 1
    limiter.restore()
    rooms = []
    for _ in range(3):
        enter(lane)
        rooms.append(limiter.room("a"))
    assert rooms == [2, 3, 3]


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"max_in_flight": 2, "group_limits": {"score": 0}}, "score"),
    ],
)
def test_a_limit_below_one_is_refused_by_name(
    stated: dict[str, int], name: str
) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Limiter(**stated)  # type: ignore[arg-type]  # wrong on purpose


def test_a_lane_is_the_same_for_the_same_name_and_checks_what_is_stated() -> None:
    limiter = Limiter(4)
    assert limiter.lane("a") is limiter.lane("a")
    with pytest.raises(ValueError, match="max_in_flight"):
        limiter.lane("b", max_in_flight=0)
    with pytest.raises(ValueError, match="per minute"):
        limiter.lane("b", requests_per_minute=0.0)


class Crowd:
    """Random calls that count how many are in at once."""

    KINDS = ("ok", "ok", "ok", "rate", "transient", "other", "silent")

    def __init__(self, limiter: Limiter, *, is_noted_inside: bool) -> None:
        self.lanes = [
            limiter.lane("a"),
            limiter.lane("b", max_in_flight=2),
            limiter.lane("c"),
        ]
        self.most: Counter[str] = Counter()
        self._is_noted_inside = is_noted_inside
        # Guards the counts of calls that are in, and the most there were.
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()

    def work(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(12):
            lane, group = rng.choice(self.lanes), rng.choice(["score", "extract"])
            # Half of them well: five faults in a row would open the breaker.
            kind = rng.choice(self.KINDS) if rng.random() < 0.5 else "ok"
            self.call(lane, group, kind)

    def call(self, lane: Lane, group: str, kind: str) -> None:
        wait_s = 0.0
        with lane.admit(group):
            self._count(("all", group, lane.name), 1)
            if self._is_noted_inside:
                wait_s = self._tell(lane, kind)
            self._count(("all", group, lane.name), -1)
        if not self._is_noted_inside:
            wait_s = self._tell(lane, kind)
        lane.sleep(min(wait_s, 0.002))

    def _tell(self, lane: Lane, kind: str) -> float:
        if kind == "silent":
            return 0.0
        return lane.note(seen(kind, retry_after_s=0.002))

    def _count(self, names: tuple[str, ...], change: int) -> None:
        with self._lock:
            for name in names:
                self._inside[name] += change
                self.most[name] = max(self.most[name], self._inside[name])


@settings(max_examples=25, deadline=None)
@given(
    most=st.integers(1, 6),
    group_limit=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    is_noted_inside=st.booleans(),
)
def test_random_calls_on_three_lanes_all_end_within_all_limits(
    most: int, group_limit: int, seed: int, *, is_noted_inside: bool
) -> None:
    limiter = Limiter(most, group_limits={"score": group_limit})
    crowd = Crowd(limiter, is_noted_inside=is_noted_inside)
    with pool(9, limiter) as executor:
        futures = [executor.submit(crowd.work, seed + number) for number in range(9)]
        for future in futures:
            future.result(FAILSAFE_S)
    assert crowd.most["all"] <= most
    assert crowd.most["score"] <= group_limit
    assert crowd.most["b"] <= 2
    snapshot = limiter.snapshot()
    assert (snapshot.in_flight, lanes_waiting(limiter)) == (0, 0)
    assert sum(lane.starts for lane in snapshot.lanes.values()) == 9 * 12
