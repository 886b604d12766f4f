"""
How far the work is, counted by any thread: a tracker counts one stage, a board them all.

Neither draws: workers never touch the bar, which one thread draws from snapshots.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tqdm import tqdm

from parallel.errors import first_line
from pipeline.work import Item

STATUSES = ("started", "done", "failed")


class Bar(tqdm):  # type: ignore[type-arg]  # tqdm cannot be subscripted when it runs
    """A tqdm of this process alone: no monitor thread, no semaphore of the system."""

    monitor_interval = 0


Bar.set_lock(threading.RLock())


def write_above_bar(line: str) -> None:
    """One line on stderr, above any progress bar; lost where nobody can read it."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            Bar.write(line, file=sys.stderr)


@dataclass(frozen=True, slots=True)
class ProgressSnapshot:
    """One stage at one moment; started items include those that have ended since."""

    stage_name: str
    total: int
    started: int = 0
    done: int = 0
    failed: int = 0

    @property
    def finished(self) -> int:
        """Items that nothing more will happen to."""
        return self.done + self.failed

    @property
    def expected(self) -> int:
        """Items of the stage; never fewer than have finished."""
        return max(self.total, self.finished)

    def __str__(self) -> str:
        """The stage on a progress line: score 4/15."""
        return f"{self.stage_name} {self.finished}/{self.expected}"


class ThreadSafeProgressTracker:
    """Counts the items of one stage by their latest status, from any thread."""

    def __init__(
        self,
        total_items: int,
        stage_name: str,
        verbose: bool = False,
        *,
        on_progress: Callable[[ProgressSnapshot], None] | None = None,
        write: Callable[[str], None] = write_above_bar,
    ) -> None:
        """Count from nothing; verbose writes one line for each item that ends."""
        self._stage_name = stage_name
        self._verbose = verbose
        self._on_progress = on_progress
        self._write = write
        self._lock = threading.Lock()  # guards _total, _statuses and _counts
        self._total = total_items
        self._statuses: dict[Hashable, str] = {}
        self._counts: Counter[str] = Counter()

    def update_progress(self, item_id: Hashable, status: str) -> None:
        """
        Note an item's new status: started, done or failed.

        Done is final; a failed item may start again. A status that an item has already
        is no news. Callbacks may arrive out of order.
        """
        if status not in STATUSES:
            message = f"status must be one of {', '.join(STATUSES)}, got {status!r}"
            raise ValueError(message)
        with self._lock:
            before = self._statuses.get(item_id)
            if before in (status, "done"):
                return
            self._statuses[item_id] = status
            self._counts[status] += 1
            if before is not None:
                self._counts[before] -= 1
            snapshot = self._count()
        # Outside: a slow terminal must not stall workers.
        if self._verbose and status != "started":
            self._write(f"{snapshot}: {first_line(str(item_id))} {status}")
        if self._on_progress:
            self._on_progress(snapshot)

    def add_total(self, n: int) -> None:
        """Expect n more items, or fewer when n is negative."""
        with self._lock:
            self._total += n

    def snapshot(self) -> ProgressSnapshot:
        """The counts at this moment, all of the same moment."""
        with self._lock:
            return self._count()

    def _count(self) -> ProgressSnapshot:
        return ProgressSnapshot(
            stage_name=self._stage_name,
            total=self._total,
            started=sum(self._counts.values()),
            done=self._counts["done"],
            failed=self._counts["failed"],
        )


LostWith = Callable[[Item, Mapping[str, int]], Mapping[str, int]]


class ProgressBoard:
    """
    The progress of a whole run: one tracker a stage, in the order of announcement.

    A failed item takes the work that hangs on it along: `lost_with(item, failed)` says
    how many items of which stages; `failed` counts those that failed before, by stage.
    """

    def __init__(
        self,
        planned: Mapping[str, int],
        *,
        lost_with: LostWith = lambda _item, _failed: {},
        verbose: bool = False,
        write: Callable[[str], None] = write_above_bar,
    ) -> None:
        """Expect `planned` items by stage."""
        self._lost_with = lost_with
        self._verbose = verbose
        self._write = write
        self._lock = threading.Lock()  # guards _trackers
        self._trackers: dict[str, ThreadSafeProgressTracker] = {}
        for stage, count in planned.items():
            if count:
                self.tracker(stage, count)

    def tracker(self, stage: str, total: int = 0) -> ThreadSafeProgressTracker:
        """The stage's one tracker, which from now on expects `total` more items."""
        with self._lock:
            tracker = self._trackers.get(stage)
            if tracker is None:
                tracker = ThreadSafeProgressTracker(
                    0, stage, self._verbose, write=self._write
                )
                self._trackers[stage] = tracker
        tracker.add_total(total)
        return tracker

    def note_more(self, items: Sequence[Item]) -> None:
        """Expect work that was not foreseen."""
        for item in items:
            self.tracker(item.stage, 1)

    def note_started(self, stage: str, name: str) -> None:
        """One item is under way."""
        self.tracker(stage).update_progress(name, "started")

    def note_done(self, stage: str, name: str) -> None:
        """One item is there."""
        self.tracker(stage).update_progress(name, "done")

    def note_failed(self, stage: str, name: str) -> None:
        """One item was given up, and with it what would have followed."""
        failed = {each.stage_name: each.failed for each in self.snapshot()}
        self.tracker(stage).update_progress(name, "failed")
        for later, count in self._lost_with(Item(stage, name), failed).items():
            self.tracker(later, -count)

    def items_left(self) -> int:
        """Items that have not ended, of all that are expected."""
        return sum(each.expected - each.finished for each in self.snapshot())

    def snapshot(self) -> list[ProgressSnapshot]:
        """Each stage at a moment of its own."""
        with self._lock:
            trackers = list(self._trackers.values())
        return [tracker.snapshot() for tracker in trackers]
