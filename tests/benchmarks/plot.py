"""
Pictures of what was measured, for those who have matplotlib.

Nothing else needs it, so it is no requirement of the project and is imported late.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.printing import say

MISSING = "--plot needs matplotlib; pip install matplotlib"


def picture_file(text: str) -> Path:
    """The type of --plot: refused at once, before anything is measured for minutes."""
    path = Path(text)
    if not path.parent.is_dir():
        message = f"{path.parent} is no folder; name a file in one that exists"
        raise argparse.ArgumentTypeError(message)
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise argparse.ArgumentTypeError(MISSING) from None
    return path


@contextmanager
def picture(path: Path, *, panels: int = 1) -> Iterator[list[Any]]:
    """Axes side by side, written to the file when the block ends."""
    backend = importlib.import_module("matplotlib")
    backend.use("agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        1, panels, figsize=(5.5 * panels, 4.0), squeeze=False, layout="constrained"
    )
    try:
        yield list(axes[0])
        figure.savefig(path, dpi=120)
    finally:
        pyplot.close(figure)
    say(f"wrote {path}")


def draw_by_level(
    ratios: Mapping[tuple[int, str], float], path: Path, *, what: str
) -> None:
    """Ratios by calls in flight, a line for each name, beside 1."""
    lines: dict[str, dict[int, float]] = {}
    for (level, name), ratio in ratios.items():
        lines.setdefault(name, {})[level] = ratio
    with picture(path) as (axes,):
        for name, line in lines.items():
            axes.plot([*line], [*line.values()], marker="o", label=name)
        axes.axhline(1.0, color="grey", linewidth=0.8)
        axes.set(xlabel="calls in flight", ylabel=what)
        axes.legend()
