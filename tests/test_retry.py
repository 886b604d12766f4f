"""The one policy that repeats: what uses up an attempt, and how long it waits."""

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import (
    EndpointRejected,
    ItemRejected,
    LLMError,
    PipelineError,
    RateLimited,
    RunStopped,
    Unreachable,
    UnreadableReply,
)
from pipeline.llm.outcome import Kind, Outcome
from pipeline.llm.retry import AttemptFailed, CallRetry, RetryPolicy

DOWN = Unreachable("down")
TRANSIENT = AttemptFailed(DOWN, kind=Kind.TRANSIENT)
UNREADABLE = AttemptFailed(UnreadableReply("no JSON"), kind=None)


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
    assert run([TRANSIENT] * 9) == (DOWN, 5)


def test_a_timeout_counts_as_a_fault() -> None:
    late = AttemptFailed(DOWN, kind=Kind.TIMEOUT)
    assert run([late, TRANSIENT] * 9) == (DOWN, 5)


@pytest.mark.parametrize("kind", [Kind.RATE, Kind.LOADING, Kind.STEP_DOWN])
def test_what_is_not_the_calls_fault_uses_no_attempt(kind: Kind) -> None:
    free = AttemptFailed(RateLimited("busy"), kind=kind)
    assert run([free] * 40 + [TRANSIENT] * 4 + [free] * 40) == ("answer", 85)


@pytest.mark.parametrize("kind", [Kind.TRANSIENT, Kind.TIMEOUT])
def test_a_fault_during_an_outage_uses_no_attempt(kind: Kind) -> None:
    outcome = Outcome(kind=kind, error=DOWN)
    out = AttemptFailed.from_outcome(outcome, wait_s=0.0, is_outage=True)
    assert run([out] * 40) == ("answer", 41)


@pytest.mark.parametrize("kind", [Kind.FATAL_ITEM, Kind.FATAL_RUN])
def test_an_outage_excuses_no_refusal(kind: Kind) -> None:
    refusal = Outcome(kind=kind, error=ItemRejected("no"))
    failed = AttemptFailed.from_outcome(refusal, wait_s=0.0, is_outage=True)
    error, made = run([failed] * 9)
    assert (str(error), made) == ("no", 1)


def test_a_refusal_is_not_repeated() -> None:
    for error in (ItemRejected("no"), EndpointRejected("no")):
        kind = Kind.FATAL_ITEM
        assert run([AttemptFailed(error, kind=kind)] * 9) == (error, 1)


@pytest.mark.parametrize("reasks", [0, 1, 3])
def test_an_unreadable_answer_is_asked_again_as_often_as_allowed(reasks: int) -> None:
    assert run([UNREADABLE] * reasks, reasks=reasks) == ("answer", reasks + 1)
    error, made = run([UNREADABLE] * 9, reasks=reasks)
    assert (error, made) == (UNREADABLE.error, reasks + 1)


def test_faults_and_unreadable_answers_are_counted_apart() -> None:
    failures = [TRANSIENT, UNREADABLE] * 3 + [TRANSIENT]
    assert run(failures) == ("answer", 8)


def test_a_cut_off_answer_is_asked_for_once_more() -> None:
    cut = AttemptFailed(LLMError("cut"), kind=Kind.CUT_OFF)
    assert run([cut]) == ("answer", 2)
    assert run([cut] * 9) == (cut.error, 2)


def test_the_last_error_escapes_unwrapped_with_its_cause() -> None:
    cause = ValueError("the reason")

    def attempt() -> str:
        raise AttemptFailed(DOWN, kind=Kind.FATAL_ITEM) from cause

    retry = CallRetry(RetryPolicy(), reasks=0, rng=random.Random(1))
    with pytest.raises(Unreachable) as caught:
        retry.run(attempt, sleep=lambda _s: None)
    assert caught.value is DOWN
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
    waits = [AttemptFailed(DOWN, kind=Kind.RATE, wait_s=s) for s in (2.0, 0.0, 700.0)]
    run(waits, sleep=naps.append)
    assert naps == [2.0, 700.0]


def test_a_fault_with_a_hint_waits_at_least_that_long() -> None:
    naps: list[float] = []
    outcome = Outcome(kind=Kind.TRANSIENT, error=DOWN, retry_after_s=9.0)
    run([AttemptFailed.from_outcome(outcome, wait_s=0.0)], sleep=naps.append)
    assert naps == [9.0]  # the draw is below 2
