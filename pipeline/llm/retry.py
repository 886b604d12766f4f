"""
The one policy that repeats a call: sent again, asked again, or given up.

What says nothing of the call (a rate limit, an endpoint that is out, a parameter to be
left out) uses up no attempt: the limiter, or what there is left to send, bounds it. The
SDK's own retries are off and no stage loops over calls, so nothing multiplies. Jitter is
full, as in Brooker, "Exponential Backoff And Jitter" (AWS, 2015).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from pipeline.errors import LLMError, PipelineError, UnreadableReply
from pipeline.llm.call import Request
from pipeline.llm.outcome import Kind, Outcome

T = TypeVar("T")
_WAITED_OUT = (Kind.RATE, Kind.LOADING)
_CHANGED = (Kind.STEP_DOWN, Kind.BUDGET)
_FAULTS = (Kind.TRANSIENT, Kind.TIMEOUT)
_OUT = (Kind.ABSENT, Kind.DOWN)
_MOST_CHANGES = 12  # in a row; each leaves less to send, so that this is never met
CUT_FORM = "the reply was cut off at the token limit"
_LONGEST_WAIT_S = 60.0
_LONGEST_DOWN_WAIT_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Limits on repeating one call; the backoff starts from `delay_s`.

    An answer of no use is asked for again `reasks` times. An endpoint that is out, and a
    server's own hint, are waited for up to `longest_outage_s`.
    """

    attempts: int = 5
    delay_s: float = 1.0
    reasks: int = 3
    longest_outage_s: float = 900.0


class AttemptFailed(Exception):
    """One attempt without a usable answer, and how long the limiter says to wait."""

    def __init__(self, outcome: Outcome, *, wait_s: float = 0.0) -> None:
        """The outcome's own hint to a faulty call counts, too."""
        self.error: PipelineError = outcome.error or LLMError("no answer could be used")
        super().__init__(str(self.error))
        self.kind = outcome.kind
        hint_s = outcome.retry_after_s if outcome.kind in _FAULTS else None
        self.wait_s = max(wait_s, hint_s or 0.0)


class CallRetry:
    """What one call has used up, read by tenacity's stop and wait strategies."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        reasks: int,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow `reasks` more questions after answers of no use."""
        self._policy = policy
        self._reasks = reasks
        self._rng = rng
        self._clock = clock
        self._faults = 0
        self._of_no_use = 0
        self._last: Kind | None = None
        self._in_a_row = 0  # of that kind
        self._down_since_s = 0.0

    def run(
        self,
        attempt: Callable[[], T],
        *,
        sleep: Callable[[float], None],
        on_wait: Callable[[str, float], None] = lambda _reason, _seconds: None,
    ) -> T:
        """The attempt's result; its last error, unwrapped, when it is given up.

        `on_wait` hears before each wait why, and for how many seconds.
        """

        def counted() -> T:
            try:
                return attempt()
            except AttemptFailed as failed:
                self._count(failed.kind)
                raise

        def tell(state: RetryCallState) -> None:
            seconds, tries = state.upcoming_sleep, self._in_a_row
            if seconds > 0:
                again = f", try {tries}" if tries > 1 else ""
                on_wait(f"{str(_failure(state)).rstrip('.')}{again}", seconds)

        retrying = Retrying(
            retry=retry_if_exception_type(AttemptFailed),
            stop=self._is_used_up,
            wait=self._wait_s,
            sleep=lambda seconds: sleep(seconds) if seconds > 0 else None,
            before_sleep=tell,
            reraise=True,
        )
        try:
            return retrying(counted)
        except AttemptFailed as failed:
            raise failed.error from failed.__cause__

    def _count(self, kind: Kind) -> None:
        kind = Kind.STEP_DOWN if kind in _CHANGED else kind
        if kind is not self._last:
            self._last, self._in_a_row = kind, 0
            self._down_since_s = self._clock()
        self._in_a_row += 1
        self._faults += kind in _FAULTS
        self._of_no_use += kind is Kind.REASK

    def _is_used_up(self, state: RetryCallState) -> bool:
        kind = _failure(state).kind
        if kind in _WAITED_OUT:
            return False
        if kind in _OUT:
            down_s = self._clock() - self._down_since_s
            return down_s > self._policy.longest_outage_s
        if kind in _CHANGED:
            return self._in_a_row > _MOST_CHANGES
        if kind is Kind.REASK:
            return self._of_no_use > self._reasks
        return kind not in _FAULTS or self._faults >= self._policy.attempts

    def _wait_s(self, state: RetryCallState) -> float:
        failed = _failure(state)
        if failed.kind in _OUT:
            longest_s = min(_LONGEST_DOWN_WAIT_S, self._growing_s(self._in_a_row))
        elif failed.kind in _FAULTS:
            longest_s = min(_LONGEST_WAIT_S, self._growing_s(self._faults))
        else:
            return failed.wait_s
        return max(failed.wait_s, self._rng.uniform(0, longest_s))

    def _growing_s(self, times: int) -> float:
        return self._policy.delay_s * 2.0 ** min(times, 30)


def _failure(state: RetryCallState) -> AttemptFailed:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, AttemptFailed):
        raise TypeError(error)
    return error


def after_a_cut(outcome: Outcome, request: Request) -> Outcome:
    """With more room where there was a limit of ours; else it is kept, or asked again."""
    error = outcome.error or UnreadableReply(CUT_FORM)
    if request.enlarge_once():
        return replace(outcome, kind=Kind.BUDGET, error=error)
    if request.max_tokens is None and (outcome.error or request.call.schema):
        return replace(outcome, kind=Kind.REASK, error=error)
    if outcome.error is not None:  # nothing but thinking, in twice the room too
        return replace(outcome, kind=Kind.FATAL_ITEM)
    return outcome
