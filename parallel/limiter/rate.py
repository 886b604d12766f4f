"""
How many calls a second a server lets in, learned from what it refuses.

A limit on calls in flight cannot hold a rate when one call at a time already sends
too many, so this one spaces the starts. It paces on evidence only, goes on no longer
than that helps, and says nothing of how many may be in flight.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from dataclasses import dataclass
from math import inf

ENOUGH_SUCCESSES = 8
ENOUGH_REFUSED = 3
LAST_ANSWERS = 10
LAST_FOR_RIDDLES = 20
WINDOW_S = 3.0  # of what was let in at once; longer where calls take longer
CALLS = 3.0  # times as long as a call took
MEMORY_S = 30.0  # of starts and refusals, from which the rate is measured
SHORTEST_SPAN_S = 0.5
SAFETY = 0.95
SLOWER, SLOWEST = 0.97, 0.8  # times the pace, after a refusal
CAREFUL, FASTEST = 0.005, 0.02  # more after a clean round, doubling from one round on
IDLE = 2.0  # a pace this many times what is answered holds nobody back
TRIAL = 40  # answers under a pace, of which
HELPS_NOT = 3  # so many refused say that no rate was the cause
DOUBT = 100  # answers before what looks like a rate is believed again
STRETCHES = (3, 6, 12, 24)  # times the mean gap between calls that are let in
SENT_LATE_S = 0.1  # at most, between being let in and being sent


@dataclass(frozen=True, slots=True)
class _Answer:
    is_refusal: bool
    is_riddle: bool  # refused where as many had been let in: no cap explains it


class RateRule:
    """Calls a second, `pace`; None as long as nothing speaks for a rate limit."""

    def __init__(self) -> None:
        self.pace: float | None = None
        self._answers: deque[_Answer] = deque(maxlen=LAST_FOR_RIDDLES)
        self._under_pace: deque[bool] = deque(maxlen=TRIAL)
        self._starts_s: deque[float] = deque(maxlen=4096)
        self._refused_s: deque[float] = deque()  # when they were sent, in order
        self._successes_s: deque[float] = deque(maxlen=4096)
        self._total = 0
        self._most_let_in = 0
        self._most_until_s = -inf
        self._begun_s = self._cut_s = -inf  # the pace, and what it is now
        self._clean = 0
        self._faster = CAREFUL
        self._doubt = 0
        self._next_doubt = DOUBT

    def note_start(self, now_s: float) -> None:
        """A call is sent."""
        self._starts_s.append(now_s)
        _forget(self._starts_s, now_s)

    def take_back_start(self) -> None:
        """The call that was noted last was not sent after all."""
        if self._starts_s:
            self._starts_s.pop()

    def note_refused(
        self, *, is_alone: bool, in_flight: int, started_s: float, now_s: float
    ) -> bool:
        """
        One of so many calls was refused; True when a rate is to blame, and no cap.

        `is_alone` says that no other call was in flight that could be the cause.
        """
        is_riddle = (
            now_s < self._most_until_s
            and in_flight < self._most_let_in
            and self._has_emptied_a_bucket(started_s)
        )
        self._answers.append(_Answer(is_refusal=True, is_riddle=is_riddle))
        self._doubt -= 1
        insort(self._refused_s, started_s)
        _forget(self._refused_s, now_s)
        if self.pace is not None:
            self._note_refused_under_pace(started_s, now_s)
            return True
        if self._is_evident(is_alone=is_alone):
            self._begin(started_s, now_s)
        return self.pace is not None

    def note_success(
        self, *, full_limit: int | None, started_s: float, now_s: float
    ) -> None:
        """A call was answered, under `full_limit` if all permits were taken."""
        self._answers.append(_Answer(is_refusal=False, is_riddle=False))
        self._doubt -= 1
        self._successes_s.append(now_s)
        self._total += 1
        if full_limit is not None:
            self._note_let_in(full_limit, started_s, now_s)
        if self.pace is None:
            return
        self._under_pace.append(False)
        if started_s >= self._cut_s:
            self._clean += 1
        if self._clean >= LAST_ANSWERS:
            self._clean = 0
            self._speed_up(now_s)

    def _note_let_in(self, limit: int, started_s: float, now_s: float) -> None:
        if limit >= self._most_let_in or now_s >= self._most_until_s:
            self._most_let_in = limit
            self._most_until_s = now_s + max(WINDOW_S, CALLS * (now_s - started_s))

    def _is_evident(self, *, is_alone: bool) -> bool:
        if self._total < ENOUGH_SUCCESSES:
            return False
        last = list(self._answers)[-LAST_ANSWERS:]
        if is_alone and sum(one.is_refusal for one in last) >= ENOUGH_REFUSED:
            return True
        riddles = sum(one.is_riddle for one in self._answers)
        return self._doubt <= 0 and riddles >= ENOUGH_REFUSED

    def _has_emptied_a_bucket(self, until_s: float) -> bool:
        """
        Whether calls were let in so fast that a rate limit can have refused this one.

        Before it, in every stretch of time, as many as the rate allows less one: a bucket
        that refuses is empty. What is refused by chance often follows a slack stretch.
        With fewer calls let in than the longest stretch has, it is taken for slack.
        """
        since_s = self._starts_s[0] if self._starts_s else until_s
        let_in = self._let_in(since_s, until_s)
        if let_in < ENOUGH_SUCCESSES or until_s <= since_s:
            return True
        gap_s = (until_s - since_s) / let_in
        return all(
            self._let_in(until_s - calls * gap_s, until_s) >= calls - 1
            for calls in STRETCHES
        )

    def _let_in(self, since_s: float, until_s: float) -> int:
        """How many were sent after the one moment, before the other, and not refused."""
        sent, refused = (
            bisect_left(times_s, until_s) - bisect_right(times_s, since_s)
            for times_s in (self._starts_s, self._refused_s)
        )
        return sent - refused

    def _begin(self, started_s: float, now_s: float) -> None:
        measured = self._measured(started_s)
        if measured is not None:
            self.pace = SAFETY * measured
            self._begun_s = self._cut_s = now_s
            self._clean = 0
            self._faster = CAREFUL
            self._under_pace.clear()

    def _measured(self, until_s: float) -> float | None:
        """
        What was let in a second between two refusals; None when that is too little.

        A bucket is empty when it refuses, so that is its rate, without its burst.
        """
        since_s = self._refused_s[0] if self._refused_s else until_s
        let_in = self._let_in(since_s, until_s)
        if let_in < ENOUGH_SUCCESSES or until_s - since_s < SHORTEST_SPAN_S:
            return None
        return let_in / (until_s - since_s)

    def _note_refused_under_pace(self, started_s: float, now_s: float) -> None:
        # A call let in before may be sent a moment after.
        if started_s <= self._begun_s + SENT_LATE_S:
            return
        self._clean = 0
        self._faster = CAREFUL
        self._under_pace.append(True)
        if sum(self._under_pace) >= HELPS_NOT:
            self.pace = None
            self._doubt = self._next_doubt
            self._next_doubt *= 2
            return
        if self.pace is not None and started_s > self._cut_s + SENT_LATE_S:
            measured = self._measured(started_s)
            wanted = inf if measured is None else SAFETY * measured
            self.pace *= max(SLOWEST, min(SLOWER, wanted / self.pace))
            self._cut_s = now_s

    def _speed_up(self, now_s: float) -> None:
        if self.pace is None:
            return
        self.pace *= 1.0 + self._faster
        self._faster = min(FASTEST, 2 * self._faster)
        lately = len(self._successes_s) - bisect_right(
            self._successes_s, now_s - WINDOW_S
        )
        if self.pace * WINDOW_S > IDLE * lately:
            self.pace = None


def _forget(times_s: deque[float], now_s: float) -> None:
    while times_s and times_s[0] < now_s - MEMORY_S:
        times_s.popleft()
