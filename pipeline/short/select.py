"""
SELECT for a small model: for each part, the number of the draft that has the best one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import ConfigDict, ValidationInfo, model_validator

from pipeline.llm.call import CallOptions, Reply
from pipeline.llm.client import ChatClient
from pipeline.prompts.documents import Ranked
from pipeline.prompts.templates import fill
from pipeline.records import (
    ArticleCard,
    ArticleScore,
    BlueprintSection,
    Passage,
    SynthesisBlueprint,
)
from pipeline.short.forms import check_choices, form, one_of, shape
from pipeline.text.safety import fenced

STAGE = "select"
TEMPERATURE = 0.5
MAX_TOKENS = 120
MOST_CARDS = 8  # of about 140 tokens each
MOST_WORDS = 14  # of one line of a card


class ShortSynthesisBlueprintReply(Reply):
    """The numbers of drafts, by part; `point_2_from` is about the second point."""

    model_config = ConfigDict(frozen=True, extra="allow")

    headline_from: int
    hook_from: int
    structure_from: int

    @model_validator(mode="after")
    def _choices_exist(self, info: ValidationInfo) -> Self:
        check_choices(self.model_dump(), (info.context or {})["schema"])
        return self


def short_blueprint(pairs: Ranked, *, client: ChatClient) -> SynthesisBlueprint:
    """The blueprint; at most eight cards are shown, the best ones."""
    pairs = pairs[:MOST_CARDS]
    cards = {card.article_id: card for card, _ in pairs}
    schema = short_blueprint_schema(list(cards.values()))
    reply = client.complete_as(
        ShortSynthesisBlueprintReply,
        fill(
            "select",
            {
                "cards": "\n\n".join(_lines(card, score) for card, score in pairs),
                "shape": shape(schema),
            },
            short=True,
        ),
        stage=STAGE,
        item_id=STAGE,
        options=CallOptions(
            temperature=TEMPERATURE,
            max_tokens=MAX_TOKENS,
            schema=schema,
            context={"schema": schema},
        ),
    )
    return _blueprint(reply.model_dump(), cards, client=client)


def short_blueprint_schema(cards: Sequence[ArticleCard]) -> dict[str, Any]:
    """The form for these cards: each part lists the drafts that have one."""
    ids = sorted(card.article_id for card in cards)
    return form(
        {
            "headline_from": one_of(ids),
            "hook_from": one_of(ids),
            "structure_from": one_of(ids),
            **{
                f"point_{number}_from": one_of(
                    sorted(c.article_id for c in cards if len(c.key_points) >= number)
                )
                for number in _point_numbers(cards)
            },
        }
    )


def _point_numbers(cards: Sequence[ArticleCard]) -> range:
    """Which points become sections; the first of four repeats the opening too often."""
    most = max(len(card.key_points) for card in cards)
    return range(2 if most >= 4 else 1, most + 1)


def _blueprint(
    chosen: Mapping[str, Any],
    cards: Mapping[int, ArticleCard],
    *,
    client: ChatClient,
) -> SynthesisBlueprint:
    leading = cards[chosen["structure_from"]]
    opening = _passage(cards[chosen["hook_from"]], "opening_hook")
    points = [
        Passage(article_id=own, text=cards[own].key_points[number - 1])
        for number in _point_numbers(list(cards.values()))
        if (own := chosen[f"point_{number}_from"])
    ]
    different = {point.text: point for point in points if point.text != opening.text}
    kept = tuple(different.values()) or tuple(points[:1])
    headline = cards[chosen["headline_from"]]
    return SynthesisBlueprint(
        headline=Passage(
            article_id=headline.article_id, text=headline.headline_candidates[0]
        ),
        opening_hook=opening,
        core_argument=_passage(leading, "core_argument"),
        structure=_passage(leading, "structure"),
        tone=leading.tone,
        audience=leading.audience,
        sections=tuple(BlueprintSection(heading="", points=(p,)) for p in kept),
        # Where a grammar writes them they are in the article to the letter.
        preserved_phrases=kept if client.preset().has_grammars else (),
        avoid=tuple(dict.fromkeys(w for c in cards.values() for w in c.weaknesses)),
        rationale="",
        considered=tuple(sorted(cards)),
    )


def _passage(card: ArticleCard, part: str) -> Passage:
    return Passage(article_id=card.article_id, text=getattr(card, part))


def _lines(card: ArticleCard, score: ArticleScore | None) -> str:
    judged = f"score {score.overall:.1f}" if score else "no score"
    lines = [
        f"Article {card.article_id}, {judged}, {card.structure}",
        f"Headline: {_clipped(card.headline_candidates[0])}",
        f"Hook: {_clipped(card.opening_hook)}",
        *(f"Point {n}: {_clipped(p)}" for n, p in enumerate(card.key_points, 1)),
    ]
    return fenced("card", "\n".join(lines))


def _clipped(text: str) -> str:
    words = text.split()
    return text if len(words) <= MOST_WORDS else " ".join(words[:MOST_WORDS]) + " ..."
