"""
Draws the progress of all work on one line of a terminal, or now and then elsewhere.

It reads snapshots and counts nothing itself; who calls tick() decides how often.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TextIO

from parallel.errors import first_line
from parallel.progress import Bar, ProgressBoard, ProgressSnapshot
from pipeline.text.safety import for_terminal

PLAIN_EVERY_S = 10.0
PLAIN_EVERY_PERCENT = 5
PERCENT_COLUMNS = 5  # "100%|"
MIN_BAR_COLUMNS = 6
SPEED_OVER_S = 10.0  # tokens a second are those of the last so many
LONGEST_WAIT_TEXT, SHORT_WAIT_TEXT = 90, 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What the calls under way show at this moment."""

    in_flight: int = 0
    tokens: Mapping[str, int] = field(default_factory=dict)  # received, by stage
    spent: float | None = None  # dollars; None where a price is not known
    waits: str = ""  # what nothing goes on for; empty while something does


class Waits:
    """What calls wait for before they are sent again; noted by any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing waits."""
        self._clock = clock
        self._lock = threading.Lock()  # guards _waits
        self._waits: dict[str, tuple[float, str]] = {}  # by call: until when, and why

    def note(self, call: str, reason: str, seconds: float) -> None:
        """The call waits for so long from now on."""
        with self._lock:
            self._waits[call] = self._clock() + seconds, reason

    def next(self) -> str:
        """The wait that ends first, in words; empty when there is none."""
        with self._lock:
            now_s = self._clock()
            self._waits = {c: w for c, w in self._waits.items() if w[0] > now_s}
            until_s, reason = min(self._waits.values(), default=(now_s, ""))
        wait_s = until_s - now_s
        return f"waits {wait_s:.0f} s: {reason}" if wait_s >= 1.0 else ""


@dataclass(slots=True, eq=False)
class ProgressLine:
    """
    One bar on a terminal; elsewhere a plain line every 10 seconds or 5 percent.

    `weights` are the tokens that an item of a stage is expected to take: percent and
    time left go by them, and by what has been received of the items under way. tick()
    and close() belong to one thread; any may call message().
    """

    board: ProgressBoard
    _: KW_ONLY
    live: Callable[[], Live] = Live
    weights: Mapping[str, float] = field(default_factory=dict)
    quiet: bool = False
    file: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    columns: Callable[[], int] | None = None  # None: asks the terminal each time
    _bar: Bar | None = field(init=False, default=None)
    _is_closed: bool = field(init=False, default=False)
    _began_s: float | None = field(init=False, default=None)
    _done_before: float = field(init=False, default=0.0)
    _told: tuple[float, int] | None = field(init=False, default=None)
    _received: deque[tuple[float, int]] = field(init=False, default_factory=deque)

    def tick(self) -> None:
        """Show how far the work is now; nothing while no item is expected."""
        stages = self.board.snapshot()
        if self.quiet or self._is_closed or not _expected(stages):
            return
        now_s, live = self.clock(), self.live()
        done, total = work_done(stages, self.weights, live.tokens)
        if self._began_s is None and any(stage.started for stage in stages):
            # What the first look finds done was there already, and tells no pace.
            self._began_s, self._done_before = now_s, done
        facts = [
            first_line(live.waits)[:LONGEST_WAIT_TEXT],
            f"{live.in_flight} in flight" if live.in_flight else "",
            spent_text(live.spent),
            self._tokens(sum(live.tokens.values()), now_s),
        ]
        time_left = self._eta(done, total, now_s)
        self._show(stages, facts, time_left, percent=_percent(stages, done, total))

    def message(self, text: str) -> None:
        """Print lines above the bar; nothing when quiet."""
        if not self.quiet:
            Bar.write(for_terminal(text), file=self.file)

    def close(self) -> None:
        """Leave the last state on the screen, with the time that the work took."""
        stages = self.board.snapshot()
        if self.quiet or self._is_closed or not _expected(stages):
            return
        self._is_closed = True
        now_s = self.clock()
        began_s = now_s if self._began_s is None else self._began_s
        took = "took " + _minutes(now_s - began_s)
        done, total = work_done(stages, self.weights, self.live().tokens)
        self._told = None  # the last line is always news
        self._show(stages, [], took, percent=_percent(stages, done, total))
        if self._bar is not None:
            self._bar.close()

    def _show(
        self,
        stages: Sequence[ProgressSnapshot],
        facts: Sequence[str],
        time_text: str,
        *,
        percent: int,
    ) -> None:
        separator = " · " if _is_unicode(self.file) else ", "
        texts = line_texts(stages, facts, time_text, separator=separator)
        if self.file.isatty():
            self._draw(texts, percent)
            return
        now_s = self.clock()
        told_s, told = self._told or (now_s - PLAIN_EVERY_S, 0)
        if now_s - told_s >= PLAIN_EVERY_S or percent - told >= PLAIN_EVERY_PERCENT:
            self._told = (now_s, percent)
            self.message(f"{percent:3d}% {next(texts)}")

    def _draw(self, texts: Iterator[str], percent: int) -> None:
        columns = self.columns() if self.columns else _columns_of(self.file)
        columns = max(columns - 1, 1)  # a full last column would break the line
        shown = bar_format(texts, percent=percent, columns=columns)
        if self._bar is None:
            self._bar = Bar(
                total=100,
                initial=percent,
                file=self.file,
                ncols=columns,
                bar_format=shown,
            )
            return
        self._bar.n = percent
        self._bar.ncols, self._bar.bar_format = columns, shown
        self._bar.refresh()

    def _tokens(self, tokens: int, now_s: float) -> str:
        self._received.append((now_s, tokens))
        while now_s - self._received[0][0] > SPEED_OVER_S:
            self._received.popleft()
        since_s, before = self._received[0]
        if not tokens:
            return ""
        speed = (tokens - before) / (now_s - since_s) if now_s > since_s else 0.0
        return f"{tokens:,} tokens, {speed:.0f}/s"

    def _eta(self, done: float, total: float, now_s: float) -> str:
        worked = done - self._done_before
        if self._began_s is None or worked <= 0.0:
            return "ETA ?"
        return "ETA " + _minutes((now_s - self._began_s) * (total - done) / worked)


def work_done(
    stages: Sequence[ProgressSnapshot],
    weights: Mapping[str, float],
    tokens: Mapping[str, int],
) -> tuple[float, float]:
    """Work that is behind, and all work, in tokens; a stage without a weight has 1.

    Of items under way what was received counts, but never as much as a whole item each.
    """
    done = total = 0.0
    for stage in stages:
        weight = weights.get(stage.stage_name, 1.0)
        finished = stage.finished * weight
        under_way = max(0, stage.started - stage.finished) * weight
        received = max(0.0, tokens.get(stage.stage_name, 0) - finished)
        done += finished + min(received, 0.9 * under_way)
        total += stage.expected * weight
    return done, total


def line_texts(
    stages: Sequence[ProgressSnapshot],
    facts: Sequence[str],
    time_text: str,
    *,
    separator: str = " · ",
) -> Iterator[str]:
    """The line without its bar, from the fullest form to the shortest."""
    known = [stage for stage in stages if stage.expected]
    begun = [stage for stage in known if stage.started or stage.finished]
    under_way = [stage for stage in begun if stage.finished < stage.expected]
    failures = sum(stage.failed for stage in stages)
    failed = f"{failures} failed" if failures else ""
    waits, *others = facts or [""]
    count = f"{sum(s.finished for s in stages)}/{_expected(stages)}"

    def joined(*words: str) -> str:
        return separator.join(filter(None, words))

    for shown in (known, begun, under_way):
        names = " ".join(map(str, shown)) or count
        yield joined(names, waits, *others, failed, time_text)
        yield joined(names, waits, *others[:-1], failed, time_text)
    yield joined(count, waits, failed, time_text)
    if len(waits) > SHORT_WAIT_TEXT:
        waits = waits[:SHORT_WAIT_TEXT] + "…"
        yield joined(count, waits, time_text)
    yield joined(count, waits or others[0] if others else "", failed, time_text)
    yield joined(count, failed, time_text)
    yield joined(failed, time_text)
    yield count


def spent_text(dollars: float | None) -> str:
    """Dollars so far; nothing while there are none, and where they are not known."""
    if dollars is None or dollars < 0.00005:
        return ""
    return f"${dollars:.2f}" if dollars >= 0.01 else f"${dollars:.4f}"


def bar_format(texts: Iterator[str], *, percent: int, columns: int) -> str:
    """tqdm's format for the fullest text that leaves the bar its least width."""
    room = columns - PERCENT_COLUMNS - MIN_BAR_COLUMNS - len("| ")
    text = next((text for text in texts if len(text) <= room), "")
    told = text.replace("{", "{{").replace("}", "}}")
    return f"{percent:3d}%|{{bar}}| {told}"


def _expected(stages: Sequence[ProgressSnapshot]) -> int:
    return sum(stage.expected for stage in stages)


def _percent(stages: Sequence[ProgressSnapshot], done: float, total: float) -> int:
    """Whole percent, rounded down: 100 only when all is finished."""
    if all(stage.finished >= stage.expected for stage in stages):
        return 100
    return min(99, int(100 * done / total)) if total else 0


def _minutes(seconds: float) -> str:
    return Bar.format_interval(seconds)


def _columns_of(file: TextIO) -> int:
    """The terminal's width; 80 where it does not say."""
    try:
        return os.get_terminal_size(file.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _is_unicode(file: TextIO) -> bool:
    try:
        "·█".encode(file.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
