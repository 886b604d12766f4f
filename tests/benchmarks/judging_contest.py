"""
Drafts of known quality, and judges who err in known ways.

A vote is the truth with the judge's severity, its leanings and noise of its own; a
comparison sees the difference of two drafts in the same way, and leans to the place
that is shown first. What real judges of one model have in common beyond that, an error
that all their votes share, is not simulated: no scheme could take it out. Votes are not
rounded to the scale. Every error is drawn once: vote 3 of a draft, or a comparison of
two in one order, is the same in whatever scheme asks for it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from pipeline.criteria import CRITERIA
from pipeline.judging.certainty import MOST_VOTES

QUALITY, SPREAD = 6.0, 0.8  # of the drafts: mean and standard deviation
FAMILIES = ("a", "b", "c")  # who writes, as many drafts each as can be
TIE_BAND = 0.15  # points; a judge names no winner within it
CRITERION_SHARE = 0.5  # a criterion's own error over that of the whole comparison
WIN, TIE, LOSS = 1.0, 0.5, 0.0
_TOTAL = sum(c.weight for c in CRITERIA)
WEIGHTS = tuple(c.weight / _TOTAL for c in CRITERIA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Temper:
    """How judges err: points of the scale, and for `comparing` a factor.

    `noise` is the standard deviation of a vote; a comparison has that of the difference
    of two votes times `comparing`, so that 1 is a judge to whom comparing is no easier.
    `length` is what a draft gains that is longer by one standard deviation.
    """

    noise: float = 0.5
    comparing: float = 1.0
    position: float = 0.0
    length: float = 0.0
    own_family: float = 0.0
    severity: float = 0.0

    @property
    def comparison_noise(self) -> float:
        """The standard deviation of what all criteria of a comparison share."""
        return self.comparing * math.sqrt(2.0) * self.noise

    def with_comparing(self, comparing: float) -> Temper:
        """The same judges, to whom comparing is as hard as that."""
        return replace(self, comparing=comparing)


class Answers(NamedTuple):
    """What judges would say: votes by card and number, points of the card shown first."""

    votes: Sequence[Sequence[float]]
    points: Callable[[int, int], float]


class Contest:
    """Drafts, judges and all their errors, as standard normal numbers; ids from 0."""

    def __init__(
        self, cards: int, rng: random.Random, *, spread: float = SPREAD
    ) -> None:
        """Draw everything that does not depend on what is asked."""
        self.truth = [rng.gauss(QUALITY, spread) for _ in range(cards)]
        self.lengths = [rng.gauss(0.0, 1.0) for _ in range(cards)]
        self.writers = [FAMILIES[card % len(FAMILIES)] for card in range(cards)]
        rng.shuffle(self.writers)  # or who writes would follow from who votes when
        self.severities: Mapping[str, float] = {
            family: rng.gauss(0.0, 1.0) for family in FAMILIES
        }
        self._errors = [
            [rng.gauss(0.0, 1.0) for _ in range(MOST_VOTES)] for _ in range(cards)
        ]
        self.rng = rng
        self._compared: dict[tuple[int, int], list[float]] = {}

    @property
    def best(self) -> int:
        """The card that is truly best."""
        return max(range(len(self.truth)), key=self.truth.__getitem__)

    def vote(self, card: int, number: int, temper: Temper, *, judge: str = "") -> float:
        """Vote `number`, from 0, of a judge of that family; "" is a stranger to all."""
        severity = temper.severity * self.severities.get(judge, 0.0)
        noise = temper.noise * self._errors[card][number]
        return self._seen(card, temper, judge) + severity + noise

    def points(self, first: int, second: int, temper: Temper) -> float:
        """The first card's share of one comparison, all criteria, weighted."""
        if (first, second) not in self._compared:
            drawn = [self.rng.gauss(0.0, 1.0) for _ in range(1 + len(WEIGHTS))]
            self._compared[first, second] = drawn
        shared, *own = self._compared[first, second]
        error = temper.comparison_noise
        lead = self._seen(first, temper) - self._seen(second, temper)
        seen = lead + temper.position + error * shared
        scale = CRITERION_SHARE * error
        return sum(
            weight * verdict(seen + scale * e)
            for weight, e in zip(WEIGHTS, own, strict=True)
        )

    def answers(self, temper: Temper) -> Answers:
        """All that one stranger would say."""
        votes = [
            [self.vote(card, number, temper) for number in range(MOST_VOTES)]
            for card in range(len(self.truth))
        ]
        return Answers(votes, partial(self.points, temper=temper))

    def true_shares(self, ids: Sequence[int], temper: Temper) -> dict[int, float]:
        """What each would win on average against the others from judges without bias."""
        return {
            one: sum(
                expected_points(self.truth[one] - self.truth[other], temper)
                for other in ids
                if other != one
            )
            / max(1, len(ids) - 1)
            for one in ids
        }

    def _seen(self, card: int, temper: Temper, judge: str = "") -> float:
        is_own = judge == self.writers[card]
        leaning = temper.length * self.lengths[card] + temper.own_family * is_own
        return self.truth[card] + leaning


def verdict(difference: float) -> float:
    """The first card's points for what the judge sees on one criterion."""
    if difference > TIE_BAND:
        return WIN
    return LOSS if difference < -TIE_BAND else TIE


def expected_points(difference: float, temper: Temper) -> float:
    """The mean of `Contest.points` for a true difference, without any bias."""
    error = temper.comparison_noise * math.hypot(1.0, CRITERION_SHARE)
    if error == 0.0:
        return verdict(difference)
    above = _normal_share((difference - TIE_BAND) / error)
    not_below = _normal_share((difference + TIE_BAND) / error)
    return (above + not_below) / 2.0


def _normal_share(z: float) -> float:
    return (1.0 + math.erf(z / math.sqrt(2.0))) / 2.0
