"""
Shares, differences and crossings of what was simulated, as tables show them.

Pure arithmetic; it simulates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import NamedTuple

MET, MISSED = "yes", "NO"


class Figure(NamedTuple):
    """A mean, and the standard error of it."""

    value: float
    error: float

    @property
    def in_points(self) -> str:
        """A difference of shares, in hundredths, with its standard error."""
        return f"{100 * self.value:+.1f} ± {100 * self.error:.1f}"

    @property
    def plain(self) -> str:
        """A difference on the scale of scores, with its standard error."""
        return f"{self.value:+.3f} ± {self.error:.3f}"


def mean_of(values: Sequence[float]) -> Figure:
    """Their mean; the error is unknown for one value."""
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Figure(fmean(values), error)


def difference(ones: Sequence[float], others: Sequence[float]) -> Figure:
    """The mean of ones less others, which belong together one by one."""
    return mean_of([a - b for a, b in zip(ones, others, strict=True)])


def percent(values: Sequence[float]) -> str:
    """A share in hundredths; - for none."""
    return f"{100 * fmean(values):.1f}" if values else "-"


def crossing(leads: Sequence[tuple[float, float]]) -> str:
    """Below which of the places, from the highest, the lead is above 0.

    Between two places it is interpolated; at several crossings, the lowest.
    """
    places = [f"{place:g}" for place, _ in leads]
    wins = [lead > 0 for _, lead in leads]
    if all(wins):
        return f"from {places[0]}"
    if not wins[-1]:
        return f"not at {places[-1]}"
    for (high, before), (low, after) in reversed(list(pairwise(leads))):
        if before <= 0 < after:
            return f"{low + (high - low) * after / (after - before):.2f}"
    raise AssertionError("a lead that is there at last and not always begins somewhere")


def verdict_on(is_met: bool) -> str:
    """What stands beside a target."""
    return MET if is_met else MISSED
