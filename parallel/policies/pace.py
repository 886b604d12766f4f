"""
The space between the starts of calls: stated limits, quota headers, a learned rate.

It keeps the slowest of them. It never refuses a call, it says how long to wait.
"""

from __future__ import annotations

from collections.abc import Iterator

from parallel.limit_records import Quota

SAFETY = 0.95
UNKNOWN_TOKENS = 1000.0  # of a call, until answers tell
MEMORY = 16  # answers over which the tokens of a call are averaged
CATCH_UP = 0.25  # of a gap: late wake-ups must not add up to a slower pace


def quota_rate(
    limit: float | None, remaining: float | None, reset_s: float | None
) -> float | None:
    """
    Units a second that quota headers leave; None where they say nothing.

    What is spent flows back within the reset time, so that is the rate. A window
    that has just begun has spent next to nothing: there, what remains counts.
    """
    if limit is None or remaining is None or reset_s is None:
        return None
    if limit <= 0 or remaining <= 0 or reset_s <= 0:
        return None
    return SAFETY * max(limit - remaining, remaining) / reset_s


class Pacer:
    """When the next call may start."""

    def __init__(
        self,
        *,
        requests_per_s: float | None = None,
        tokens_per_s: float | None = None,
    ) -> None:
        self.learned_per_s: float | None = None
        self._requests_per_s = requests_per_s
        self._tokens_per_s = tokens_per_s
        self._quota_per_s: float | None = None
        self._quota_tokens_per_s: float | None = None
        self._quota_until_s = 0.0
        self._tokens_a_call = UNKNOWN_TOKENS
        self._next_s = 0.0

    def hold_s(self, now_s: float) -> float:
        """Seconds before a call may start."""
        return max(0.0, self._next_s - now_s)

    def note_start(self, now_s: float) -> None:
        """A call starts now."""
        gap_s = self.gap_s(now_s)
        if gap_s > 0.0:
            self._next_s = max(self._next_s, now_s - CATCH_UP * gap_s) + gap_s

    def note_tokens(self, tokens: int) -> None:
        """An answer cost this many tokens of a quota."""
        if tokens > 0:
            self._tokens_a_call += (tokens - self._tokens_a_call) / MEMORY

    def note_quota(self, quota: Quota, now_s: float) -> None:
        """Headers came; they hold until what they count is reset."""
        requests = quota_rate(
            quota.limit_requests, quota.remaining_requests, quota.reset_requests_s
        )
        tokens = quota_rate(
            quota.limit_tokens, quota.remaining_tokens, quota.reset_tokens_s
        )
        if requests is None and tokens is None:
            return
        self._quota_per_s, self._quota_tokens_per_s = requests, tokens
        resets_s = (quota.reset_requests_s or 0.0, quota.reset_tokens_s or 0.0)
        self._quota_until_s = now_s + max(1.0, *resets_s)

    def gap_s(self, now_s: float) -> float:
        """Seconds between two starts; 0.0 when nothing limits them."""
        return max(self._gaps_s(now_s), default=0.0)

    def _gaps_s(self, now_s: float) -> Iterator[float]:
        requests = [self._requests_per_s, self.learned_per_s]
        tokens = [self._tokens_per_s]
        if now_s < self._quota_until_s:
            requests.append(self._quota_per_s)
            tokens.append(self._quota_tokens_per_s)
        yield from (1.0 / rate for rate in requests if rate)
        yield from (self._tokens_a_call / rate for rate in tokens if rate)
