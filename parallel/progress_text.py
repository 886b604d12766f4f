"""
Counts of finished work, and how they read on a line of a given width.

Pure: no terminal, no clock, no lock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

PERCENT_COLUMNS = 5  # "100%|"
MIN_BAR_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class ProgressSnapshot:
    """One stage at one moment; started items include those that have ended since."""

    stage_name: str
    total: int
    started: int
    done: int
    failed: int
    skipped: int

    @property
    def finished(self) -> int:
        """Items that nothing more will happen to."""
        return self.done + self.failed + self.skipped

    @property
    def is_finished(self) -> bool:
        """Nothing is left to do in this stage, as far as is known."""
        return self.finished >= self.total

    def __str__(self) -> str:
        """The stage on a progress line: score 4/15."""
        return f"{self.stage_name} {self.finished}/{max(self.total, self.finished)}"


@dataclass(frozen=True, slots=True)
class BoardSnapshot:
    """All stages, in the order in which they were announced."""

    stages: tuple[ProgressSnapshot, ...]

    @property
    def total(self) -> int:
        """Items of all stages; never fewer than have finished."""
        return sum(max(stage.total, stage.finished) for stage in self.stages)

    @property
    def started(self) -> int:
        """Items that were started, over all stages."""
        return sum(stage.started for stage in self.stages)

    @property
    def finished(self) -> int:
        """Items that nothing more will happen to, over all stages."""
        return sum(stage.finished for stage in self.stages)

    @property
    def worked(self) -> int:
        """Items that took time: done or failed, not skipped."""
        return sum(stage.done + stage.failed for stage in self.stages)

    @property
    def failed(self) -> int:
        """Items that failed, over all stages."""
        return sum(stage.failed for stage in self.stages)

    @property
    def percent(self) -> int:
        """Whole percent, rounded down: 100 only when all is finished."""
        return 100 * self.finished // self.total if self.total else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineParts:
    """What one progress line tells."""

    board: BoardSnapshot
    in_flight: int | None  # None: unknown, and not told
    time: str  # "ETA 01:23"
    separator: str = " · "


def line_texts(parts: LineParts) -> Iterator[str]:
    """The line without its bar, from the fullest form to the shortest."""
    known = [stage for stage in parts.board.stages if stage.total or stage.finished]
    begun = [stage for stage in known if stage.started or stage.finished]
    under_way = [stage for stage in begun if not stage.is_finished]
    flight = "" if parts.in_flight is None else f"{parts.in_flight} in flight"
    failed = f"{parts.board.failed} failed" if parts.board.failed else ""
    count = f"{parts.board.finished}/{parts.board.total}"
    for stages in (known, begun, under_way):
        if stages:
            names = " ".join(map(str, stages))
            yield _joined(parts, names, flight, failed, parts.time)
    yield _joined(parts, count, flight, failed, parts.time)
    yield _joined(parts, count, failed, parts.time)
    yield _joined(parts, failed, parts.time)
    yield count


def bar_format(parts: LineParts, columns: int) -> str:
    """tqdm's format for the fullest line that leaves the bar its least width."""
    room = columns - PERCENT_COLUMNS - MIN_BAR_COLUMNS - len("| ")
    text = next((text for text in line_texts(parts) if len(text) <= room), "")
    told = text.replace("{", "{{").replace("}", "}}")
    return f"{parts.board.percent:3d}%|{{bar}}| {told}"


def time_left_s(*, left: int, worked: int, elapsed_s: float) -> float | None:
    """Seconds that the rest takes at the pace so far; None before a pace is known."""
    return elapsed_s * left / worked if worked > 0 else None


def _joined(parts: LineParts, *words: str) -> str:
    return parts.separator.join(filter(None, words))
