"""
How severe each judge is, so that a draft is not punished for meeting the strict one.

Judges that may not score drafts of their own family score different drafts, and one of
them may give a point less to all of them. Card and judge are taken to add up, as in a
two-way layout; with one judge, or judges who share no draft, nothing can be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

_ROUNDS = 1000  # judges who share one card of many come together slowly
_CLOSE = 1e-9


class Mark(NamedTuple):
    """What one judge gave one card."""

    card: int
    judge: str
    value: float


def severities(marks: Iterable[Mark]) -> dict[str, float]:
    """How far above the others each judge marks the same cards; 0 on average.

    Least squares by fitting cards and judges in turn (backfitting).
    """
    listed = list(marks)
    by_card: dict[int, list[Mark]] = {}
    by_judge: dict[str, list[Mark]] = {}
    for mark in listed:
        by_card.setdefault(mark.card, []).append(mark)
        by_judge.setdefault(mark.judge, []).append(mark)
    offsets = dict.fromkeys(sorted(by_judge), 0.0)
    for _ in range(_ROUNDS if len(offsets) > 1 else 0):
        level = {
            card: fmean(mark.value - offsets[mark.judge] for mark in found)
            for card, found in by_card.items()
        }
        fitted = {
            judge: fmean(mark.value - level[mark.card] for mark in by_judge[judge])
            for judge in offsets
        }
        middle = fmean(fitted[mark.judge] for mark in listed)
        fitted = {judge: offset - middle for judge, offset in fitted.items()}
        step = max(abs(fitted[judge] - offsets[judge]) for judge in offsets)
        offsets = fitted
        if step < _CLOSE:
            break
    return offsets
