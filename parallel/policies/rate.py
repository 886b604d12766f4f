"""
How many calls a second a server lets in, learned from what it refuses.

A limit on calls in flight cannot hold a rate when one call at a time already sends
too many, so this one spaces the starts. It paces on evidence only, goes on no longer
than that helps, and says nothing of how many may be in flight.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf

ENOUGH_SUCCESSES = 8
ENOUGH_REFUSED = 3
LAST_ANSWERS = 10
LAST_FOR_RIDDLES = 20
WINDOW_S = 3.0
SHORTEST_SPAN_S = 0.5
SAFETY = 0.95
SLOWER = 0.9
FASTER = 1.1
CAREFUL = 1.02  # where it was refused before
SENT_LATE_S = 0.1  # at most, between being let in and being sent
IDLE = 2.0  # a pace this many times what is answered holds nobody back
TRIAL = 40  # answers under a pace, of which
HELPS_NOT = 4  # so many refused say that no rate was the cause
DOUBT = 100  # answers before what looks like a rate is believed again


@dataclass(frozen=True, slots=True)
class _Answer:
    is_refusal: bool
    is_riddle: bool  # refused where as many had been let in: no cap explains it


class RatePolicy:
    """Calls a second, `pace`; None as long as nothing speaks for a rate limit."""

    def __init__(self) -> None:
        self.pace: float | None = None
        self._answers: deque[_Answer] = deque(maxlen=LAST_FOR_RIDDLES)
        self._under_pace: deque[bool] = deque(maxlen=TRIAL)
        self._starts_s: deque[float] = deque(maxlen=4096)
        self._refusals_s: deque[float] = deque(maxlen=4096)  # when they were sent
        self._successes_s: deque[float] = deque(maxlen=4096)
        self._total = 0
        self._most_let_in = 0
        self._most_until_s = -inf
        self._cut_s = -inf
        self._ceiling = inf
        self._clean = 0
        self._doubt = 0
        self._next_doubt = DOUBT

    def note_start(self, now_s: float) -> None:
        """A call is sent."""
        self._starts_s.append(now_s)
        _forget(self._starts_s, now_s)

    def note_refused(
        self, *, is_alone: bool, limit: int, started_s: float, now_s: float
    ) -> bool:
        """
        A call was refused under `limit`; True when a rate is to blame, and no cap.

        `is_alone` says that no other call was in flight that could be the cause.
        """
        is_riddle = now_s < self._most_until_s and limit < self._most_let_in
        self._answers.append(_Answer(is_refusal=True, is_riddle=is_riddle))
        self._doubt -= 1
        if self.pace is not None:
            self._refusals_s.append(started_s)
            self._note_refused_under_pace(started_s, now_s)
            return True
        if self._is_evident(is_alone=is_alone):
            self._begin(now_s)
        self._refusals_s.append(started_s)
        return self.pace is not None

    def note_success(
        self, *, full_limit: int | None, started_s: float, now_s: float
    ) -> None:
        """A call was answered, under `full_limit` if all places were taken."""
        self._answers.append(_Answer(is_refusal=False, is_riddle=False))
        self._doubt -= 1
        self._successes_s.append(now_s)
        self._total += 1
        if full_limit is not None:
            self._note_let_in(full_limit, now_s)
        if self.pace is None:
            return
        self._under_pace.append(False)
        if started_s >= self._cut_s:
            self._clean += 1
        if self._clean >= LAST_ANSWERS:
            self._clean = 0
            self._speed_up(now_s)

    def _note_let_in(self, limit: int, now_s: float) -> None:
        if limit >= self._most_let_in or now_s >= self._most_until_s:
            self._most_let_in = limit
            self._most_until_s = now_s + WINDOW_S

    def _is_evident(self, *, is_alone: bool) -> bool:
        if self._total < ENOUGH_SUCCESSES:
            return False
        last = list(self._answers)[-LAST_ANSWERS:]
        if is_alone and sum(one.is_refusal for one in last) >= ENOUGH_REFUSED:
            return True
        riddles = sum(one.is_riddle for one in self._answers)
        return self._doubt <= 0 and riddles >= ENOUGH_REFUSED

    def _begin(self, now_s: float) -> None:
        """
        Pace at what is let in; a bucket is empty when it refuses.

        So what it let in since an earlier refusal is its rate, without its burst.
        """
        _forget(self._refusals_s, now_s)
        since_s = self._refusals_s[0] if self._refusals_s else now_s
        if now_s - since_s < SHORTEST_SPAN_S:
            return
        sent = sum(at_s > since_s for at_s in self._starts_s)
        refused = sum(at_s > since_s for at_s in self._refusals_s) + 1
        self.pace = SAFETY * max(1, sent - refused) / (now_s - since_s)
        self._cut_s = now_s
        self._ceiling = inf
        self._clean = 0
        self._under_pace.clear()

    def _note_refused_under_pace(self, started_s: float, now_s: float) -> None:
        self._clean = 0
        self._under_pace.append(True)
        if sum(self._under_pace) >= HELPS_NOT:
            self.pace = None
            self._doubt = self._next_doubt
            self._next_doubt *= 2
            return
        # A call let in before the cut may be sent a moment after it.
        if self.pace is not None and started_s > self._cut_s + SENT_LATE_S:
            self._ceiling = self.pace
            self.pace *= SLOWER
            self._cut_s = now_s

    def _speed_up(self, now_s: float) -> None:
        if self.pace is None:
            return
        # Above where it was refused, that no longer counts.
        is_far = not SAFETY / FASTER <= self.pace / self._ceiling <= 1.0
        self.pace *= FASTER if is_far else CAREFUL
        _forget(self._successes_s, now_s)
        if self.pace * WINDOW_S > IDLE * len(self._successes_s):
            self.pace = None


def _forget(times_s: deque[float], now_s: float) -> None:
    while times_s and times_s[0] < now_s - WINDOW_S:
        times_s.popleft()
