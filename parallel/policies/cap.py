"""
How many calls at once a server lets in, learned from what it refuses.

It knows nothing of rates or of throughput: before the first refusal it allows the
most that was asked for.
"""

from __future__ import annotations

from math import inf

SHORTEST_ROUND = 8


class CapPolicy:
    """
    One place less for each refusal, half for a timeout, more after a clean round.

    A refusal takes the place of the refused call and nothing more, so ten refused
    of sixteen leave six. Refusals that come by chance must not drive the limit to
    one: where more calls had been let in before, one refusal a round is pardoned and
    a shorter round is enough to grow; and growth doubles while nothing is refused.
    """

    def __init__(self, max_in_flight: int) -> None:
        self.limit = max_in_flight
        self._max = max_in_flight
        self._clean = 0
        self._step = 1
        self._let_in = 0  # the most at once that were let in, as far as is known
        self._since_pardon = SHORTEST_ROUND
        self._halved_s = -inf

    def note_refused(self, allowed: int) -> None:
        """A call was refused while `allowed` were let out."""
        self._step = 1
        if allowed < self._let_in and self._since_pardon >= SHORTEST_ROUND:
            self._since_pardon = 0
            return
        self._let_in = min(self._let_in, allowed)
        self.limit = max(1, min(self.limit, allowed) - 1)

    def note_timeout(self, allowed: int, *, started_s: float, now_s: float) -> None:
        """A call timed out; those sent before the last halving say nothing new."""
        self._clean = 0
        if started_s < self._halved_s:
            return
        self._halved_s = now_s
        self.limit = max(1, min(self.limit, allowed) // 2)

    def note_trouble(self) -> None:
        """A fault that is no sign of load: it only holds back growth."""
        self._clean = 0

    def note_success(self, allowed: int) -> None:
        """A call was answered, and all of `allowed` places were taken while it ran."""
        self._let_in = max(self._let_in, allowed)
        self._since_pardon += 1
        if self.limit >= self._max:
            return
        self._clean += 1
        if self._clean >= self._round:
            self._clean = 0
            self.limit = min(self._max, self.limit + self._step)
            self._step *= 2

    @property
    def _round(self) -> int:
        if self.limit < self._let_in:
            return self.limit
        return max(self.limit, SHORTEST_ROUND)
