"""
The progress of a whole run: which stage expects how many items.

It counts what it is told; the line on the screen reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from parallel.progress import ProgressBoard
from pipeline.items import Item


class RunBoard:
    """One tracker a stage; a failed item takes the work that hangs on it along."""

    def __init__(
        self,
        planned: Mapping[str, int],
        lost_with: Callable[[str], Mapping[str, int]],
        *,
        verbose: bool = False,
        write: Callable[[str], None] | None = None,
    ) -> None:
        """Expect `planned` items by stage; `lost_with(stage)` is what a failure costs."""
        self.board = ProgressBoard(verbose=verbose, write=write)
        self._lost_with = lost_with
        for stage, count in planned.items():
            if count:
                self.board.tracker(stage, count)

    def note_more(self, items: Sequence[Item]) -> None:
        """Expect work that was not foreseen."""
        for item in items:
            self.board.tracker(item.stage, 1)

    def note_started(self, stage: str, name: str) -> None:
        """One item is under way."""
        self.board.tracker(stage).update_progress(name, "started")

    def note_done(self, stage: str, name: str) -> None:
        """One item is there."""
        self.board.tracker(stage).update_progress(name, "done")

    def note_failed(self, stage: str, name: str) -> None:
        """One item was given up."""
        self.board.tracker(stage).update_progress(name, "failed")
        for later, count in self._lost_with(stage).items():
            self.board.tracker(later, -count)
