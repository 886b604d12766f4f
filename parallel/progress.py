"""
How far the work is, counted by any thread.

A tracker counts one stage, a board holds the trackers of all. Neither draws: workers
never touch the bar, which one thread draws from snapshots.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Hashable

from tqdm import tqdm

from parallel.errors import first_line
from parallel.progress_text import BoardSnapshot, ProgressSnapshot

__all__ = [
    "Bar",
    "BoardSnapshot",
    "ProgressBoard",
    "ProgressSnapshot",
    "ThreadSafeProgressTracker",
]

STATUSES = ("started", "done", "failed", "skipped")


class Bar(tqdm):  # type: ignore[type-arg]  # tqdm cannot be subscripted when it runs
    """A tqdm of this process alone: no monitor thread, no semaphore of the system."""

    monitor_interval = 0
    _lock = threading.RLock()


def _write_above_bar(line: str) -> None:
    Bar.write(line, file=sys.stderr)


class ThreadSafeProgressTracker:
    """Counts the items of one stage by their latest status, from any thread."""

    def __init__(
        self,
        total_items: int,
        stage_name: str,
        verbose: bool = False,
        *,
        on_progress: Callable[[ProgressSnapshot], None] | None = None,
        write: Callable[[str], None] | None = None,
    ) -> None:
        """Count from nothing; verbose writes one line for each item that ends."""
        self._stage_name = stage_name
        self._verbose = verbose
        self._on_progress = on_progress
        self._write = write or _write_above_bar
        self._lock = threading.Lock()  # guards _total, _statuses and _counts
        self._total = total_items
        self._statuses: dict[Hashable, str] = {}
        self._counts: Counter[str] = Counter()

    def update_progress(self, item_id: Hashable, status: str) -> None:
        """
        Note an item's new status: started, done, failed or skipped.

        Done is final; a failed or skipped item may start again. A status that an item
        has already is no news. Callbacks may arrive out of order.
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
        counts = self._counts
        return ProgressSnapshot(
            stage_name=self._stage_name,
            total=self._total,
            started=counts["started"] + counts["done"] + counts["failed"],
            done=counts["done"],
            failed=counts["failed"],
            skipped=counts["skipped"],
        )


class ProgressBoard:
    """The trackers of all stages in one view, in the order of their announcement."""

    def __init__(
        self, *, verbose: bool = False, write: Callable[[str], None] | None = None
    ) -> None:
        """Start without stages; verbose and write are handed to each tracker."""
        self._verbose = verbose
        self._write = write
        self._lock = threading.Lock()  # guards _trackers
        self._trackers: dict[str, ThreadSafeProgressTracker] = {}

    def tracker(self, stage_name: str, total: int = 0) -> ThreadSafeProgressTracker:
        """The stage's one tracker, which from now on expects `total` more items."""
        with self._lock:
            tracker = self._trackers.get(stage_name)
            if tracker is None:
                tracker = ThreadSafeProgressTracker(
                    0, stage_name, self._verbose, write=self._write
                )
                self._trackers[stage_name] = tracker
        tracker.add_total(total)
        return tracker

    def snapshot(self) -> BoardSnapshot:
        """Each stage at a moment of its own."""
        with self._lock:
            trackers = list(self._trackers.values())
        return BoardSnapshot(tuple(tracker.snapshot() for tracker in trackers))
