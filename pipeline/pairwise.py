"""
SCORE by comparison: each pair of cards in both orders, all criteria in one call.

Judges favour a place as well as a text, so one order alone is no result: where the two
orders disagree on a criterion, it is a tie. A failed comparison is missing; it is never
a loss. After Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena"
(2023), section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import fmean, pstdev
from typing import Any, Literal

from pydantic import create_model

from pipeline.blocks import card_block
from pipeline.criteria import HIGHEST, LOWEST, Criterion, rubric, weighted_mean
from pipeline.items import NOBODY, Item, Watch, comparison_item, work_through
from pipeline.llm.call import CallOptions, Reply, strict_schema
from pipeline.llm.client import ChatClient
from pipeline.llm.defaults import client_or_default
from pipeline.prompting import fill
from pipeline.records import ArticleCard, ArticleScore, CriterionScore
from pipeline.short.score import short_verdict

STAGE = "score"
TEMPERATURE = 0.7
_WIN, _TIE, _LOSS = 1.0, 0.5, 0.0
_PLACES = 3


class CriterionVerdict(Reply):
    """One criterion: the reason first, then who wins."""

    reason: str
    winner: Literal["A", "B", "tie"]


class PairwiseVerdictReply(Reply):
    """One comparison; its fields are the criteria."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two cards in the order in which they are shown; rounds count from 1."""

    first: ArticleCard
    second: ArticleCard
    round_number: int = 1

    @property
    def key(self) -> tuple[int, int, int]:
        """What a verdict is joined by."""
        return (self.first.article_id, self.second.article_id, self.round_number)

    @property
    def item(self) -> Item:
        """Its name in reports."""
        return comparison_item(*self.key)


Verdict = Mapping[str, float]
"""Points of the first card by criterion: 1 for a win, 0.5 for a tie, 0 for a loss."""


def comparisons(cards: Sequence[ArticleCard]) -> list[Comparison]:
    """Every pair in both orders, by ids."""
    by_id = sorted(cards, key=lambda card: card.article_id)
    return [
        comparison
        for a, b in combinations(by_id, 2)
        for comparison in both_orders(a, b)
    ]


def both_orders(a: ArticleCard, b: ArticleCard) -> list[Comparison]:
    """One pair, each card first once."""
    return [Comparison(first=a, second=b), Comparison(first=b, second=a)]


@lru_cache(maxsize=16)
def verdict_form(
    criteria: tuple[Criterion, ...],
) -> tuple[type[PairwiseVerdictReply], Mapping[str, Any]]:
    """The reply with one field a criterion, and its schema."""
    fields: dict[str, Any] = {c.name: (CriterionVerdict, ...) for c in criteria}
    form: type[PairwiseVerdictReply] = create_model(
        PairwiseVerdictReply.__name__, __base__=PairwiseVerdictReply, **fields
    )
    return form, strict_schema(form)


def compare_cards(
    comparison: Comparison,
    criteria: Sequence[Criterion],
    *,
    client: ChatClient | None = None,
) -> Verdict:
    """The first card's points by criterion, for this order alone."""
    client = client_or_default(client)
    first, second, round_number = comparison.key
    points = {"A": _WIN, "tie": _TIE, "B": _LOSS}
    if client.preset().is_short:
        cards = (comparison.first, comparison.second)
        winners = short_verdict(cards, criteria, round_number, client=client)
        return {name: points[winner] for name, winner in winners.items()}
    form, schema = verdict_form(tuple(criteria))
    reply = client.complete_as(
        form,
        fill(
            "pairwise",
            {
                "rubric": rubric(criteria),
                "card_a": card_block(comparison.first),
                "card_b": card_block(comparison.second),
            },
            short=False,
        ),
        stage=STAGE,
        item_id=f"{first}-{second}",
        options=CallOptions(
            sample=round_number, temperature=TEMPERATURE, schema=schema
        ),
    )
    return {c.name: points[getattr(reply, c.name).winner] for c in criteria}


def pair_points(
    verdicts: Mapping[tuple[int, int, int], Verdict], criterion: str
) -> dict[tuple[int, int], float]:
    """Points of (a, b) with a < b, for a, over both orders.

    Orders that disagree are a tie; one order alone, its twin having failed, counts as
    it is; a pair without any is missing.
    """
    seen: dict[tuple[int, int], list[float]] = {}
    for (first, second, _), verdict in sorted(verdicts.items()):
        points = verdict[criterion]
        pair = (min(first, second), max(first, second))
        seen.setdefault(pair, []).append(points if first < second else _WIN - points)
    return {
        pair: points[0] if len(set(points)) == 1 else _TIE
        for pair, points in seen.items()
    }


def scores_from_verdicts(
    cards: Sequence[ArticleCard],
    verdicts: Mapping[tuple[int, int, int], Verdict],
    criteria: Sequence[Criterion],
) -> list[ArticleScore]:
    """One score a card, in card order; a card without any comparison has none.

    A mean is 1 + 9 times the share of points won against the other cards.
    """
    tables = {c.name: pair_points(verdicts, c.name) for c in criteria}
    asked = 2 * (len(cards) - 1)
    scores = []
    for card in cards:
        own = card.article_id
        counted = sum(own in (first, second) for first, second, _ in verdicts)
        if not counted:
            continue
        marks = {
            name: [
                LOWEST + (HIGHEST - LOWEST) * (points if own == a else _WIN - points)
                for (a, b), points in table.items()
                if own in (a, b)
            ]
            for name, table in tables.items()
        }
        means = {name: fmean(values) for name, values in marks.items()}
        scores.append(
            ArticleScore(
                article_id=own,
                criteria={
                    name: CriterionScore(
                        mean=round(means[name], _PLACES),
                        spread=round(pstdev(values), _PLACES),
                        votes=len(values),
                    )
                    for name, values in marks.items()
                },
                overall=weighted_mean(means, criteria),
                votes=counted,
                abstained=max(0, asked - counted),
            )
        )
    return scores


def compare_all_cards(
    cards: Sequence[ArticleCard],
    criteria: Sequence[Criterion],
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleScore]:
    """Scores in card order, one comparison at a time."""
    verdicts = verdicts_of(comparisons(cards), criteria, client=client, watch=watch)
    return scores_from_verdicts(cards, verdicts, criteria)


def verdicts_of(
    asked: Iterable[Comparison],
    criteria: Sequence[Criterion],
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> dict[tuple[int, int, int], Verdict]:
    """Verdicts by comparison, asked one at a time; failed ones are missing."""
    return dict(
        work_through(
            asked,
            lambda each: (each.key, compare_cards(each, criteria, client=client)),
            item=lambda each: each.item,
            watch=watch,
        )
    )
