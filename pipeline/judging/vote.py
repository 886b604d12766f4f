"""
SCORE by votes: one judge, one card, one independent sample.

A vote has its own seed, and a temperature above 0. Overall scores are computed here from
the weights and never taken from a model. What several votes add up to is not said here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from pipeline.blocks import card_block
from pipeline.criteria import HIGHEST, LOWEST, Criterion, rubric, weighted_mean
from pipeline.items import Item, Question, vote_item
from pipeline.judging.asking import Form
from pipeline.judging.panel import MAIN_JUDGE, Judge
from pipeline.llm.call import Reply
from pipeline.llm.client import ChatClient
from pipeline.llm.defaults import client_or_default
from pipeline.prompting import fill
from pipeline.records import ArticleCard, ArticleScore, CriterionScore, JudgeMark
from pipeline.short.score import short_vote

STAGE = "score"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The question for vote `number`, from 1, on a card."""

    card: ArticleCard
    number: int
    judge: Judge = MAIN_JUDGE

    @property
    def item(self) -> Item:
        """Its name in reports."""
        return vote_item(self.card.article_id, self.number)

    @property
    def place(self) -> tuple[int, ...]:
        """By card, then by number."""
        return (self.card.article_id, self.number)

    def ask(
        self, criteria: Sequence[Criterion], *, client: ChatClient | None = None
    ) -> ArticleScore:
        """The vote; raises when there is none."""
        return score_article_card(
            self.card, criteria, self.number, judge=self.judge.preset, client=client
        )


class CriterionVote(Reply):
    """One criterion: the reason first, so that the score follows from it."""

    justification: str
    score: int = Field(ge=LOWEST, le=HIGHEST)


class ArticleScoreReply(Reply):
    """One vote; its fields are the criteria."""


_FORM = Form(ArticleScoreReply, CriterionVote)


def score_article_card(
    card: ArticleCard,
    criteria: Sequence[Criterion],
    vote_number: int = 1,
    *,
    judge: str | None = None,
    client: ChatClient | None = None,
) -> ArticleScore:
    """Vote `vote_number`, from 1, on one card; `judge` is a preset, or the main one.

    Raises UnreadableReply when no reply could be used, and the errors of the client.
    """
    client = client_or_default(client)
    preset = client.preset(judge)
    question = Question(
        stage=STAGE, item_id=str(card.article_id), sample=vote_number, preset=judge
    )
    if preset.is_short:
        marks = short_vote(card, criteria, question, client=client)
        return one_vote(card.article_id, marks, criteria, judge=preset.name)
    messages = fill(
        "score",
        {
            "lowest": LOWEST,
            "highest": HIGHEST,
            "rubric": rubric(criteria),
            "card": card_block(card),
        },
        short=False,
    )
    votes = _FORM.filled_in(messages, criteria, question, client=client)
    return one_vote(
        card.article_id,
        {name: vote.score for name, vote in votes.items()},
        criteria,
        justifications={name: vote.justification for name, vote in votes.items()},
        judge=preset.name,
    )


def one_vote(
    article_id: int,
    scores: Mapping[str, float],
    criteria: Sequence[Criterion],
    *,
    justifications: Mapping[str, str] | None = None,
    judge: str = "",
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
        overall=(overall := weighted_mean(means, criteria)),
        votes=1,
        by_judge={judge: JudgeMark(mean=overall, votes=1)},
    )
