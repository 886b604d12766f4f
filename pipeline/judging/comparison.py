"""
Comparison of two: all criteria in one call, each of the two shown first once.

Judges favour a place as well as a text, so one order alone is no result. After Zheng
et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena" (2023), section 3.4.
What several comparisons add up to is not said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pipeline.criteria import CRITERIA, Criterion, rubric
from pipeline.judging.panel import MAIN_JUDGE, Judge
from pipeline.judging.questions import form_by_criterion, reply_to
from pipeline.llm.call import CallOptions, Reply
from pipeline.llm.client import ChatClient
from pipeline.prompts.documents import article_block, brief_block, card_block
from pipeline.prompts.templates import Message, fill
from pipeline.records import ArticleCandidate, ArticleCard, Brief
from pipeline.short.score import short_comparison
from pipeline.work import Item

WIN, TIE, LOSS = 1.0, 0.5, 0.0
_POINTS = {"A": WIN, "tie": TIE, "B": LOSS}

Verdict = Mapping[str, float]
"""Points of the first by criterion: 1 for a win, 0.5 for a tie, 0 for a loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The question which of two is better, in the order in which they are shown.

    They are two cards, or, with a `brief`, two articles written to it; rounds count
    from 1.
    """

    first: ArticleCard | ArticleCandidate
    second: ArticleCard | ArticleCandidate
    round_number: int = 1
    brief: Brief | None = None
    stage: str = "score"
    judge: Judge = MAIN_JUDGE
    criteria: tuple[Criterion, ...] = CRITERIA

    @property
    def ids(self) -> tuple[int, int]:
        """Who is compared, as shown."""
        return (self.first.article_id, self.second.article_id)

    @property
    def item(self) -> Item:
        """Its name in reports."""
        (first, second), of = self.ids, "cards " if self.stage == "score" else ""
        name = f"comparison {self.round_number} of {of}{first} and {second}"
        return Item(self.stage, name)

    @property
    def order(self) -> tuple[int, ...]:
        """By the ids as shown, then by round."""
        return (*self.ids, self.round_number)

    @property
    def cards(self) -> list[ArticleCard]:
        """The two cards; none where whole articles are compared."""
        both = (self.first, self.second)
        return [one for one in both if isinstance(one, ArticleCard)]

    def ask(self, client: ChatClient, /) -> Verdict:
        """The first one's points by criterion, for this order alone.

        Raises UnreadableReply when no reply could be used, and the client's errors.
        """
        if self.cards and client.preset(self.judge.preset).is_short:
            short = short_comparison(self.cards, self.criteria)
            won = reply_to(self, short, client).model_dump()
            return {name: _POINTS[winner] for name, winner in won.items()}
        asked = (_form(self.criteria), self._messages(), CallOptions())
        reply = reply_to(self, asked, client)
        return {c.name: _POINTS[getattr(reply, c.name).winner] for c in self.criteria}

    def _messages(self) -> list[Message]:
        a, b = map(_shown, (self.first, self.second))
        values = {"rubric": rubric(self.criteria), "card_a": a, "card_b": b}
        if self.brief is None:
            return fill("pairwise", values, short=False)
        values |= {"brief": brief_block(self.brief), "article_a": a, "article_b": b}
        return fill("gate", values, short=False)


def _shown(one: ArticleCard | ArticleCandidate) -> str:
    return card_block(one) if isinstance(one, ArticleCard) else article_block(one.text)


class CriterionVerdict(Reply):
    """One criterion: the reason first, then who wins."""

    reason: str
    winner: Literal["A", "B", "tie"]


class PairwiseVerdictReply(Reply):
    """One comparison; its fields are the criteria."""


@lru_cache(maxsize=16)
def _form(criteria: tuple[Criterion, ...]) -> type[PairwiseVerdictReply]:
    return form_by_criterion(PairwiseVerdictReply, criteria, CriterionVerdict)
