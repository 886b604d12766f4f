"""
The one policy that repeats a call: sent again, asked again, or given up.

Rate limits and a server that starts up use up no attempt: the limiter bounds them. The
SDK's own retries are off and no stage loops over calls, so nothing multiplies. Jitter
is full, as in Brooker, "Exponential Backoff And Jitter" (AWS, 2015).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from pipeline.errors import LLMError, PipelineError
from pipeline.llm.outcome import Kind, Outcome

T = TypeVar("T")
_FREE = (Kind.RATE, Kind.LOADING, Kind.STEP_DOWN)
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Limits on repeating one call; the backoff starts from `delay_s`.

    An answer in the wrong form is asked for again `reasks` times. A server's own hint
    is obeyed up to `longest_hint_s`.
    """

    attempts: int = 5
    delay_s: float = 1.0
    reasks: int = 3
    longest_hint_s: float = 900.0


class AttemptFailed(Exception):
    """One attempt's error, what it means, and how long the limiter says to wait."""

    def __init__(
        self,
        error: PipelineError,
        *,
        kind: Kind | None,
        wait_s: float = 0.0,
        is_free: bool = False,
    ) -> None:
        """`kind` None is an answer in the wrong form; `is_free` uses up no attempt."""
        super().__init__(str(error))
        self.error = error
        self.kind = kind
        self.wait_s = wait_s
        self.is_free = is_free or kind in _FREE

    @classmethod
    def from_outcome(
        cls, outcome: Outcome, *, wait_s: float, is_outage: bool = False
    ) -> AttemptFailed:
        """The failure that an outcome without an answer is; an outage's is free."""
        error = outcome.error or LLMError("the answer was cut off")
        if outcome.kind is Kind.TRANSIENT and outcome.retry_after_s is not None:
            wait_s = max(wait_s, outcome.retry_after_s)
        is_free = is_outage and outcome.kind in (Kind.TRANSIENT, Kind.TIMEOUT)
        return cls(error, kind=outcome.kind, wait_s=wait_s, is_free=is_free)


class CallRetry:
    """What one call has used up, read by tenacity's stop and wait strategies."""

    def __init__(self, policy: RetryPolicy, *, reasks: int, rng: random.Random) -> None:
        """Allow `reasks` more questions after answers in the wrong form."""
        self._policy = policy
        self._reasks = reasks
        self._rng = rng
        self._transients = 0
        self._unreadable = 0
        self._enlarged = 0

    def run(self, attempt: Callable[[], T], *, sleep: Callable[[float], None]) -> T:
        """The attempt's result; its last error, unwrapped, when it is given up."""
        retrying = Retrying(
            retry=retry_if_exception_type(AttemptFailed),
            stop=self._is_used_up,
            wait=self._wait_s,
            sleep=lambda seconds: sleep(seconds) if seconds > 0 else None,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except AttemptFailed as failed:
            raise failed.error from failed.__cause__

    def _is_used_up(self, state: RetryCallState) -> bool:
        failed = _failure(state)
        if failed.is_free:
            return False
        if failed.kind is None:
            self._unreadable += 1
            return self._unreadable > self._reasks
        if failed.kind is Kind.CUT_OFF:
            self._enlarged += 1
            return self._enlarged > 1
        if failed.kind in (Kind.TRANSIENT, Kind.TIMEOUT):
            self._transients += 1
            return self._transients >= self._policy.attempts
        return True

    def _wait_s(self, state: RetryCallState) -> float:
        failed = _failure(state)
        if failed.is_free or failed.kind not in (Kind.TRANSIENT, Kind.TIMEOUT):
            return failed.wait_s
        longest_s = self._policy.delay_s * 2.0 ** (self._transients + 1)
        jitter_s = self._rng.uniform(0, min(_LONGEST_WAIT_S, longest_s))
        return max(min(failed.wait_s, self._policy.longest_hint_s), jitter_s)


def _failure(state: RetryCallState) -> AttemptFailed:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, AttemptFailed):
        raise TypeError(error)
    return error
