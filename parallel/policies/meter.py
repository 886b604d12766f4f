"""
Work done per second of a place in use, by group, over a stretch of time.

It measures and compares; what to make of it is said in `throughput.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict

FEWEST_ANSWERS = 4  # of one group, to compare it
SMALLEST_SHARE = 0.5  # of the places, taken by the groups that can be compared
SMALLEST_CHANGE = 0.25  # of the places in use, to compare them


class Meter:
    """
    Counts work and the time of the places it took.

    Work over place-seconds is a speed that does not mind how many calls are in
    flight, nor that groups differ, so stretches with another mix can be compared.
    """

    def __init__(self) -> None:
        self.answers = 0
        self._in_flight: Counter[str] = Counter()
        self._since_s: float | None = None
        self._cleared_s: float | None = None
        self._work: defaultdict[str, float] = defaultdict(float)
        self._count: Counter[str] = Counter()
        self._place_s: defaultdict[str, float] = defaultdict(float)
        self._elapsed_s = 0.0

    def note_start(self, group: str, now_s: float) -> None:
        """A call of the group takes a place."""
        self._advance(now_s)
        self._in_flight[group] += 1

    def note_end(self, group: str, now_s: float) -> None:
        """It leaves the place."""
        self._advance(now_s)
        self._in_flight[group] -= 1

    def note_answer(self, group: str, work: int, *, started_s: float) -> None:
        """A call of the group was answered; an unknown amount counts as one.

        Of a call that began before `clear`, as much counts as its time since then.
        """
        self.answers += 1
        self._count[group] += 1
        self._work[group] += max(1, work) * self._share_since_clear(started_s)

    def _share_since_clear(self, started_s: float) -> float:
        if self._cleared_s is None or self._since_s is None:
            return 1.0
        whole_s = self._since_s - started_s
        if whole_s <= 0.0 or started_s >= self._cleared_s:
            return 1.0
        return max(0.0, self._since_s - self._cleared_s) / whole_s

    def clear(self, now_s: float) -> None:
        """Forget the past; the calls in flight stay in flight."""
        self.answers = 0
        self._work.clear()
        self._count.clear()
        self._place_s.clear()
        self._elapsed_s = 0.0
        self._since_s = self._cleared_s = now_s

    def fade(self) -> None:
        """Let the past count half, so that what is new outweighs it."""
        self.answers //= 2
        self._elapsed_s /= 2
        for group in self._work:
            self._work[group] /= 2
            self._place_s[group] /= 2
            self._count[group] //= 2

    def reading(self) -> Reading:
        """What was measured since the last `clear`."""
        speeds = {
            group: self._work[group] / self._place_s[group]
            for group, count in self._count.items()
            if count >= FEWEST_ANSWERS and self._place_s[group] > 0.0
        }
        total_s = sum(self._place_s.values())
        places = total_s / self._elapsed_s if self._elapsed_s > 0.0 else 0.0
        return Reading(speeds, dict(self._place_s), places)

    def _advance(self, now_s: float) -> None:
        if self._since_s is not None:
            passed_s = max(0.0, now_s - self._since_s)
            self._elapsed_s += passed_s
            for group, count in self._in_flight.items():
                if count:
                    self._place_s[group] += count * passed_s
        self._since_s = now_s


class Reading:
    """Speeds by group and the places in use, averaged over a stretch."""

    __slots__ = ("_place_s", "_speeds", "places")

    def __init__(
        self, speeds: dict[str, float], place_s: dict[str, float], places: float
    ) -> None:
        self._speeds = speeds
        self._place_s = place_s
        self.places = places

    def share_of_proportional(self, later: Reading) -> float | None:
        """
        How much of the change in places the work per second followed: 0 not, 1 all.

        None when the groups they share took less than half of the later places, or
        when the places hardly differ.
        """
        shared = self._speeds.keys() & later._speeds.keys()
        weight = sum(later._place_s[group] for group in shared)
        enough = SMALLEST_SHARE * sum(later._place_s.values())
        if not shared or not self.places or not weight or weight < enough:
            return None
        places = later.places / self.places
        if abs(places - 1.0) < SMALLEST_CHANGE:
            return None
        speed = sum(
            later._place_s[group] * later._speeds[group] / self._speeds[group]
            for group in shared
        )
        return (places * speed / weight - 1.0) / (places - 1.0)
