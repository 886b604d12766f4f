"""
Draws the progress of all work on one line of a terminal, or now and then elsewhere.

It reads snapshots and counts nothing itself; who calls tick() decides how often.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import TextIO

from parallel.errors import printable
from parallel.progress import Bar, ProgressBoard
from parallel.progress_text import (
    BoardSnapshot,
    LineParts,
    bar_format,
    line_texts,
    time_left_s,
)

PLAIN_EVERY_S = 10.0
PLAIN_EVERY_PERCENT = 5


@dataclass(slots=True, eq=False)
class ProgressLine:
    """
    One bar on a terminal; elsewhere a plain line every 10 seconds or 5 percent.

    tick() and close() belong to one thread; any may call message().
    """

    board: ProgressBoard
    _: KW_ONLY
    in_flight: Callable[[], int] | None = None  # None: not told
    quiet: bool = False
    file: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    columns: Callable[[], int] | None = None  # None: asks the terminal each time
    colour: str | None = None  # of the bar, as tqdm names it
    _bar: Bar | None = field(init=False, default=None)
    _is_closed: bool = field(init=False, default=False)
    _began_s: float | None = field(init=False, default=None)
    _worked_before: int = field(init=False, default=0)
    _told_s: float | None = field(init=False, default=None)
    _told_percent: int = field(init=False, default=0)

    def tick(self) -> None:
        """Show how far the work is now; nothing while no item is expected."""
        board = self.board.snapshot()
        if self.quiet or self._is_closed or not board.total:
            return
        now_s = self.clock()
        if self._began_s is None and board.started:
            # What the first look finds done was there already, and tells no pace.
            self._began_s, self._worked_before = now_s, board.worked
        flight = self.in_flight() if self.in_flight else None
        parts = self._parts(board, in_flight=flight, times=self._eta(board, now_s))
        if self.file.isatty():
            self._draw(parts)
        elif self._is_news(board, now_s):
            self._tell(parts, now_s)

    def message(self, text: str) -> None:
        """Print lines above the bar; nothing when quiet."""
        if not self.quiet:
            Bar.write(printable(text), file=self.file)

    def close(self) -> None:
        """Leave the last state on the screen, with the time that the work took."""
        board = self.board.snapshot()
        if self.quiet or self._is_closed or not board.total:
            return
        self._is_closed = True
        now_s = self.clock()
        began_s = now_s if self._began_s is None else self._began_s
        times = f"took {_minutes(now_s - began_s)}"
        parts = self._parts(board, in_flight=None, times=times)
        if self.file.isatty():
            self._draw(parts).close()
        else:
            self._tell(parts, now_s)

    def _parts(
        self, board: BoardSnapshot, *, in_flight: int | None, times: str
    ) -> LineParts:
        separator = " · " if _is_unicode(self.file) else ", "
        return LineParts(
            board=board, in_flight=in_flight, time=times, separator=separator
        )

    def _eta(self, board: BoardSnapshot, now_s: float) -> str:
        left_s = None
        if self._began_s is not None:
            left_s = time_left_s(
                left=board.total - board.finished,
                worked=board.worked - self._worked_before,
                elapsed_s=now_s - self._began_s,
            )
        return "ETA ?" if left_s is None else f"ETA {_minutes(left_s)}"

    def _draw(self, parts: LineParts) -> Bar:
        columns = self.columns() if self.columns else _columns_of(self.file)
        columns = max(columns - 1, 1)  # a full last column would break the line
        shown = bar_format(parts, columns)
        if self._bar is None:
            self._bar = Bar(
                total=parts.board.total,
                initial=parts.board.finished,
                file=self.file,
                ncols=columns,
                bar_format=shown,
                colour=self.colour,
            )
            return self._bar
        self._bar.n, self._bar.total = parts.board.finished, parts.board.total
        self._bar.ncols, self._bar.bar_format = columns, shown
        self._bar.refresh()
        return self._bar

    def _is_news(self, board: BoardSnapshot, now_s: float) -> bool:
        if self._told_s is None or now_s - self._told_s >= PLAIN_EVERY_S:
            return True
        return board.percent - self._told_percent >= PLAIN_EVERY_PERCENT

    def _tell(self, parts: LineParts, now_s: float) -> None:
        self._told_s, self._told_percent = now_s, parts.board.percent
        self.message(f"{parts.board.percent:3d}% {next(line_texts(parts))}")


def _minutes(seconds: float) -> str:
    return Bar.format_interval(seconds)


def _columns_of(file: TextIO) -> int:
    """The terminal's width; 80 where it does not say."""
    try:
        return os.get_terminal_size(file.fileno()).columns or 80
    except OSError:
        return 80


def _is_unicode(file: TextIO) -> bool:
    try:
        "·█".encode(file.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
