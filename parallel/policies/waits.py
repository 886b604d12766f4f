"""
How long a refused call waits, and when all others wait with it.

It sends nothing and knows no limit.
"""

from __future__ import annotations

import random
from math import inf

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
