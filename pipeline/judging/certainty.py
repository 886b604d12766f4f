"""
How sure a mean of few votes is, and which of two means is surely higher.

The votes on one card are too few to tell how much votes scatter, so the scatter is
pooled over all cards: judges are taken to be about as unsteady on one as on another.
Judges that may not score drafts of their own family score different drafts, and one may
be stricter: card and judge are taken to add up, as in a two-way layout. What judges have
in common, a taste or a bias, no number of votes reveals.

Which cards get further votes is decided here too: those whose order at the top is still
open, for a whole round, from the votes alone. That rule is meant to choose well for few
votes, not to prove the choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean
from typing import NamedTuple

from pipeline.settings import AUTO, Votes

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
    freedom = -max(0, judges - 1)
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
    by_card: dict[int, list[Mark]] = {}
    by_judge: dict[str, list[Mark]] = {}
    for mark in marks:
        by_card.setdefault(mark.card, []).append(mark)
        by_judge.setdefault(mark.judge, []).append(mark)
    offsets = dict.fromkeys(sorted(by_judge), 0.0)
    for _ in range(_ROUNDS if len(offsets) > 1 else 0):
        level = {
            card: fmean(mark.value - offsets[mark.judge] for mark in found)
            for card, found in by_card.items()
        }
        # Level on average over all marks, as they are about the mean of each card.
        fitted = {
            judge: fmean(mark.value - level[mark.card] for mark in by_judge[judge])
            for judge in offsets
        }
        step = max(abs(fitted[judge] - offsets[judge]) for judge in offsets)
        offsets = fitted
        if step < _CLOSE:
            break
    return offsets


OPENING_VOTES = 2  # of each card: one alone says nothing of how votes scatter
_CONTENDERS = 2  # beside the leader, in one round


class _Round(NamedTuple):
    """A further round: votes for each open card, and where a contender is apart."""

    votes: int
    parted_at: float  # standard errors behind the leader


# Two and no more: each is a whole call to wait for. After the first, means are so close
# to the truth that what is still in doubt is a small difference: only a near tie is worth
# the wait for another.
_FURTHER = (_Round(3, parted_at=0.9), _Round(5, parted_at=0.4))
MOST_VOTES = OPENING_VOTES + sum(each.votes for each in _FURTHER)  # of one card


def opening_votes(votes: Votes) -> int:
    """Votes on each card before any further round."""
    return OPENING_VOTES if votes == AUTO else int(votes)


def further_votes(cards: int) -> int:
    """The budget: how many votes there may be beyond the opening ones.

    It does not grow with the number of cards, as only those at the top need more.
    """
    if cards < 2:
        return 0
    return min(cards, 1 + _CONTENDERS) * (MOST_VOTES - OPENING_VOTES)


def open_cards(
    votes: Mapping[int, Sequence[float]], *, parted_at: float, judges: int = 1
) -> list[int]:
    """The leader and the contenders that are not yet apart from it, closest first.

    `parted_at` is in standard errors of the difference, `judges` how many were brought
    to one level. Empty when the order at the top is settled; cards without a vote are
    not asked about.
    """
    means = {card: Mean(fmean(v), len(v)) for card, v in votes.items() if v}
    if len(means) < 2:
        return []
    noise = pooled_noise(votes.values(), judges=judges)
    leader = min(means, key=lambda card: (-means[card].value, card))
    gaps = {
        card: errors_between(means[leader], mean, noise)
        for card, mean in means.items()
        if card != leader
    }
    contenders = sorted(
        (card for card, gap in gaps.items() if gap < parted_at),
        key=lambda card: (gaps[card], card),
    )
    return [leader, *contenders] if contenders else []


def next_votes(
    votes: Mapping[int, Sequence[float]],
    asked: Mapping[int, int],
    *,
    judges: int = 1,
) -> dict[int, int]:
    """How many votes each card gets in the next round; empty when there is none.

    `votes` holds what was counted, `asked` how many were asked for, with those that
    failed: a judge that cannot answer is not asked for ever.
    """
    spent = sum(asked.values()) - OPENING_VOTES * len(asked)
    coming = _round_after(spent)
    if coming is None:
        return {}
    still_open = open_cards(votes, parted_at=coming.parted_at, judges=judges)
    return dict.fromkeys(still_open[: 1 + _CONTENDERS], coming.votes)


def _round_after(spent: int) -> _Round | None:
    """What follows so many further votes; None when both rounds are over."""
    most_before = 0  # that the rounds before can have spent
    for each in _FURTHER:
        if spent <= most_before:
            return each
        most_before += (1 + _CONTENDERS) * each.votes
    return None
