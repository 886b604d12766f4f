"""
What comparisons add up to: an order by Bradley-Terry, and how sure it is.

A comparison is one game; its points are the criteria's, weighted, so that one call can
be a narrow win. A failed comparison is missing; it is never a loss. Both orders of a
pair are games of their own: a judge who always names the first gives each a win.

Ties count half for each side, the sufficient statistic also of Davidson's model with
ties (1970); pairs that were never compared are simply missing. Fitted by the iteration
of Hunter, "MM algorithms for generalized Bradley-Terry models" (2004), with half a game
against an average opponent, drawn, for each: nobody is infinitely strong.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import NamedTuple

from pipeline.criteria import HIGHEST, LOWEST, Criterion, weighted, weighted_mean
from pipeline.judging.certainty import CONFIDENCE, shared_ranks
from pipeline.judging.comparison import WIN, Comparison, Verdict
from pipeline.judging.questions import Poll
from pipeline.llm.call import derived_seed
from pipeline.records import ArticleScore, CriterionScore, HeadToHead, JudgeMark

_PRIOR_GAMES = 0.5
_ROUNDS, _ROUNDS_OF_A_DRAW = 500, 30
_CLOSE = 1e-4
DRAWS = 200

Shares = dict[int, float]
"""By id, the chance of winning against one of the others, taken at random."""


class Tally(NamedTuple):
    """The games of a pair (a, b): how many, and the points of a, a tie being one half."""

    points: float
    games: int


Tallies = Mapping[tuple[int, int], Tally]


def strengths(
    ids: Sequence[int],
    tallies: Tallies,
    *,
    start: Mapping[int, float] | None = None,
    rounds: int = _ROUNDS,
) -> dict[int, float]:
    """Bradley-Terry strengths, their geometric mean 1."""
    at = {one: index for index, one in enumerate(ids)}
    met = [(at[a], at[b], games) for (a, b), (_, games) in tallies.items()]
    won = [_PRIOR_GAMES / 2] * len(at)
    for (a, b), (points, games) in tallies.items():
        won[at[a]] += points
        won[at[b]] += games - points
    found = [start[one] for one in ids] if start else [1.0] * len(at)
    for _ in range(rounds):
        before, found = found, _step(found, won, met)
        if all(abs(a - b) < _CLOSE * b for a, b in zip(before, found, strict=True)):
            break
    return dict(zip(ids, found, strict=True))


def _step(
    found: Sequence[float], won: Sequence[float], met: Sequence[tuple[int, int, int]]
) -> list[float]:
    """One round of the iteration: points won over games, weighed by who was met."""
    weighed = [_PRIOR_GAMES / (one + 1.0) for one in found]
    for a, b, games in met:
        share = games / (found[a] + found[b])
        weighed[a] += share
        weighed[b] += share
    new = [points / weight for points, weight in zip(won, weighed, strict=True)]
    scale = math.exp(sum(map(math.log, new)) / len(new))
    return [one / scale for one in new]


def expected_shares(found: Mapping[int, float]) -> Shares:
    """The share of points each would win against all the others, once each."""
    return {
        one: sum(mine / (mine + other) for i, other in found.items() if i != one)
        / max(1, len(found) - 1)
        for one, mine in found.items()
    }


def redrawn_shares(
    fitted: Mapping[int, float],
    tallies: Tallies,
    *,
    rng: random.Random,
    draws: int = DRAWS,
) -> list[Shares]:
    """Shares as they might have come out: the parametric bootstrap.

    Each game is played again with the chances of the `fitted` strengths (Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993, section 6.5). Redrawing the
    comparisons that were made instead would, with a dozen of them, claim far more
    certainty than there is. It takes a game to be won or lost, so with split points it
    is on the safe side.
    """
    ids = list(fitted)
    chances = {(a, b): fitted[a] / (fitted[a] + fitted[b]) for a, b in tallies}
    shares = []
    for _ in range(draws):
        again = {
            pair: Tally(sum(rng.random() < chances[pair] for _ in range(games)), games)
            for pair, (_, games) in tallies.items()
        }
        redrawn = strengths(ids, again, start=fitted, rounds=_ROUNDS_OF_A_DRAW)
        shares.append(expected_shares(redrawn))
    return shares


def middle_of(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """The interval that holds the middle part of the values."""
    ordered = sorted(values)
    # Rounded first: 1 - 0.9 is a little less than 0.1.
    cut = int(round(len(ordered) * (1 - confidence), 6) / 2)
    return ordered[cut], ordered[-1 - cut]


_PLACES = 3
Games = Sequence[tuple[Comparison, Verdict]]


class Standing(NamedTuple):
    """How one card stands among those compared."""

    rank: int
    compared: HeadToHead


def standings(ids: Sequence[int], poll: Poll, *, seed: int) -> dict[int, Standing]:
    """By id, the shares of the cards with 90 % intervals, and shared ranks.

    Also of ids without a game. Two cards are told apart when one is ahead in 95 % of
    the redrawn results, which is the 90 % interval of their difference on one side of
    nothing; `seed` is that of redrawing.
    """
    tallies = _tallies(poll.answered(Comparison))
    fitted = strengths(ids, tallies)
    shares = expected_shares(fitted)
    rng = random.Random(derived_seed(seed, "comparisons"))  # noqa: S311 - no secret
    drawn = redrawn_shares(fitted, tallies, rng=rng)
    needed = (1 + CONFIDENCE) / 2 * len(drawn)
    ranks = shared_ranks(
        ids, lambda a, b: sum(one[a] > one[b] for one in drawn) >= needed
    )
    standing = {}
    for one in ids:
        asked = [c for c in poll.of_kind(Comparison) if one in c.ids]
        counted = sum(c.item in poll.answers for c in asked)
        low, high = middle_of([found[one] for found in drawn], CONFIDENCE)
        compared = HeadToHead(
            overall=_score(shares[one]),
            interval=(_score(low), _score(high)),
            votes=counted,
            abstained=len(asked) - counted,
        )
        standing[one] = Standing(ranks[one], compared)
    return standing


def _tallies(games: Games) -> dict[tuple[int, int], Tally]:
    found: dict[tuple[int, int], Tally] = {}
    for comparison, verdict in games:
        first, second = comparison.ids
        points = weighted(verdict, comparison.criteria)
        pair = (min(first, second), max(first, second))
        before = found.get(pair, Tally(0.0, 0))
        mine = points if first < second else WIN - points
        found[pair] = Tally(before.points + mine, before.games + 1)
    return found


def scores_of_comparisons(
    poll: Poll, criteria: Sequence[Criterion], *, seed: int
) -> list[ArticleScore]:
    """One score a card, in card order; a card without any comparison has none."""
    games = poll.answered(Comparison)
    met = {one for comparison, _ in games for one in comparison.ids}
    ids = [card.article_id for card in poll.cards if card.article_id in met]
    if not ids:
        return []
    table = standings(ids, poll, seed=seed)
    return [_score_of(one, table[one], games, criteria=criteria) for one in ids]


def _score_of(
    one: int, standing: Standing, games: Games, *, criteria: Sequence[Criterion]
) -> ArticleScore:
    own = [
        (comparison, verdict) for comparison, verdict in games if one in comparison.ids
    ]
    marks = {c.name: [_score(p) for p in _won(one, own, c.name)] for c in criteria}
    compared = standing.compared
    return ArticleScore(
        article_id=one,
        criteria={
            name: CriterionScore(
                mean=round(fmean(values), _PLACES),
                spread=round(pstdev(values), _PLACES),
                votes=len(values),
            )
            for name, values in marks.items()
        },
        overall=compared.overall,
        votes=compared.votes,
        abstained=compared.abstained,
        interval=compared.interval,
        rank=standing.rank,
        by_judge=_by_judge(one, own, criteria),
        compared=compared,
    )


def _won(one: int, games: Games, criterion: str) -> list[float]:
    """The points of one of the two in each of its games."""
    return [
        verdict[criterion] if one == comparison.ids[0] else WIN - verdict[criterion]
        for comparison, verdict in games
    ]


def _by_judge(
    one: int, games: Games, criteria: Sequence[Criterion]
) -> dict[str, JudgeMark]:
    judged: dict[str, list[tuple[Comparison, Verdict]]] = {}
    for comparison, verdict in games:
        name = comparison.judge.preset or ""
        judged.setdefault(name, []).append((comparison, verdict))
    marks = {}
    for judge, found in sorted(judged.items()):
        means = {c.name: fmean(_won(one, found, c.name)) for c in criteria}
        mean = _score(weighted_mean(means, criteria))
        marks[judge] = JudgeMark(mean=mean, votes=len(found))
    return marks


def _score(share: float) -> float:
    return round(LOWEST + (HIGHEST - LOWEST) * share, _PLACES)
