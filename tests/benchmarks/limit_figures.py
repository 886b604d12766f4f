"""
Figures out of one run's log: refusals, rates, calls in flight, what was lost.

Pure arithmetic; it runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.loopback_llm import Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a case over its runs, and what it should be."""

    case: str
    name: str
    values: Sequence[float]
    target: str = "-"
    places: int = 2


def refused_share(log: Sequence[Served]) -> float:
    """Requests answered 429 over those answered well."""
    good = sum(one.is_good for one in log)
    return sum(one.status == 429 for one in log) / good if good else float("inf")


def admitted_per_s(log: Sequence[Served], *, burst: int) -> float:
    """
    Requests let in a second, from the first to the last of them.

    The burst is not counted: it was there before the first second.
    """
    good = sorted(one.arrived_s for one in log if one.is_good)
    span_s = good[-1] - good[0] if good else 0.0
    return (len(good) - burst) / span_s if span_s > 0 else 0.0


def in_flight_over_time(log: Sequence[Served]) -> list[tuple[float, int]]:
    """(seconds since the first arrival, requests at the server from then on)."""
    changes = [(one.arrived_s, 1) for one in log]
    changes += [(one.finished_s, -1) for one in log]
    changes.sort()
    level, steps = 0, []
    for at_s, change in changes:
        level += change
        steps.append((at_s - changes[0][0], level))
    return steps


def median_in_flight_later(log: Sequence[Served]) -> int:
    """At the server in the second half of the run: half of that time at most so many."""
    steps = in_flight_over_time(log)
    if not steps:
        return 0
    end_s = steps[-1][0]
    held_s: dict[int, float] = {}
    ends = [at_s for at_s, _ in steps[1:]] + [end_s]
    for (at_s, level), until_s in zip(steps, ends, strict=True):
        lasted_s = until_s - max(at_s, end_s / 2)
        if lasted_s > 0:
            held_s[level] = held_s.get(level, 0.0) + lasted_s
    passed_s = 0.0
    for level in sorted(held_s):
        passed_s += held_s[level]
        if passed_s >= end_s / 4:
            return level
    return steps[-1][1]
