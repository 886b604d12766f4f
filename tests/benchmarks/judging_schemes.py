"""
Ways to find the best of some cards: which questions they ask, and whom they rank first.

They use the program's own arithmetic, and ask nobody: all answers are there already.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from statistics import fmean

from pipeline.judging.by_comparisons import (
    DRAWS,
    Tally,
    middle_of,
    redrawn_shares,
    strengths,
)
from pipeline.judging.certainty import (
    CONFIDENCE,
    MOST_VOTES,
    OPENING_VOTES,
    Interval,
    Mean,
    interval,
    next_votes,
    pooled_noise,
)
from pipeline.judging.schemes import FINALISTS
from tests.benchmarks.judging_contest import WIN, Answers, Contest, Temper

Votes = Mapping[int, Sequence[float]]
Tallies = dict[tuple[int, int], Tally]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Whom a scheme ranks first, what it counted, and in how many rounds it asked."""

    first: int
    votes: Votes = field(default_factory=dict)
    tallies: Tallies = field(default_factory=dict)
    rounds: int = 1

    @property
    def votes_asked(self) -> int:
        """Calls that scored one card."""
        return sum(map(len, self.votes.values()))

    @property
    def comparisons_asked(self) -> int:
        """Calls that compared two."""
        return sum(games for _, games in self.tallies.values())

    @property
    def calls(self) -> int:
        """All calls."""
        return self.votes_asked + self.comparisons_asked


Scheme = Callable[[Answers], Outcome]


def fixed(answers: Answers, *, votes: int) -> Outcome:
    """The same number of votes each."""
    return even(answers, calls=votes * len(answers.votes))


def even(answers: Answers, *, calls: int) -> Outcome:
    """So many votes spread evenly; what is left over goes to the first cards."""
    cards = len(answers.votes)
    each, over = divmod(min(calls, MOST_VOTES * cards), cards)
    counted = {
        card: votes[: each + (card < over)] for card, votes in enumerate(answers.votes)
    }
    return Outcome(first=_highest(counted), votes=counted)


def auto(answers: Answers) -> Outcome:
    """Votes where the order of the top is open, as `--synthesis-votes auto` has them."""
    asked = dict.fromkeys(range(len(answers.votes)), OPENING_VOTES)
    rounds = 1
    while True:
        counted = {card: answers.votes[card][:number] for card, number in asked.items()}
        more = next_votes(counted, asked)
        if not more:
            return Outcome(first=_highest(counted), votes=counted, rounds=rounds)
        asked |= {card: asked[card] + number for card, number in more.items()}
        rounds += 1


def pairwise(answers: Answers, *, is_both_orders: bool = True) -> Outcome:
    """Every pair compared; in one order, the smaller id is shown first."""
    ids = range(len(answers.votes))
    tallies = _compared(answers, ids, is_both_orders=is_both_orders)
    return Outcome(first=_strongest(ids, tallies), tallies=tallies)


def funnel(answers: Answers, *, votes: int) -> Outcome:
    """Votes on all, then every pair of the highest few in both orders."""
    voted = fixed(answers, votes=votes).votes
    top = sorted(sorted(voted, key=lambda card: -fmean(voted[card]))[:FINALISTS])
    tallies = _compared(answers, top, is_both_orders=True)
    return Outcome(
        first=_strongest(top, tallies), votes=voted, tallies=tallies, rounds=2
    )


SCHEMES: Mapping[str, Scheme] = {
    "3 votes": partial(fixed, votes=3),
    "5 votes": partial(fixed, votes=5),
    "auto": auto,
    "pairwise, one order": partial(pairwise, is_both_orders=False),
    "pairwise, both orders": pairwise,
    "funnel, 2 votes": partial(funnel, votes=2),
    "funnel, 3 votes": partial(funnel, votes=3),
}


def intervals_of(
    outcome: Outcome, *, rng: random.Random, draws: int = DRAWS
) -> dict[int, Interval]:
    """The program's 90 % intervals: of shares where there were comparisons, else means."""
    if outcome.tallies:
        ids = sorted({one for pair in outcome.tallies for one in pair})
        drawn = redrawn_shares(
            strengths(ids, outcome.tallies), outcome.tallies, rng=rng, draws=draws
        )
        return {
            one: middle_of([shares[one] for shares in drawn], CONFIDENCE) for one in ids
        }
    return intervals_of_votes(outcome.votes)


def intervals_of_votes(votes: Votes, *, judges: int = 1) -> dict[int, Interval]:
    """Those of means; of votes of so many judges who were brought to one level."""
    noise = pooled_noise(votes.values(), judges=judges)
    found = {
        card: interval(Mean(fmean(cast), len(cast)), noise)
        for card, cast in votes.items()
    }
    return {card: one for card, one in found.items() if one is not None}


def held(outcome: Outcome, contest: Contest, temper: Temper) -> list[bool]:
    """Of each interval, whether it holds the truth: a quality, or a share of points."""
    found = intervals_of(outcome, rng=contest.rng)
    truth: Mapping[int, float] = (
        contest.true_shares(list(found), temper)
        if outcome.tallies
        else dict(enumerate(contest.truth))
    )
    return [low <= truth[card] <= high for card, (low, high) in found.items()]


def _compared(answers: Answers, ids: Sequence[int], *, is_both_orders: bool) -> Tallies:
    if not is_both_orders:
        return {(a, b): Tally(answers.points(a, b), 1) for a, b in combinations(ids, 2)}
    return {
        (a, b): Tally(answers.points(a, b) + WIN - answers.points(b, a), 2)
        for a, b in combinations(ids, 2)
    }


def _highest(votes: Votes) -> int:
    return max(votes, key=lambda card: fmean(votes[card]))


def _strongest(ids: Sequence[int], tallies: Tallies) -> int:
    found = strengths(ids, tallies)
    return max(ids, key=found.__getitem__)
