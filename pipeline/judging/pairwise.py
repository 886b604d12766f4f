"""
SCORE by comparison: two cards, all criteria in one call, each card first once.

Judges favour a place as well as a text, so one order alone is no result. After Zheng
et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena" (2023), section 3.4.
What several comparisons add up to is not said here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pipeline.blocks import card_block
from pipeline.criteria import Criterion, rubric
from pipeline.items import Item, Question, comparison_item
from pipeline.judging.asking import Form
from pipeline.judging.panel import MAIN_JUDGE, Judge
from pipeline.llm.call import Reply
from pipeline.llm.client import ChatClient
from pipeline.llm.defaults import client_or_default
from pipeline.prompting import Message, fill
from pipeline.records import ArticleCard
from pipeline.short.score import short_verdict

STAGE = "score"
WIN, TIE, LOSS = 1.0, 0.5, 0.0
_POINTS = {"A": WIN, "tie": TIE, "B": LOSS}


class CriterionVerdict(Reply):
    """One criterion: the reason first, then who wins."""

    reason: str
    winner: Literal["A", "B", "tie"]


class PairwiseVerdictReply(Reply):
    """One comparison; its fields are the criteria."""


_FORM = Form(PairwiseVerdictReply, CriterionVerdict)

Verdict = Mapping[str, float]
"""Points of the first card by criterion: 1 for a win, 0.5 for a tie, 0 for a loss."""


class Shown(Protocol):
    """One of the two in a comparison."""

    @property
    def article_id(self) -> int:
        """Its id."""


S = TypeVar("S", bound=Shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Generic[S]):
    """Two in the order in which they are shown to a judge; rounds count from 1."""

    first: S
    second: S
    round_number: int = 1
    judge: Judge = MAIN_JUDGE

    @property
    def place(self) -> tuple[int, int, int]:
        """By the ids as shown, then by round."""
        return (self.first.article_id, self.second.article_id, self.round_number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Pair[ArticleCard]):
    """The question which of two cards is better."""

    @property
    def item(self) -> Item:
        """Its name in reports."""
        return comparison_item(*self.place)

    def ask(
        self, criteria: Sequence[Criterion], *, client: ChatClient | None = None
    ) -> Verdict:
        """The verdict; raises when there is none."""
        return compare_cards(self, criteria, client=client)


def both_orders(
    a: ArticleCard, b: ArticleCard, *, judge: Judge = MAIN_JUDGE
) -> list[Comparison]:
    """One pair, each card first once, the lower id first; one judge for both."""
    a, b = sorted((a, b), key=lambda card: card.article_id)
    return [
        Comparison(first=a, second=b, judge=judge),
        Comparison(first=b, second=a, judge=judge),
    ]


def compare_cards(
    comparison: Comparison,
    criteria: Sequence[Criterion],
    *,
    client: ChatClient | None = None,
) -> Verdict:
    """The first card's points by criterion, for this order alone.

    Raises UnreadableReply when no reply could be used, and the errors of the client.
    """
    cards = (comparison.first, comparison.second)
    question = question_of(comparison.place, comparison.judge, stage=STAGE)
    return card_verdict(cards, criteria, question, client=client_or_default(client))


def question_of(place: tuple[int, int, int], judge: Judge, *, stage: str) -> Question:
    """The call of a comparison: two ids in the order shown, and the round."""
    first, second, round_number = place
    return Question(
        stage=stage,
        item_id=f"{first}-{second}",
        sample=round_number,
        preset=judge.preset,
    )


def card_verdict(
    cards: tuple[ArticleCard, ArticleCard],
    criteria: Sequence[Criterion],
    question: Question,
    *,
    client: ChatClient,
) -> Verdict:
    """The first card's points, in the form that suits the judge."""
    if client.preset(question.preset).is_short:
        winners = short_verdict(cards, criteria, question, client=client)
        return {name: _POINTS[winner] for name, winner in winners.items()}
    messages = fill(
        "pairwise",
        {
            "rubric": rubric(criteria),
            "card_a": card_block(cards[0]),
            "card_b": card_block(cards[1]),
        },
        short=False,
    )
    return full_verdict(messages, criteria, question, client=client)


def full_verdict(
    messages: Sequence[Message],
    criteria: Sequence[Criterion],
    question: Question,
    *,
    client: ChatClient,
) -> Verdict:
    """The points of what the messages show as A, by criterion."""
    verdicts = _FORM.filled_in(messages, criteria, question, client=client)
    return {name: _POINTS[verdict.winner] for name, verdict in verdicts.items()}
