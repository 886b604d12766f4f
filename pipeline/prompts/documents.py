"""
How briefs, drafts, cards and blueprints stand in a prompt: as data between tags.

Every text of a model or a file goes through `fenced`, so that none can close its own
block. What of a card can be chosen stands under a label: 2.H1, 3.K2. Nothing here says
what is to be done with a block, and nothing chooses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.records import (
    ArticleCard,
    ArticleScore,
    Brief,
    Passage,
    SynthesisBlueprint,
)
from pipeline.text.article import Unit
from pipeline.text.safety import fenced


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


Ranked = Sequence[tuple[ArticleCard, ArticleScore | None]]
"""Cards with their scores, the best first."""


@dataclass(frozen=True, slots=True)
class Element:
    """One labelled thing on a card that may be chosen."""

    label: str
    kind: str
    passage: Passage


KINDS = {
    "H": "headline",
    "O": "opening",
    "A": "core argument",
    "S": "structure",
    "K": "key point",
    "E": "evidence",
    "P": "phrase",
}


def elements_of(card: ArticleCard) -> Iterator[Element]:
    """Everything on a card that may be chosen, in reading order."""
    texts: dict[str, Sequence[str]] = {
        "H": card.headline_candidates,
        "O": (card.opening_hook,),
        "A": (card.core_argument,),
        "S": (card.structure,),
        "K": card.key_points,
        "E": [each.sentence for each in card.evidence],
        "P": card.memorable_phrases,
    }
    for kind, found in texts.items():
        for number, text in enumerate(found, start=1):
            label = f"{card.article_id}.{kind}{number}"
            yield Element(label, kind, Passage(article_id=card.article_id, text=text))


def ranked(cards: Sequence[ArticleCard], scores: Sequence[ArticleScore]) -> Ranked:
    """Cards with their scores, joined by id, the best first; ties by id.

    A card without a score comes last.
    """
    by_id = {score.article_id: score for score in scores}
    pairs = [(card, by_id.get(card.article_id)) for card in cards]
    by_number = sorted(pairs, key=lambda pair: pair[0].article_id)
    return sorted(
        by_number,
        key=lambda pair: pair[1].merit if pair[1] else (0.0, 0.0),
        reverse=True,  # a stable sort stays stable: ties remain by id
    )


def card_with_labels(card: ArticleCard, score: ArticleScore | None) -> str:
    """A card as the editor sees it: its scores, labelled elements and weaknesses."""
    lines = [f"Draft {card.article_id}: {_score_line(score)}"]
    lines += [
        f"[{e.label}] {KINDS[e.kind]}: {e.passage.text}" for e in elements_of(card)
    ]
    lines += [f"tone: {card.tone}", f"audience: {card.audience}"]
    lines += [f"weakness: {weakness}" for weakness in card.weaknesses]
    return fenced("card", "\n".join(lines))


def _score_line(score: ArticleScore | None) -> str:
    if score is None:
        return "no score, every vote failed"
    parts = (f"{n} {c.mean:g} ±{c.spread:g}" for n, c in score.criteria.items())
    rank = "" if score.rank is None else f"rank {score.rank}, "
    return (
        f"{rank}overall {score.overall:g} from {score.votes} votes ({', '.join(parts)})"
    )
