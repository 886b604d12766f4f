"""
SCORE for a small model: one whole number a criterion, or one winner; no reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from pydantic import Field, create_model

from pipeline.criteria import HIGHEST, LOWEST, Criterion
from pipeline.items import Question
from pipeline.llm.call import CallOptions, Reply
from pipeline.llm.client import ChatClient
from pipeline.prompting import fill
from pipeline.records import ArticleCard
from pipeline.short.forms import form, from_to, one_of, shape
from pipeline.text_safety import fenced

TEMPERATURE = 0.7
MAX_TOKENS = 140
LONGEST_TEXT = 300
WINNERS = ("A", "B", "tie")


class ShortArticleScoreReply(Reply):
    """One vote; its fields are the criteria."""


class ShortPairwiseVerdictReply(Reply):
    """One comparison; its fields are the criteria."""


@lru_cache(maxsize=16)
def _forms(
    base: type[Reply], criteria: tuple[Criterion, ...]
) -> tuple[type[Reply], Mapping[str, Any]]:
    is_vote = base is ShortArticleScoreReply
    kind: Any = int if is_vote else Literal[WINNERS]
    value: Any = Field(ge=LOWEST, le=HIGHEST) if is_vote else ...
    shown = from_to(LOWEST, HIGHEST) if is_vote else one_of(WINNERS)
    fields: dict[str, Any] = {c.name: (kind, value) for c in criteria}
    reply: type[Reply] = create_model(base.__name__, __base__=base, **fields)
    return reply, form({c.name: shown for c in criteria})


def short_vote(
    card: ArticleCard,
    criteria: Sequence[Criterion],
    question: Question,
    *,
    client: ChatClient,
) -> dict[str, int]:
    """The marks of one vote, by criterion."""
    values = {"card": card_lines(card), "lowest": LOWEST, "highest": HIGHEST}
    kind = _Kind(ShortArticleScoreReply, "score", tuple(criteria))
    return _marks(kind, values, question, client=client)


def short_verdict(
    cards: tuple[ArticleCard, ArticleCard],
    criteria: Sequence[Criterion],
    question: Question,
    *,
    client: ChatClient,
) -> dict[str, str]:
    """Who wins one comparison, by criterion: A, B or tie."""
    first, second = map(card_lines, cards)
    kind = _Kind(ShortPairwiseVerdictReply, "pairwise", tuple(criteria))
    values = {"card_a": first, "card_b": second}
    return _marks(kind, values, question, client=client)


class _Kind(NamedTuple):
    """What is filled in, and by which prompt it is asked for."""

    form: type[Reply]
    prompt: str
    criteria: tuple[Criterion, ...]


def _marks(
    kind: _Kind,
    values: Mapping[str, object],
    question: Question,
    *,
    client: ChatClient,
) -> dict[str, Any]:
    reply_form, schema = _forms(kind.form, kind.criteria)
    shown = {
        **values,
        "rubric": "\n".join(f"{c.name}: {c.question}" for c in kind.criteria),
        "shape": shape(schema),
    }
    reply = client.complete_as(
        reply_form,
        fill(kind.prompt, shown, short=True),
        stage=question.stage,
        item_id=question.item_id,
        options=CallOptions(
            sample=question.sample,
            preset=question.preset,
            temperature=TEMPERATURE,
            max_tokens=MAX_TOKENS,
            schema=schema,
        ),
    )
    return reply.model_dump()


def card_lines(card: ArticleCard) -> str:
    """A card in plain lines, as data."""
    lines = [
        f"Headline: {card.headline_candidates[0]}",
        f"Hook: {card.opening_hook}",
        f"Argument: {card.core_argument}",
        *(f"Point {number}: {p}" for number, p in enumerate(card.key_points, 1)),
        f"Structure: {card.structure}. Tone: {card.tone}.",
        *(f"Weakness: {weakness}" for weakness in card.weaknesses),
    ]
    return fenced("card", "\n".join(line[:LONGEST_TEXT] for line in lines))
