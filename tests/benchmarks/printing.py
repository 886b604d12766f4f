"""
Tables of measured figures, and the line that says where they were measured.

Plain text; it judges nothing. A figure of several runs is its median, with the smallest
and the largest behind it.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need; the first to the left, the others to the right."""
    lines = [list(headers), *map(list, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(headers))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return "  ".join(padded).rstrip()


def spread(values: Sequence[float], *, places: int = 2) -> str:
    """Median (smallest to largest); the value alone when there is one, - for none."""
    if not values:
        return "-"
    middle = f"{median(values):.{places}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{places}f}-{max(values):.{places}f})"


def machine_line() -> str:
    """Cores, Python and date, for whoever compares two tables."""
    system = f"{platform.system()} {platform.machine()}"
    today = datetime.now(UTC).date().isoformat()
    cores = _cores()
    return (
        f"{cores} core{'s' * (cores != 1)}, Python {platform.python_version()},"
        f" {system}, {today}"
    )


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def report(title: str, lines: Sequence[str]) -> None:
    """Print a title, the machine and what was measured there."""
    print("\n".join([title, machine_line(), "", *lines]), flush=True)


def say(text: str) -> None:
    """One line of progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
