"""
SELECT: the best elements of all drafts, as a blueprint.

Every element of a card gets a label, the model answers with labels, and the program
puts the words back: nothing is retyped and nothing can come from a draft that is not
there. The schema lists the labels that exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.llm.call import CallOptions, Reply, strict_schema
from pipeline.llm.client import ChatClient
from pipeline.prompts.documents import (
    KINDS,
    Element,
    Ranked,
    brief_block,
    card_with_labels,
    elements_of,
    ranked,
)
from pipeline.prompts.templates import fill, room_characters
from pipeline.records import (
    ArticleCard,
    ArticleScore,
    BlueprintSection,
    Brief,
    Passage,
    SynthesisBlueprint,
)
from pipeline.short.select import short_blueprint

STAGE = "select"
TEMPERATURE = 0.2
ROOM_CHARACTERS = 120_000  # of cards, where the preset states no context
_SHARE_FOR_CARDS = 0.6


class SectionReply(Reply):
    """A section by labels."""

    heading: str
    points: tuple[str, ...] = Field(min_length=1, max_length=5)
    evidence: tuple[str, ...] = Field(max_length=4)


class SynthesisBlueprintReply(Reply):
    """A blueprint by labels; every one must be on the cards that were shown."""

    headline: str
    opening: str
    argument: str
    structure: str
    sections: tuple[SectionReply, ...] = Field(min_length=1, max_length=7)
    phrases: tuple[str, ...] = Field(max_length=5)
    avoid: tuple[str, ...] = Field(max_length=8)
    rationale: str

    @field_validator("headline", "opening", "argument", "structure", "phrases")
    @classmethod
    def _exist(cls, value: Any, info: ValidationInfo) -> Any:
        labels = [value] if isinstance(value, str) else value
        _check_labels(labels, _KIND_OF[info.field_name or ""], info)
        return value

    @model_validator(mode="after")
    def _sections_exist(self, info: ValidationInfo) -> SynthesisBlueprintReply:
        for section in self.sections:
            _check_labels(section.points, "K", info)
            _check_labels(section.evidence, "E", info)
        return self


_KIND_OF = {
    "headline": "H",
    "opening": "O",
    "argument": "A",
    "structure": "S",
    "phrases": "P",
}


def _check_labels(labels: Sequence[str], kind: str, info: ValidationInfo) -> None:
    known: Mapping[str, Element] = (info.context or {}).get("elements", {})
    for label in labels:
        if label not in known:
            message = f"{label} is no label on the cards"
            raise ValueError(message)
        if known[label].kind != kind:
            is_a, wanted = KINDS[known[label].kind], KINDS[kind]
            message = f"{label} is the label of a {is_a}, not of a {wanted}"
            raise ValueError(message)


def select_elements(
    brief: Brief,
    cards: Sequence[ArticleCard],
    scores: Sequence[ArticleScore],
    *,
    client: ChatClient,
) -> SynthesisBlueprint:
    """The blueprint of the article to write; as many cards are shown as have room.

    Raises UnreadableReply when no reply could be used, and the errors of the client.
    """
    preset = client.preset()
    pairs = ranked(cards, scores)
    if preset.is_short:
        return short_blueprint(pairs, client=client)
    return _full_blueprint(brief, _with_room(pairs, preset.context), client)


def _full_blueprint(
    brief: Brief,
    pairs: Ranked,
    client: ChatClient,
) -> SynthesisBlueprint:
    elements = {e.label: e for card, _ in pairs for e in elements_of(card)}
    reply = client.complete_as(
        SynthesisBlueprintReply,
        fill(
            "select",
            {
                "brief": brief_block(brief),
                "cards": "\n\n".join(card_with_labels(*pair) for pair in pairs),
            },
            short=False,
        ),
        stage=STAGE,
        item_id=STAGE,
        options=CallOptions(
            temperature=TEMPERATURE,
            schema=blueprint_schema(elements),
            context={"elements": elements},
        ),
    )
    return _blueprint(reply, elements, pairs)


def blueprint_schema(elements: Mapping[str, Element]) -> dict[str, Any]:
    """The reply's schema with the labels that exist, and no list that cannot be."""
    labels = {
        kind: [e.label for e in elements.values() if e.kind == kind] for kind in KINDS
    }
    schema = strict_schema(SynthesisBlueprintReply)
    fields = schema["properties"]
    section = schema["$defs"]["SectionReply"]["properties"]
    for name, kind in (("headline", "H"), ("opening", "O"), ("argument", "A")):
        fields[name]["enum"] = labels[kind]
    fields["structure"]["enum"] = labels["S"]
    _narrow(fields["phrases"], labels["P"])
    _narrow(section["points"], labels["K"])
    _narrow(section["evidence"], labels["E"])
    return schema


def _narrow(array: dict[str, Any], labels: Sequence[str]) -> None:
    if labels:
        array["items"]["enum"] = labels
    array["maxItems"] = min(array["maxItems"], len(labels))


def _blueprint(
    reply: SynthesisBlueprintReply,
    elements: Mapping[str, Element],
    pairs: Ranked,
) -> SynthesisBlueprint:
    def passages(labels: Sequence[str]) -> tuple[Passage, ...]:
        return tuple(elements[label].passage for label in dict.fromkeys(labels))

    headline, opening, argument, structure = (
        elements[label].passage
        for label in (reply.headline, reply.opening, reply.argument, reply.structure)
    )
    leading = next(c for c, _ in pairs if c.article_id == structure.article_id)
    return SynthesisBlueprint(
        headline=headline,
        opening_hook=opening,
        core_argument=argument,
        structure=structure,
        tone=leading.tone,
        audience=leading.audience,
        sections=tuple(
            BlueprintSection(
                heading=section.heading,
                points=passages(section.points),
                evidence=passages(section.evidence),
            )
            for section in reply.sections
        ),
        preserved_phrases=passages(reply.phrases),
        avoid=reply.avoid,
        rationale=reply.rationale,
        considered=tuple(sorted(card.article_id for card, _ in pairs)),
    )


def _with_room(
    pairs: Ranked, context: int | None
) -> list[tuple[ArticleCard, ArticleScore | None]]:
    """The best cards that fit, at least two."""
    room = room_characters(context, share=_SHARE_FOR_CARDS, otherwise=ROOM_CHARACTERS)
    shown: list[tuple[ArticleCard, ArticleScore | None]] = []
    for pair in pairs:
        room -= len(card_with_labels(*pair))
        if room < 0 and len(shown) >= 2:
            break
        shown.append(pair)
    return shown
