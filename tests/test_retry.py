"""The one policy that repeats: what uses up an attempt, and how long it waits."""

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import (
    EndpointRejected,
    ItemRejected,
    PipelineError,
    RateLimited,
    RunStopped,
    Unreachable,
    UnreadableReply,
)
from pipeline.llm.outcome import Kind, Outcome
from pipeline.llm.retry import AttemptFailed, CallRetry, RetryPolicy
from tests.fakes import FakeClock

OUT = Unreachable("down")


def failed(
    kind: Kind,
    error: PipelineError = OUT,
    *,
    wait_s: float = 0.0,
    hint_s: float | None = None,
) -> AttemptFailed:
    outcome = Outcome(kind=kind, error=error, retry_after_s=hint_s)
    return AttemptFailed(outcome, wait_s=wait_s)


TRANSIENT = failed(Kind.TRANSIENT)
UNREADABLE = failed(Kind.REASK, UnreadableReply("no JSON"))


class Attempts:
    """Fails as told, one failure an attempt, then answers."""

    def __init__(self, failures: Sequence[AttemptFailed]) -> None:
        self._failures = list(failures)
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        if self.made <= len(self._failures):
            raise self._failures[self.made - 1]
        return "answer"


def run(
    failures: Sequence[AttemptFailed],
    *,
    reasks: int = 3,
    delay_s: float = 1.0,
    sleep: Callable[[float], None] = lambda _s: None,
) -> tuple[object, int]:
    """The answer or the error, and how many attempts were made."""
    attempts = Attempts(failures)
    retry = CallRetry(RetryPolicy(delay_s=delay_s), reasks=reasks, rng=random.Random(1))
    try:
        return retry.run(attempts, sleep=sleep), attempts.made
    except PipelineError as error:
        return error, attempts.made


def test_an_answer_is_asked_for_once() -> None:
    assert run([]) == ("answer", 1)


def test_a_fault_is_repeated_up_to_five_attempts() -> None:
    assert run([TRANSIENT] * 4) == ("answer", 5)
    assert run([TRANSIENT] * 9) == (OUT, 5)


def test_a_timeout_counts_as_a_fault() -> None:
    assert run([failed(Kind.TIMEOUT), TRANSIENT] * 9) == (OUT, 5)


@pytest.mark.parametrize("kind", [Kind.RATE, Kind.LOADING, Kind.DOWN])
def test_what_is_not_the_calls_fault_uses_no_attempt(kind: Kind) -> None:
    free = failed(kind)
    assert run([free] * 40 + [TRANSIENT] * 4 + [free] * 40) == ("answer", 85)


def test_what_is_changed_uses_no_attempt_and_has_an_end() -> None:
    changed = [failed(Kind.STEP_DOWN), failed(Kind.BUDGET)] * 6
    assert run(changed + [TRANSIENT] * 4) == ("answer", 17)
    assert run([*changed, failed(Kind.STEP_DOWN)]) == (OUT, 13)


def outage(*seconds: float, longest_s: float = 100.0) -> tuple[object, int]:
    """The last error of a call tried at these seconds, and how many were left."""
    moments = iter(seconds)
    clock = FakeClock()

    def attempt() -> str:
        clock.now_s = next(moments)
        raise failed(Kind.DOWN, Unreachable(f"down at {clock.now_s:.0f}"))

    policy = RetryPolicy(longest_outage_s=longest_s)
    retry = CallRetry(policy, reasks=0, rng=random.Random(1), clock=clock)
    try:
        return retry.run(attempt, sleep=lambda _s: None), 0
    except Unreachable as error:
        return str(error), len(list(moments))


def test_an_outage_is_waited_for_and_not_for_ever() -> None:
    assert outage(0, 50, 100, 101, 102) == ("down at 101", 1)
    assert outage(500, 550, 600, 601) == ("down at 601", 0)


def test_an_answer_of_another_kind_begins_an_outage_anew() -> None:
    clock = FakeClock()
    kinds = iter([Kind.DOWN, Kind.RATE, Kind.DOWN, Kind.DOWN])
    tried = []

    def attempt() -> str:
        clock.now_s += 60.0
        kind = next(kinds, None)
        tried.append(kind)
        if kind is None:
            return "answer"
        raise failed(kind)

    policy = RetryPolicy(longest_outage_s=100.0)
    retry = CallRetry(policy, reasks=0, rng=random.Random(1), clock=clock)
    assert retry.run(attempt, sleep=lambda _s: None) == "answer"
    assert len(tried) == 5


def test_a_refusal_is_not_repeated() -> None:
    for error in (ItemRejected("no"), EndpointRejected("no")):
        for kind in (Kind.FATAL_ITEM, Kind.FATAL_RUN):
            assert run([failed(kind, error)] * 9) == (error, 1)


@pytest.mark.parametrize("reasks", [0, 1, 3])
def test_an_unreadable_answer_is_asked_again_as_often_as_allowed(reasks: int) -> None:
    assert run([UNREADABLE] * reasks, reasks=reasks) == ("answer", reasks + 1)
    error, made = run([UNREADABLE] * 9, reasks=reasks)
    assert (error, made) == (UNREADABLE.error, reasks + 1)


def test_faults_and_unreadable_answers_are_counted_apart() -> None:
    failures = [TRANSIENT, UNREADABLE] * 3 + [TRANSIENT]
    assert run(failures) == ("answer", 8)


def test_the_last_error_escapes_unwrapped_with_its_cause() -> None:
    cause = ValueError("the reason")

    def attempt() -> str:
        raise failed(Kind.FATAL_ITEM) from cause

    retry = CallRetry(RetryPolicy(), reasks=0, rng=random.Random(1))
    with pytest.raises(Unreachable) as caught:
        retry.run(attempt, sleep=lambda _s: None)
    assert caught.value is OUT
    assert caught.value.__cause__ is cause


def test_an_error_that_is_no_attempts_failure_passes_at_once() -> None:
    def attempt() -> str:
        raise LookupError("a bug")

    retry = CallRetry(RetryPolicy(), reasks=9, rng=random.Random(1))
    with pytest.raises(LookupError, match="a bug"):
        retry.run(attempt, sleep=lambda _s: None)


def test_a_wait_that_is_ended_ends_the_call() -> None:
    def stopped(_seconds: float) -> None:
        raise RunStopped("stop")

    error, made = run([TRANSIENT] * 9, sleep=stopped)
    assert (type(error), made) == (RunStopped, 1)


@given(seed=st.integers(), delay_s=st.floats(0, 1e6))
def test_the_jitter_is_full_and_bounded(seed: int, delay_s: float) -> None:
    naps: list[float] = []
    policy = RetryPolicy(attempts=12, delay_s=delay_s)
    retry = CallRetry(policy, reasks=0, rng=random.Random(seed))
    retry.run(Attempts([TRANSIENT] * 11), sleep=naps.append)
    bounds = [min(60.0, delay_s * 2**k) for k in range(1, 12)]
    same = random.Random(seed)
    drawn = [same.uniform(0, bound) for bound in bounds]
    assert naps == [wait_s for wait_s in drawn if wait_s > 0]


def test_free_repeats_wait_as_the_limiter_says() -> None:
    naps: list[float] = []
    waits = [failed(Kind.RATE, wait_s=s) for s in (2.0, 0.0, 700.0)]
    run(waits, sleep=naps.append)
    assert naps == [2.0, 700.0]


def test_a_fault_with_a_hint_waits_at_least_that_long() -> None:
    naps: list[float] = []
    run([failed(Kind.TRANSIENT, hint_s=9.0)], sleep=naps.append)
    assert naps == [9.0]  # the draw is below 2


@given(seed=st.integers(), held_s=st.floats(0, 20))
def test_an_endpoint_that_is_out_is_tried_again_within_seconds(
    seed: int, held_s: float
) -> None:
    naps: list[float] = []
    retry = CallRetry(RetryPolicy(), reasks=0, rng=random.Random(seed))
    downs = [failed(Kind.DOWN, wait_s=held_s)] * 12
    retry.run(Attempts(downs), sleep=naps.append)
    for number, nap in enumerate(naps, 1):
        assert held_s <= nap <= max(held_s, min(8.0, 2.0**number))


def test_what_is_waited_for_is_told_before_the_wait() -> None:
    told: list[object] = []
    failures = [
        failed(Kind.RATE, RateLimited("429: slow down"), wait_s=40.0),
        failed(Kind.DOWN, Unreachable("refused"), wait_s=9.0),
        failed(Kind.DOWN, Unreachable("refused"), wait_s=9.0),
        failed(Kind.STEP_DOWN),
    ]
    retry = CallRetry(RetryPolicy(), reasks=0, rng=random.Random(1))
    retry.run(
        Attempts(failures),
        sleep=told.append,
        on_wait=lambda reason, seconds: told.append((reason, seconds)),
    )
    assert told == [
        ("429: slow down", 40.0),
        40.0,
        ("refused", 9.0),
        9.0,
        ("refused, try 2", 9.0),
        9.0,
    ]
