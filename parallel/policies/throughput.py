"""
How many calls at once are worth it, learned from the work that is done per second.

Servers that queue without bound never refuse; more calls than they serve at once
only wait longer. This rule doubles and halves, measures, and keeps what pays. It
says nothing of refusals, and below a maximum of 16 nothing at all: up to there the
user's own number holds.
"""

from __future__ import annotations

from parallel.policies.meter import Meter, Reading

START = 16
WORTH_IT = 0.4  # of what is proportional
FEWEST = 12  # answers of a trial, to see a plain loss
ENOUGH = {2.0: 24, 0.5: 16}  # to see anything; the double needs most of a round
MOST = 3  # times enough
WORTHLESS, WORTHY, PLAIN_LOSS = 0.2, {2.0: 0.8, 0.5: 0.6}, 1.0  # beyond doubt
HOLD_ROUNDS = {2.0: 4, 0.5: 8}  # before what did not pay is tried again, then longer
LONGEST_HOLD = 64
TOO_CLOSE = 1.5  # a step up too small to measure is taken unmeasured


class ThroughputPolicy:
    """A limit that doubles while that pays and halves while that costs little."""

    def __init__(self, max_in_flight: int) -> None:
        self.limit = min(START, max_in_flight)
        self._max = max_in_flight
        self._meter = Meter()
        self._base: Reading | None = None  # what a trial is compared with
        self._base_limit = self.limit
        self._is_settled = True
        self._to_settle = 0
        self._clean = 0
        # A direction that did not pay rests this many answers, each time longer.
        self._rest = {2.0: 0, 0.5: 0}
        self._hold = dict(HOLD_ROUNDS)
        self._may_halve = False

    @property
    def is_active(self) -> bool:
        """There is something to decide."""
        return self._max > START

    def note_start(self, group: str, now_s: float) -> None:
        """A call starts."""
        if self.is_active:
            self._meter.note_start(group, now_s)

    def note_end(self, group: str, now_s: float) -> None:
        """A call ends, in whatever way."""
        if self.is_active:
            self._meter.note_end(group, now_s)

    def note_trouble(self) -> None:
        """An answer that speaks against growth: the round is not clean."""
        self._clean = 0

    def note_success(
        self,
        group: str,
        work: int,
        *,
        in_flight: int,
        allowed: int,
        started_s: float,
        now_s: float,
    ) -> None:
        """A call was answered; `allowed` is what all other rules let out."""
        if not self.is_active:
            return
        if allowed < self.limit and allowed <= self._base_limit:
            self._drop_trial(now_s)
            return
        self._meter.note_answer(group, work, started_s=started_s)
        self._clean += 1
        for way in self._rest:
            self._rest[way] -= 1
        if not self._settle(in_flight, now_s):
            return
        if self._base is None:
            self._consider(now_s)
        else:
            self._judge(self._base, now_s)

    def _settle(self, in_flight: int, now_s: float) -> bool:
        """Whether what is seen now belongs to the present limit alone."""
        if self._is_settled:
            return True
        if in_flight <= self.limit:
            self._to_settle -= 1
        if self._to_settle <= 0:
            self._is_settled = True
            self._meter.clear(now_s)
        return False

    @property
    def _round(self) -> int:
        return max(self.limit, START)

    def _consider(self, now_s: float) -> None:
        """Enough measured at this limit: try the double or the half."""
        if self._meter.answers < self._round:
            return
        reading = self._meter.reading()
        is_full = reading.places >= 0.75 * self.limit
        if is_full and self._clean >= self._round and self._can(2.0):
            self._try(2.0, reading, now_s)
        elif is_full and self._can(0.5):
            self._try(0.5, reading, now_s)
        elif self._meter.answers >= 3 * self._round:
            self._meter.fade()

    def _can(self, way: float) -> bool:
        if self._rest[way] > 0:
            return False
        if way > 1.0:
            return self.limit < self._max
        return self.limit > 1 and self._may_halve

    def _try(self, way: float, reading: Reading, now_s: float) -> None:
        target = min(self._max, max(1, int(self.limit * way)))
        if self.limit < target < TOO_CLOSE * self.limit:
            self._base_limit = target
            self._may_halve = True
        else:
            self._base = reading
            self._base_limit = self.limit
        self._move(target, now_s)

    def _judge(self, base: Reading, now_s: float) -> None:
        """Enough measured in a trial: keep it or go back."""
        answers = self._meter.answers
        if answers < FEWEST:
            return
        way = self._way
        enough = max(ENOUGH[way], 0.75 * self.limit if way > 1.0 else 0)
        is_last = answers >= MOST * enough
        share = base.share_of_proportional(self._meter.reading())
        if share is None:
            if is_last:
                self._move(self._base_limit, now_s)
            return
        is_clear = answers >= enough and not WORTHLESS < share < WORTHY[way]
        # Half the places for nothing cost time: no need to be sure of that.
        is_loss = way < 1.0 and share >= PLAIN_LOSS
        if is_clear or is_loss or is_last:
            self._conclude(is_more_better=share >= WORTH_IT, now_s=now_s)

    @property
    def _way(self) -> float:
        return 2.0 if self.limit > self._base_limit else 0.5

    def _conclude(self, *, is_more_better: bool, now_s: float) -> None:
        way = self._way
        if is_more_better == (way > 1.0):
            self._keep(way)
        else:
            self._put_to_rest(way)
            self._move(self._base_limit, now_s)

    def _keep(self, way: float) -> None:
        """The trial's limit is the limit; the way back is known not to pay."""
        self._base = None
        self._base_limit = self.limit
        self._may_halve = True
        self._hold = dict(HOLD_ROUNDS)
        self._put_to_rest(1.0 / way)

    def _put_to_rest(self, way: float) -> None:
        self._may_halve = True
        self._rest[way] = self._hold[way] * self._round
        self._hold[way] = min(LONGEST_HOLD, self._hold[way] * 2)

    def _drop_trial(self, now_s: float) -> None:
        """Another rule holds the calls below what was to be compared."""
        if self._base is not None:
            self._move(self._base_limit, now_s)
        self._meter.clear(now_s)
        self._clean = 0

    def _move(self, limit: int, now_s: float) -> None:
        is_back = limit == self._base_limit
        self.limit = limit
        if is_back:
            self._base = None
        self._is_settled = False
        # The calls that outlive a cut are the long ones, sent before it: let them go.
        self._to_settle = limit if limit < self._base_limit else limit // 2
        self._clean = 0
        self._meter.clear(now_s)
