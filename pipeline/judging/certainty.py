"""
How sure a mean of few votes is, and which of two means is surely higher.

The votes on one card are too few to tell how much votes scatter, so the scatter is
pooled over all cards: judges are taken to be about as unsteady on one as on another.
What judges have in common, a taste or a bias, no number of votes reveals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean

CONFIDENCE = 0.90
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Noise:
    """How far votes on the same card scatter: a variance, and what it rests on."""

    variance: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of so many votes."""

    value: float
    votes: int


def pooled_noise(
    votes_of_cards: Iterable[Sequence[float]], *, judges: int = 1
) -> Noise | None:
    """The variance of votes within a card; None when nothing is left to tell it from.

    Where so many judges were brought to one level, fitting that level took a degree of
    freedom for each but one.
    """
    squares: list[float] = []
    freedom = 1 - judges
    for votes in votes_of_cards:
        if len(votes) > 1:
            middle = fmean(votes)
            squares += [(vote - middle) ** 2 for vote in votes]
            freedom += len(votes) - 1
    # fsum: the same to the last bit in whatever order the votes came.
    return Noise(math.fsum(squares) / freedom, freedom) if freedom > 0 else None


def interval(mean: Mean, noise: Noise | None) -> Interval | None:
    """Where the mean of endless votes lies with 90 % confidence; None when unknown."""
    if noise is None:
        return None
    reach = student_t(noise.freedom) * math.sqrt(noise.variance / mean.votes)
    return (mean.value - reach, mean.value + reach)


def errors_between(a: Mean, b: Mean, noise: Noise | None) -> float:
    """By how many standard errors of their difference a is above b; 0 when unknown."""
    if noise is None:
        return 0.0
    error = math.sqrt(noise.variance * (1 / a.votes + 1 / b.votes))
    difference = a.value - b.value
    if error == 0.0:
        return math.copysign(math.inf, difference) if difference else 0.0
    return difference / error


def is_surely_above(a: Mean, b: Mean, noise: Noise | None) -> bool:
    """Whether the 90 % interval of their difference holds only values above 0."""
    return noise is not None and errors_between(a, b, noise) > student_t(noise.freedom)


def shared_ranks(
    ids: Iterable[int], is_surely_above: Callable[[int, int], bool]
) -> dict[int, int]:
    """Ranks from 1: one more than the number of those that are surely above.

    Those that cannot be told apart from the same ones share a rank. What is surely above
    one that is surely above a third counts for the third too, so that nobody shares a
    rank with one that is surely above: redrawn results alone do not promise that.
    """
    above: dict[int, set[int]] = {one: set() for one in ids}
    for one, higher in above.items():
        higher.update(o for o in above if o != one and is_surely_above(o, one))
    for middle, higher in above.items():  # Warshall's closure
        for found in above.values():
            if middle in found:
                found |= higher
    return {one: 1 + len(higher - {one}) for one, higher in above.items()}


@lru_cache(maxsize=1024)
def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The two-sided quantile of Student's t.

    Exact for 1 and 2 degrees of freedom, else the expansion 26.7.5 of Abramowitz and
    Stegun (1964): within 0.3 % at 90 % for 3 degrees, closer for more.
    """
    upper = (1 + confidence) / 2
    if freedom == 1:
        return math.tan(math.pi * (upper - 0.5))
    if freedom == 2:
        return confidence * math.sqrt(2 / (1 - confidence**2))
    z = NormalDist().inv_cdf(upper)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
