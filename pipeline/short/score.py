"""
SCORE for a small model: one whole number a criterion, or one winner; no reasons.

What is returned is a form, its messages and its options; the judge is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, create_model

from pipeline.criteria import HIGHEST, LOWEST, Criterion
from pipeline.llm.call import CallOptions, Reply
from pipeline.prompts.templates import Message, fill
from pipeline.records import ArticleCard
from pipeline.short.forms import form, from_to, one_of, shape
from pipeline.text.safety import fenced

MAX_TOKENS = 140
LONGEST_TEXT = 300
WINNERS = ("A", "B", "tie")
Asked = tuple[type[Reply], list[Message], CallOptions]


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


def short_vote(card: ArticleCard, criteria: tuple[Criterion, ...]) -> Asked:
    """A vote: the reply holds a mark for each criterion."""
    values = {"card": card_lines(card), "lowest": LOWEST, "highest": HIGHEST}
    return _asked(ShortArticleScoreReply, "score", values, criteria=criteria)


def short_comparison(
    cards: Sequence[ArticleCard], criteria: tuple[Criterion, ...]
) -> Asked:
    """A comparison of two: the reply says for each criterion A, B or tie."""
    first, second = map(card_lines, cards)
    values = {"card_a": first, "card_b": second}
    return _asked(ShortPairwiseVerdictReply, "pairwise", values, criteria=criteria)


def _asked(
    base: type[Reply],
    prompt: str,
    values: Mapping[str, object],
    *,
    criteria: tuple[Criterion, ...],
) -> Asked:
    reply, schema = _forms(base, criteria)
    shown = {
        **values,
        "rubric": "\n".join(f"{c.name}: {c.question}" for c in criteria),
        "shape": shape(schema),
    }
    messages = fill(prompt, shown, short=True)
    return reply, messages, CallOptions(max_tokens=MAX_TOKENS, schema=schema)


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
