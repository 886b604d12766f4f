"""
What comparisons add up to: an order by Bradley-Terry, and how sure it is.

A comparison is one game; its points are the criteria's, weighted, so that one call can
be a narrow win. A failed comparison is missing; it is never a loss. Both orders of a
pair are games of their own: a judge who always names the first gives each a win.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from pipeline.criteria import HIGHEST, LOWEST, Criterion, weighted, weighted_mean
from pipeline.judging.ballots import Poll
from pipeline.judging.bradley_terry import (
    Shares,
    Tally,
    expected_shares,
    middle_of,
    redrawn_shares,
    strengths,
)
from pipeline.judging.certainty import CONFIDENCE, shared_ranks
from pipeline.judging.pairwise import WIN, Comparison, Verdict
from pipeline.judging.panel import Panel
from pipeline.records import ArticleScore, CriterionScore, HeadToHead, JudgeMark

_PLACES = 3
Games = Sequence[tuple[Comparison, Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the compared cards stand, by id."""

    shares: Shares
    intervals: Mapping[int, tuple[float, float]]
    ranks: Mapping[int, int]


def games_of(poll: Poll) -> list[tuple[Comparison, Verdict]]:
    """The comparisons that were answered, by the ids in them."""
    ordered = sorted(poll.of_kind(Comparison), key=lambda each: each.place)
    return [(c, poll.results[c.item]) for c in ordered if c.item in poll.results]


def points_of(verdict: Verdict, criteria: Sequence[Criterion]) -> float:
    """The share of the first card in one comparison, criteria weighted, 0 to 1."""
    return weighted(verdict, criteria)


def standing(
    ids: Sequence[int],
    games: Games,
    criteria: Sequence[Criterion],
    *,
    rng: random.Random,
) -> Standing:
    """Shares, 90 % intervals and shared ranks of the cards; ids without a game too.

    Two cards are told apart when one is ahead in 95 % of the redrawn results, which is
    the 90 % interval of their difference on one side of nothing.
    """
    tallies = _tallies(games, criteria)
    fitted = strengths(ids, tallies)
    drawn = redrawn_shares(fitted, tallies, rng=rng)
    needed = (1 + CONFIDENCE) / 2 * len(drawn)

    def is_surely_above(a: int, b: int) -> bool:
        return sum(shares[a] > shares[b] for shares in drawn) >= needed

    return Standing(
        shares=expected_shares(fitted),
        intervals={
            one: middle_of([shares[one] for shares in drawn], CONFIDENCE) for one in ids
        },
        ranks=shared_ranks(ids, is_surely_above),
    )


def _tallies(
    games: Games, criteria: Sequence[Criterion]
) -> dict[tuple[int, int], Tally]:
    found: dict[tuple[int, int], Tally] = {}
    for comparison, verdict in games:
        first, second, _ = comparison.place
        points = points_of(verdict, criteria)
        pair = (min(first, second), max(first, second))
        before = found.get(pair, Tally(0.0, 0))
        mine = points if first < second else WIN - points
        found[pair] = Tally(before.points + mine, before.games + 1)
    return found


def head_to_head(one: int, table: Standing, poll: Poll) -> HeadToHead:
    """How one of the compared cards stands, on the scale of scores."""
    asked = [c for c in poll.of_kind(Comparison) if one in c.place[:2]]
    counted = sum(c.item in poll.results for c in asked)
    low, high = table.intervals[one]
    return HeadToHead(
        overall=_score(table.shares[one]),
        interval=(_score(low), _score(high)),
        votes=counted,
        abstained=len(asked) - counted,
    )


def own_family_of(one: int, games: Games, panel: Panel) -> tuple[str, ...]:
    """The judges who compared a card that their own family wrote, by name."""
    return tuple(
        sorted(
            {
                comparison.judge.preset or ""
                for comparison, _ in games
                if one in comparison.place[:2] and panel.wrote(comparison.judge, one)
            }
        )
    )


def scores_of_comparisons(poll: Poll, *, rng: random.Random) -> list[ArticleScore]:
    """One score a card, in card order; a card without any comparison has none."""
    games = games_of(poll)
    met = {one for comparison, _ in games for one in comparison.place[:2]}
    ids = [card.article_id for card in poll.cards if card.article_id in met]
    if not ids:
        return []
    table = standing(ids, games, poll.criteria, rng=rng)
    return [_score_of(one, table, poll, games=games) for one in ids]


def _score_of(one: int, table: Standing, poll: Poll, *, games: Games) -> ArticleScore:
    marks = {
        c.name: [_score(p) for p in _won(one, games, c.name)] for c in poll.criteria
    }
    compared = head_to_head(one, table, poll)
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
        rank=table.ranks[one],
        by_judge=_by_judge(one, games, poll.criteria),
        compared=compared,
    )


def _won(one: int, games: Games, criterion: str) -> list[float]:
    return [
        verdict[criterion] if one == c.first.article_id else WIN - verdict[criterion]
        for c, verdict in games
        if one in c.place[:2]
    ]


def _by_judge(
    one: int, games: Games, criteria: Sequence[Criterion]
) -> dict[str, JudgeMark]:
    judged: dict[str, list[tuple[Comparison, Verdict]]] = {}
    for game in games:
        if one in game[0].place[:2]:
            judged.setdefault(game[0].judge.preset or "", []).append(game)
    marks = {}
    for judge, found in sorted(judged.items()):
        means = {c.name: fmean(_won(one, found, c.name)) for c in criteria}
        mean = _score(weighted_mean(means, criteria))
        marks[judge] = JudgeMark(mean=mean, votes=len(found))
    return marks


def _score(share: float) -> float:
    return round(LOWEST + (HIGHEST - LOWEST) * share, _PLACES)
