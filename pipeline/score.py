"""
SCORE: independent votes on a card, and what they add up to.

A vote is one sample with its own seed, temperature above 0. A failed vote is an
abstention: it counts nowhere and is no score. Overall scores are computed here from the
weights and never taken from a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import fmean, pstdev
from typing import Any

from pydantic import Field, create_model

from pipeline.blocks import card_block
from pipeline.criteria import HIGHEST, LOWEST, Criterion, rubric, weighted_mean
from pipeline.items import NOBODY, Watch, vote_item, work_through
from pipeline.llm.call import CallOptions, Reply, strict_schema
from pipeline.llm.client import ChatClient
from pipeline.llm.defaults import client_or_default
from pipeline.prompting import fill
from pipeline.records import ArticleCard, ArticleScore, CriterionScore
from pipeline.short.score import short_vote

STAGE = "score"
TEMPERATURE = 0.7
_PLACES = 3


class CriterionVote(Reply):
    """One criterion: the reason first, so that the score follows from it."""

    justification: str
    score: int = Field(ge=LOWEST, le=HIGHEST)


class ArticleScoreReply(Reply):
    """One vote; its fields are the criteria."""


@lru_cache(maxsize=16)
def score_form(
    criteria: tuple[Criterion, ...],
) -> tuple[type[ArticleScoreReply], Mapping[str, Any]]:
    """The reply with one field a criterion, and its schema."""
    fields: dict[str, Any] = {c.name: (CriterionVote, ...) for c in criteria}
    form: type[ArticleScoreReply] = create_model(
        ArticleScoreReply.__name__, __base__=ArticleScoreReply, **fields
    )
    return form, strict_schema(form)


def score_article_card(
    card: ArticleCard,
    criteria: Sequence[Criterion],
    vote_number: int = 1,
    *,
    client: ChatClient | None = None,
) -> ArticleScore:
    """Vote `vote_number`, from 1, on one card.

    Raises UnreadableReply when no reply could be used, and the errors of the client.
    """
    client = client_or_default(client)
    if client.preset().is_short:
        marks = short_vote(card, criteria, vote_number, client=client)
        return one_vote(card.article_id, marks, criteria)
    form, schema = score_form(tuple(criteria))
    reply = client.complete_as(
        form,
        fill(
            "score",
            {
                "lowest": LOWEST,
                "highest": HIGHEST,
                "rubric": rubric(criteria),
                "card": card_block(card),
            },
            short=False,
        ),
        stage=STAGE,
        item_id=str(card.article_id),
        options=CallOptions(sample=vote_number, temperature=TEMPERATURE, schema=schema),
    )
    votes: dict[str, CriterionVote] = {c.name: getattr(reply, c.name) for c in criteria}
    return one_vote(
        card.article_id,
        {name: vote.score for name, vote in votes.items()},
        criteria,
        justifications={name: vote.justification for name, vote in votes.items()},
    )


def one_vote(
    article_id: int,
    scores: Mapping[str, float],
    criteria: Sequence[Criterion],
    *,
    justifications: Mapping[str, str] | None = None,
) -> ArticleScore:
    """A single vote as a score: `votes` 1, spread 0."""
    said = justifications or {}
    means = {c.name: float(scores[c.name]) for c in criteria}
    return ArticleScore(
        article_id=article_id,
        criteria={
            name: CriterionScore(
                mean=mean,
                spread=0.0,
                votes=1,
                justifications=(said[name],) if said.get(name) else (),
            )
            for name, mean in means.items()
        },
        overall=weighted_mean(means, criteria),
        votes=1,
    )


def combine_votes(
    votes: Sequence[ArticleScore],
    criteria: Sequence[Criterion],
    *,
    asked: int,
) -> ArticleScore | None:
    """What the votes on one card, in vote order, add up to; None when all abstained.

    Spread is the population standard deviation of the votes that were counted.
    """
    if not votes:
        return None
    combined = {}
    for criterion in criteria:
        marks = [vote.criteria[criterion.name] for vote in votes]
        means = [mark.mean for mark in marks]
        combined[criterion.name] = CriterionScore(
            mean=round(fmean(means), _PLACES),
            spread=round(pstdev(means), _PLACES),
            votes=len(means),
            justifications=tuple(j for mark in marks for j in mark.justifications),
        )
    exact = {c.name: fmean(v.criteria[c.name].mean for v in votes) for c in criteria}
    return ArticleScore(
        article_id=votes[0].article_id,
        criteria=combined,
        overall=weighted_mean(exact, criteria),
        votes=len(votes),
        abstained=asked - len(votes),
    )


def combine_by_card(
    cards: Sequence[ArticleCard],
    votes: Mapping[tuple[int, int], ArticleScore],
    criteria: Sequence[Criterion],
    *,
    asked: int,
) -> list[ArticleScore]:
    """One score a card, in card order; `votes` is keyed by (article id, vote number).

    A card whose votes all abstained has no score.
    """
    combined = (
        combine_votes(
            [
                votes[card.article_id, number]
                for number in range(1, asked + 1)
                if (card.article_id, number) in votes
            ],
            criteria,
            asked=asked,
        )
        for card in cards
    )
    return [score for score in combined if score is not None]


def score_all_cards_with_voting(
    cards: Sequence[ArticleCard],
    criteria: Sequence[Criterion],
    votes: int = 3,
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleScore]:
    """Scores in card order, one vote at a time; failed votes are abstentions."""
    asked = [(card, number) for card in cards for number in range(1, votes + 1)]
    keyed = work_through(
        asked,
        lambda pair: (
            (pair[0].article_id, pair[1]),
            score_article_card(pair[0], criteria, pair[1], client=client),
        ),
        item=lambda pair: vote_item(pair[0].article_id, pair[1]),
        watch=watch,
    )
    return combine_by_card(cards, dict(keyed), criteria, asked=votes)
