"""
How many calls at once: as many as a server lets in, and as it works on.

Two rules that know nothing of rates; the smaller limit counts, and before anything
speaks against it, it is the most that was asked for. The one learns from refusals. The
other is for servers that queue without bound and never refuse (vLLM, llama.cpp and their
kin). There too many calls in flight cost nothing but latency, until waiting breaks the
timeout; too few cost the user's time. So the burden of proof is on the cut: it comes
when the silence before a first piece nears the timeout, it must be seen to help, and
where it does not (a model that thinks is silent too) it is undone for good.
"""

from __future__ import annotations

from math import inf
from statistics import median

SHORTEST_ROUND = 8
FEW = 3  # refusals of a round that may be chance


class CapRule:
    """
    One call less for each refusal, half for a timeout, more after a clean round.

    A refusal takes the place of the refused call and nothing more, so ten refused
    of sixteen leave six. Refusals that come by chance must not drive the limit to
    one: where more calls had been let in before, one refusal a round is pardoned and
    a shorter round is enough to grow; a cut by the few refusals of a round is undone
    after it; and growth doubles while nothing is refused.
    """

    def __init__(self, max_in_flight: int) -> None:
        self.limit = max_in_flight
        self._max = max_in_flight
        self._clean = 0
        self._step = 1
        self._refusals = 0  # of this round, and the limit before the first
        self._before = max_in_flight
        self._let_in = 0  # the most at once that were let in, as far as is known
        self._since_pardon = SHORTEST_ROUND
        self._halved_s = -inf

    def note_refused(self, in_flight: int) -> None:
        """A call was refused; with it, so many were in flight."""
        self._step = 1
        if in_flight < self._let_in and self._since_pardon >= SHORTEST_ROUND:
            self._since_pardon = 0
            return
        if not self._refusals:
            self._before = self.limit
        self._refusals += 1
        self._let_in = min(self._let_in, in_flight)
        self.limit = max(1, min(self.limit, in_flight) - 1)

    def note_timeout(self, in_flight: int, *, started_s: float, now_s: float) -> None:
        """A call timed out; those sent before the last halving say nothing new."""
        self._clean = 0
        if started_s < self._halved_s:
            return
        self._halved_s = now_s
        self.limit = self._before = max(1, min(self.limit, in_flight) // 2)

    def note_trouble(self) -> None:
        """A fault that is no sign of load: it only holds back growth."""
        self._clean = 0

    def note_success(self, allowed: int) -> None:
        """A call was answered, and all of `allowed` permits were taken while it ran."""
        self._let_in = max(self._let_in, allowed)
        self._since_pardon += 1
        if self.limit >= self._max:
            return
        self._clean += 1
        if self._clean >= self._round:
            self._clean = 0
            grown = min(self._max, self.limit + self._step)
            self.limit = (
                max(grown, self._before) if 0 < self._refusals <= FEW else grown
            )
            self._step *= 2
            self._refusals = 0

    @property
    def _round(self) -> int:
        if self.limit < self._let_in:
            return self.limit
        return max(self.limit, SHORTEST_ROUND)


NEAR = 1 / 3  # of the timeout: so long a silence is a warning
FAR = 1 / 10  # of the timeout: so short a one lets the limit grow
HELPED = 0.5  # of the silence that led to the cut
FEWEST = 4  # first pieces that say whether a cut helped


class FirstPieceRule:
    """
    `limit` calls at once; None as long as nothing speaks against any number.

    By Little's law a server has in work what it answers a second times the time that an
    answer takes. Streams show it directly: the calls that are being written. Times are
    seconds of one clock; a `call` is any hashable that tells calls apart.
    """

    def __init__(self, timeout_s: float | None) -> None:
        self.limit: int | None = None
        self._timeout_s = inf if timeout_s is None else timeout_s
        self._silent: dict[object, float] = {}  # by call, in the order of their starts
        self._written: set[object] = set()
        self._most_written = 0
        self._has_ended = False  # a call that had been written
        self._is_off = timeout_s is None
        self._cut_s = inf
        self._silence_at_cut_s = 0.0
        self._is_proven = False
        self._silences_s: list[float] = []

    def note_start(self, call: object, now_s: float) -> None:
        """A call is sent."""
        self._silent[call] = now_s

    def note_first_piece(self, call: object, *, in_flight: int, now_s: float) -> None:
        """The server begins to answer the call."""
        started_s = self._silent.pop(call, None)
        if started_s is None:
            return
        self._written.add(call)
        self._most_written = max(self._most_written, len(self._written))
        self._judge(started_s, now_s - started_s, in_flight=in_flight)
        self._look(in_flight, now_s)

    def note_end(self, call: object, *, in_flight: int, now_s: float) -> None:
        """The call is over, in whatever way."""
        self._silent.pop(call, None)
        if call in self._written:
            self._written.remove(call)
            self._has_ended = True
        self._look(in_flight, now_s)

    def explains_timeout(
        self, started_s: float, *, in_flight: int, now_s: float
    ) -> bool:
        """
        Whether a call timed out in the server's queue, so that no other rule need act.

        It did where others were written meanwhile. The cut is made if it was not yet.
        """
        if self._is_off or not self._has_ended:
            return False
        if self.limit is None:
            self._cut(now_s - started_s, in_flight=in_flight, now_s=now_s)
        return self.limit is not None and started_s <= self._cut_s

    def _look(self, in_flight: int, now_s: float) -> None:
        """Cut when a call is silent for too long although others were served."""
        # A model that is only being loaded is silent to all, and has served none.
        if self._is_off or self.limit is not None or not self._has_ended:
            return
        oldest_s = next(iter(self._silent.values()), now_s)
        if now_s - oldest_s > NEAR * self._timeout_s:
            self._cut(now_s - oldest_s, in_flight=in_flight, now_s=now_s)

    def _cut(self, silence_s: float, *, in_flight: int, now_s: float) -> None:
        limit = self._most_written + 1  # one waits, so that nothing stands idle
        if limit < in_flight:
            self.limit = limit
            self._cut_s = now_s
            self._silence_at_cut_s = silence_s
            self._silences_s.clear()

    def _judge(self, started_s: float, silence_s: float, *, in_flight: int) -> None:
        """What a silence says of the cut that is in force."""
        if self.limit is None or started_s < self._cut_s or in_flight > self.limit:
            return
        self._silences_s.append(silence_s)
        if len(self._silences_s) < max(FEWEST, self.limit):
            return
        if not self._is_proven:
            if median(self._silences_s) > HELPED * self._silence_at_cut_s:
                self.limit, self._is_off = None, True
                return
            self._is_proven = True
        if max(self._silences_s) < FAR * self._timeout_s:
            self.limit += 1
        self._silences_s.clear()
