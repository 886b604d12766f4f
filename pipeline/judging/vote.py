"""
SCORE by votes: one judge, one card, one independent sample.

A vote has its own seed, and a temperature above 0. Its overall mark is computed here
from the weights and never taken from a model. What several add up to is not said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from pydantic import Field

from pipeline.criteria import (
    CRITERIA,
    HIGHEST,
    LOWEST,
    Criterion,
    rubric,
    weighted_mean,
)
from pipeline.judging.panel import MAIN_JUDGE, Judge
from pipeline.judging.questions import form_by_criterion, reply_to
from pipeline.llm.call import CallOptions, Reply
from pipeline.llm.client import ChatClient
from pipeline.prompts.documents import card_block
from pipeline.prompts.templates import fill
from pipeline.records import ArticleCard
from pipeline.short.score import short_vote
from pipeline.work import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The answer to a vote: who gives which card what on each criterion, and why."""

    article_id: int
    judge: str
    overall: float
    by_criterion: Mapping[str, float]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The question for vote `number`, from 1, on a card."""

    card: ArticleCard
    number: int
    judge: Judge = MAIN_JUDGE
    criteria: tuple[Criterion, ...] = CRITERIA

    @property
    def item(self) -> Item:
        """Its name in reports."""
        return Item("score", f"vote {self.number} on card {self.card.article_id}")

    @property
    def order(self) -> tuple[int, ...]:
        """By card, then by number."""
        return (self.card.article_id, self.number)

    def ask(self, client: ChatClient, /) -> Marks:
        """The judge's marks.

        Raises UnreadableReply when no reply could be used, and the client's errors.
        """
        preset = client.preset(self.judge.preset)
        if preset.is_short:
            short = reply_to(self, short_vote(self.card, self.criteria), client)
            return self.marks(short.model_dump(), judge=preset.name)
        values = {
            "lowest": LOWEST,
            "highest": HIGHEST,
            "rubric": rubric(self.criteria),
            "card": card_block(self.card),
        }
        messages = fill("score", values, short=False)
        reply = reply_to(self, (_form(self.criteria), messages, CallOptions()), client)
        said = {c.name: getattr(reply, c.name) for c in self.criteria}
        return self.marks(
            {name: each.score for name, each in said.items()},
            judge=preset.name,
            reasons={name: each.justification for name, each in said.items()},
        )

    def marks(
        self,
        scores: Mapping[str, float],
        *,
        judge: str,
        reasons: Mapping[str, str] | None = None,
    ) -> Marks:
        """What an answer with these scores is."""
        return Marks(
            article_id=self.card.article_id,
            judge=judge,
            overall=weighted_mean(scores, self.criteria),
            by_criterion={c.name: float(scores[c.name]) for c in self.criteria},
            reasons=reasons or {},
        )


class CriterionVote(Reply):
    """One criterion: the reason first, so that the score follows from it."""

    justification: str
    score: int = Field(ge=LOWEST, le=HIGHEST)


class ArticleScoreReply(Reply):
    """One vote; its fields are the criteria."""


@lru_cache(maxsize=16)
def _form(criteria: tuple[Criterion, ...]) -> type[ArticleScoreReply]:
    return form_by_criterion(ArticleScoreReply, criteria, CriterionVote)
