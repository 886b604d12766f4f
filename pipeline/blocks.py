"""
How briefs, drafts, cards and blueprints stand in a prompt: as data between tags.

Every text of a model or a file goes through `fenced`, so that none can close its own
block. Nothing here says what is to be done with a block.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.article_text import Unit
from pipeline.records import ArticleCard, Brief, Passage, SynthesisBlueprint
from pipeline.text_safety import fenced


def brief_block(brief: Brief) -> str:
    """The topic."""
    return fenced("brief", brief.topic)


def background_block(brief: Brief) -> str:
    """The user's background files, or nothing."""
    if not brief.context:
        return ""
    blocks = "\n".join(fenced("background", text) for text in brief.context)
    return (
        "Background the user gave: voice, style and facts to keep to. Where it asks for"
        f" a style, that is the style.\n\n{blocks}"
    )


def article_block(text: str) -> str:
    """A whole article."""
    return fenced("article", text)


def numbered_block(units: Sequence[Unit]) -> str:
    """An article as numbered lines, headings marked."""
    lines = (
        f"{number}. {'[heading] ' if unit.is_heading else ''}{unit.text}"
        for number, unit in enumerate(units, start=1)
    )
    return fenced("article", "\n".join(lines))


def card_block(card: ArticleCard) -> str:
    """A card as a judge sees it: without its id, so that no order shows."""
    return fenced("card", _json(card.model_dump(exclude={"article_id"})))


def blueprint_block(blueprint: SynthesisBlueprint) -> str:
    """The blueprint as the writer sees it: passages without their sources."""
    parts = {
        "headline": blueprint.headline.text,
        "opening_hook": blueprint.opening_hook.text,
        "core_argument": blueprint.core_argument.text,
        "structure": blueprint.structure.text,
        "tone": blueprint.tone,
        "audience": blueprint.audience,
        "sections": [
            {
                "heading": section.heading,
                "points": [point.text for point in section.points],
                "evidence": [passage.text for passage in section.evidence],
            }
            for section in blueprint.sections
        ],
        "preserved_phrases": [p.text for p in blueprint.preserved_phrases],
        "avoid": list(blueprint.avoid),
    }
    return fenced("blueprint", _json(parts))


def blueprint_lines(blueprint: SynthesisBlueprint) -> str:
    """The blueprint for a small model: the parts in order, a line each."""
    points = [point.text for section in blueprint.sections for point in section.points]
    lines = [
        f"Headline: {blueprint.headline.text}",
        f"Opening: {blueprint.opening_hook.text}",
        # No "Section 1:": a small model takes that for the heading.
        *(f"- {point}" for point in points),
    ]
    return fenced("blueprint", "\n".join(lines))


def sources_block(passages: Sequence[Passage]) -> str:
    """Passages of drafts with the numbers of the drafts, or nothing."""
    if not passages:
        return ""
    shown = "\n\n".join(f"Draft {each.article_id}: {each.text}" for each in passages)
    return (
        "\nThe passages of the drafts that the blueprint draws on:\n\n"
        f"{fenced('sources', shown)}\n"
    )


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1)
