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

from parallel.limiter import EndpointLimiter, Limiter
from pipeline.errors import EndpointDown, Interrupted
from pipeline.llm.limiting import Observation, Seen

FAILSAFE_S = 5.0
NOTICE_S = 0.05


def seen(kind: Seen = "ok", *, retry_after_s: float | None = None) -> Observation:
    """An attempt of this thread that began and ended now."""
    now_s = time.monotonic()
    return Observation(
        kind=kind, started_s=now_s, finished_s=now_s, retry_after_s=retry_after_s
    )


def until(claim: Callable[[], bool]) -> None:
    """Wait for what other threads are about to do."""
    pause, end_s = threading.Event(), time.monotonic() + FAILSAFE_S
    while not claim():
        assert time.monotonic() < end_s
        pause.wait(0.001)


def trip(endpoint: EndpointLimiter) -> None:
    """One call that opens the breaker."""
    with endpoint.permit("score") as permit:
        permit.note(seen("loading"))


def enter(endpoint: EndpointLimiter, stage: str = "score") -> None:
    with endpoint.permit(stage) as permit:
        permit.note(seen())


def in_line(*endpoints: EndpointLimiter) -> int:
    """Calls that wait for a permit."""
    return sum(len(endpoint.line) for endpoint in endpoints)


@contextmanager
def pool(threads: int, limiter: Limiter) -> Iterator[ThreadPoolExecutor]:
    """Threads that end with the test, also with a failed one."""
    with ThreadPoolExecutor(threads) as executor:
        try:
            yield executor
        finally:
            limiter.stop()


def crowd_of(
    calls: list[tuple[EndpointLimiter, str]], *, one_too_many: int, limiter: Limiter
) -> None:
    """Send each of the calls; fails when that many are in at once."""
    barrier = threading.Barrier(one_too_many)

    def call(endpoint: EndpointLimiter, stage: str) -> None:
        with endpoint.permit(stage) as permit:
            with suppress(threading.BrokenBarrierError):
                barrier.wait(NOTICE_S)
                raise AssertionError("too many at once")
            permit.note(seen())

    with pool(len(calls), limiter) as executor:
        for future in [executor.submit(call, *one) for one in calls]:
            future.result(FAILSAFE_S)


@pytest.mark.parametrize("most", [1, 3, 8])
def test_never_more_than_the_total(most: int) -> None:
    limiter = Limiter(most)
    calls = [(limiter.endpoint(f"{number % 3}"), "score") for number in range(2 * most)]
    crowd_of(calls, one_too_many=most + 1, limiter=limiter)
    assert limiter.peak_in_flight == most


def test_never_more_than_a_stage_may_have() -> None:
    limiter = Limiter(8, stage_limits={"score": 2})
    crowd_of([(limiter.endpoint("a"), "score")] * 6, one_too_many=3, limiter=limiter)


def test_never_more_than_an_endpoint_may_have() -> None:
    limiter = Limiter(8)
    endpoint = limiter.endpoint("a", max_in_flight=2)
    crowd_of([(endpoint, "score")] * 6, one_too_many=3, limiter=limiter)


def test_a_full_stage_or_endpoint_leaves_the_other_permits_to_the_rest() -> None:
    limiter = Limiter(3, stage_limits={"score": 1})
    slow, fast = limiter.endpoint("slow", max_in_flight=1), limiter.endpoint("fast")
    with pool(2, limiter) as executor:
        with slow.permit("score"):
            waits = [executor.submit(enter, each, "score") for each in (slow, fast)]
            until(lambda: in_line(slow, fast) == 2)
            with fast.permit("extract"), fast.permit("extract"):
                assert limiter.in_flight() == 3
            assert not any(future.done() for future in waits)
        for future in waits:
            future.result(FAILSAFE_S)


def test_a_permit_goes_to_the_one_who_waited_longest() -> None:
    limiter = Limiter(1)
    endpoint = limiter.endpoint("a")
    order: list[int] = []

    def call(number: int) -> None:
        with endpoint.permit("score") as permit:
            order.append(number)
            permit.note(seen())

    with pool(5, limiter) as executor:
        futures: list[Future[None]] = []
        with endpoint.permit("score") as held:
            for number in range(5):
                futures.append(executor.submit(call, number))
                until(lambda: in_line(endpoint) == len(futures))
            held.note(seen())
        for future in futures:
            future.result(FAILSAFE_S)
    assert order == [0, 1, 2, 3, 4]


def hold(endpoint: EndpointLimiter, name: str, order: list[str]) -> None:
    """Keep a permit until the run is stopped."""
    with suppress(Interrupted), endpoint.permit("score"):
        order.append(name)
        endpoint.sleep(1000.0)


def test_of_two_endpoints_the_call_that_waited_longest_gets_the_permit() -> None:
    limiter = Limiter(1)
    later, sooner = limiter.endpoint("later"), limiter.endpoint("sooner")
    order: list[str] = []
    with pool(2, limiter) as executor:
        with later.permit("score"):
            executor.submit(hold, sooner, "sooner", order)
            until(lambda: in_line(later, sooner) == 1)
            executor.submit(hold, later, "later", order)
            until(lambda: in_line(later, sooner) == 2)
        until(lambda: bool(order))
    assert order == ["sooner"]


def test_nobody_overtakes_a_call_that_waits() -> None:
    offset = [0.0]
    limiter = Limiter(1, clock=lambda: time.monotonic() + offset[0])
    endpoint = limiter.endpoint("a")
    order: list[str] = []
    trip(endpoint)
    with pool(2, limiter) as executor:
        executor.submit(hold, endpoint, "first", order)
        until(lambda: in_line(endpoint) == 1)
        offset[0] = 5.0  # the pause is over, but the first does not know it yet
        executor.submit(hold, endpoint, "second", order)
        until(lambda: bool(order))
    assert order == ["first"]


def test_what_a_call_showed_counts_before_its_permit_is_given_away() -> None:
    limiter = Limiter(2)
    endpoint = limiter.endpoint("a")
    with pool(1, limiter) as executor:
        with endpoint.permit("score") as kept:
            with endpoint.permit("score") as refused:
                waiting = executor.submit(enter, endpoint)
                until(lambda: in_line(endpoint) == 1)
                refused.note(seen("rate", retry_after_s=60.0))
            assert limiter.snapshots()[0].limit == 1
            assert not waiting.done()
            kept.note(seen())
        waiting.result(FAILSAFE_S)


def test_an_error_inside_gives_the_permit_back() -> None:
    limiter = Limiter(1)
    endpoint = limiter.endpoint("a")
    with pytest.raises(KeyError), endpoint.permit("score"):
        raise KeyError
    enter(endpoint)
    assert limiter.in_flight() == 0


def test_stop_ends_every_wait() -> None:
    limiter = Limiter(2, stage_limits={"one": 1})
    endpoint = limiter.endpoint("a")
    paced = limiter.endpoint("paced", requests_per_minute=0.001)
    down, narrow = limiter.endpoint("down"), limiter.endpoint("narrow", max_in_flight=1)
    every = (endpoint, paced, down, narrow)
    trip(down)
    enter(paced)
    with pool(7, limiter) as executor:
        with narrow.permit("one"):
            waits = [
                executor.submit(enter, paced),
                executor.submit(enter, down),
                executor.submit(enter, narrow),
                executor.submit(enter, endpoint, "one"),
                executor.submit(endpoint.sleep, 1000.0),
            ]
            until(lambda: in_line(*every) == 4)
            with endpoint.permit("score"):
                waits.append(executor.submit(enter, endpoint))
                until(lambda: in_line(*every) == 5 and endpoint.sleeping == 1)
                limiter.stop()
        errors = [future.exception(FAILSAFE_S) for future in waits]
    assert all(isinstance(error, Interrupted) for error in errors)
    with pytest.raises(Interrupted):
        endpoint.sleep(0.0)
    with pytest.raises(Interrupted):
        enter(endpoint)
    assert limiter.in_flight() == 0


def test_an_outage_that_lasts_too_long_ends_every_wait_for_its_endpoint() -> None:
    limiter = Limiter(4, max_outage_s=0.05)
    endpoint = limiter.endpoint("m at http://localhost")
    trip(endpoint)
    with pool(3, limiter) as executor:
        waits = [executor.submit(enter, endpoint) for _ in range(3)]
        errors = [future.exception(FAILSAFE_S) for future in waits]
        enter(limiter.endpoint("another"))
        with pytest.raises(EndpointDown, match="http://localhost has not answered for"):
            enter(endpoint)
    assert all(isinstance(error, EndpointDown) for error in errors)
    assert in_line(endpoint) == 0


def test_while_the_breaker_is_open_only_one_call_goes_out() -> None:
    offset = [0.0]
    limiter = Limiter(4, clock=lambda: time.monotonic() + offset[0])
    endpoint = limiter.endpoint("a")
    trip(endpoint)
    offset[0] = 5.0
    with pool(3, limiter) as executor:
        with endpoint.permit("score") as probe:
            waits = [executor.submit(enter, endpoint) for _ in range(3)]
            until(lambda: in_line(endpoint) == 3)
            probe.note(
                Observation(kind="ok", started_s=probe.started_s, finished_s=0.0)
            )
        for future in waits:
            future.result(FAILSAFE_S)
    assert limiter.snapshots()[0].held_by == ""


class Traffic:
    """Random calls that count how many are in at once."""

    KINDS: tuple[Seen, ...] = ("ok", "ok", "ok", "rate", "fault", "other")

    def __init__(self, limiter: Limiter) -> None:
        self.endpoints = [
            limiter.endpoint("a"),
            limiter.endpoint("b", max_in_flight=2),
            limiter.endpoint("c"),
        ]
        self.most: Counter[str] = Counter()
        # Guards the counts of calls that are in, and the most there were.
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()

    def work(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(12):
            endpoint, stage = (
                rng.choice(self.endpoints),
                rng.choice(["score", "extract"]),
            )
            # Half of them well: five faults in a row would open the breaker.
            kind = rng.choice(self.KINDS) if rng.random() < 0.5 else "ok"
            self.call(endpoint, stage, kind)

    def call(self, endpoint: EndpointLimiter, stage: str, kind: Seen) -> None:
        with endpoint.permit(stage) as permit:
            self._count(("all", stage, endpoint.name), 1)
            wait_s = permit.note(seen(kind, retry_after_s=0.002))
            self._count(("all", stage, endpoint.name), -1)
        endpoint.sleep(min(wait_s, 0.002))

    def _count(self, names: tuple[str, ...], change: int) -> None:
        with self._lock:
            for name in names:
                self._inside[name] += change
                self.most[name] = max(self.most[name], self._inside[name])


@settings(max_examples=25)
@given(
    most=st.integers(1, 6),
    stage_limit=st.integers(1, 6),
    seed=st.integers(0, 2**32),
)
def test_random_calls_at_three_endpoints_all_end_within_all_limits(
    most: int, stage_limit: int, seed: int
) -> None:
    limiter = Limiter(most, stage_limits={"score": stage_limit})
    traffic = Traffic(limiter)
    with pool(9, limiter) as executor:
        futures = [executor.submit(traffic.work, seed + number) for number in range(9)]
        for future in futures:
            future.result(FAILSAFE_S)
    assert traffic.most["all"] <= most
    assert traffic.most["score"] <= stage_limit
    assert traffic.most["b"] <= 2
    assert (limiter.in_flight(), in_line(*traffic.endpoints)) == (0, 0)
