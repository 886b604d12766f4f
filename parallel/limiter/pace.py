"""
When the next call may start: the space between starts, and the waits after refusals.

Of stated limits, quota headers and a learned rate the slowest counts. A refused call
waits, and now and then all others with it. Nothing is refused here: it says how long.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from math import inf

from pipeline.llm.server_words import Quota

SAFETY = 0.95
UNKNOWN_TOKENS = 1000.0  # of a call, until answers tell
MEMORY = 16  # answers over which the tokens of a call are averaged
LONG_WINDOW_S = 120.0  # from here on a quota is a stock, and no speed
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
        calls_left: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Stated limits; `calls_left` says how many calls the run has still to make."""
        self.learned_per_s: float | None = None
        self._requests_per_s = requests_per_s
        self._tokens_per_s = tokens_per_s
        self._calls_left = calls_left
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

    def take_back_start(self, now_s: float) -> None:
        """The call that was noted last was not sent after all."""
        self._next_s -= self.gap_s(now_s)

    def note_tokens(self, tokens: int) -> None:
        """An answer cost this many tokens of a quota."""
        if tokens > 0:
            self._tokens_a_call += (tokens - self._tokens_a_call) / MEMORY

    def note_quota(self, quota: Quota, now_s: float) -> None:
        """
        Headers came; they hold until what they count is reset.

        A quota of a day or an hour slows nothing as long as it holds what the run needs.
        """
        calls = self._calls_left()
        requests = self._rate(
            (quota.limit_requests, quota.remaining_requests, quota.reset_requests_s),
            needed=calls,
        )
        tokens = self._rate(
            (quota.limit_tokens, quota.remaining_tokens, quota.reset_tokens_s),
            needed=calls * self._tokens_a_call,
        )
        if requests is None and tokens is None:
            return
        self._quota_per_s, self._quota_tokens_per_s = requests, tokens
        resets_s = (quota.reset_requests_s or 0.0, quota.reset_tokens_s or 0.0)
        self._quota_until_s = now_s + max(1.0, *resets_s)

    def _rate(
        self, stated: tuple[float | None, float | None, float | None], *, needed: float
    ) -> float | None:
        _, remaining, reset_s = stated
        is_stock = reset_s is not None and reset_s > LONG_WINDOW_S
        if is_stock and remaining is not None and remaining >= needed:
            return None
        return quota_rate(*stated)

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


LONGEST_GUESS_S = 60.0
LATELY_S = 1.0
SHORT_PAUSE_S = 0.2


class RefusalWaits:
    """
    The server's hint, or a guess that widens with each refusal in a row.

    While others are being answered the refused call waits alone. A call refused with
    no other in flight speaks for all: they pause as long as it waits, or shortly
    where the server answered just now.
    """

    def __init__(self, *, longest_s: float, rng: random.Random) -> None:
        self.is_paused = False
        self._longest_s = longest_s
        self._rng = rng
        self._paused_until_s = -inf
        self._episode = 0  # refusals one after another without a success
        self._episode_s = -inf
        self._success_s = -inf
        self._short_pauses = 0

    def hold_s(self, now_s: float) -> float:
        """Seconds that the pause still lasts."""
        return max(0.0, self._paused_until_s - now_s)

    def end_pause(self) -> None:
        """A call starts again."""
        self.is_paused = False

    def note_success(self, *, started_s: float, now_s: float) -> None:
        """A call was answered."""
        self._success_s = now_s
        self._short_pauses = 0
        if started_s >= self._episode_s:
            self._episode = 0

    def note_refused(
        self, retry_after_s: float | None, *, started_s: float, now_s: float
    ) -> float:
        """Seconds that the refused call waits."""
        if started_s > self._episode_s:
            self._episode += 1
            self._episode_s = now_s
        if retry_after_s is not None and retry_after_s > 0.0:
            return min(retry_after_s, self._longest_s)
        widest_s = min(LONGEST_GUESS_S, 2.0 ** min(self._episode, 10))
        return min(self._rng.uniform(0.0, widest_s), self._longest_s)

    def pause_all(self, wait_s: float, *, is_paced: bool, now_s: float) -> float:
        """
        Hold all others: for how many seconds, 0.0 when they need not wait.

        A pace takes the place of the first pause.
        """
        if is_paced and self._episode <= 1:
            return 0.0
        if now_s - self._success_s <= LATELY_S:
            self._short_pauses += 1
            shortest_s = SHORT_PAUSE_S * 2.0 ** min(self._short_pauses - 1, 10)
            wait_s = min(wait_s, shortest_s)
        if now_s + wait_s <= self._paused_until_s:
            return 0.0
        self._paused_until_s = now_s + wait_s
        self.is_paused = True
        return wait_s
