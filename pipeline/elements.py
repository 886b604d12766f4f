"""
The parts of cards that can be chosen, each under a label: 2.H1, 3.K2.

A label names the draft, the kind and the place. Nothing here chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.records import ArticleCard, ArticleScore, Passage
from pipeline.text_safety import fenced

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
    place = "" if score.rank is None else f"rank {score.rank}, "
    return (
        f"{place}overall {score.overall:g} from {score.votes} votes"
        f" ({', '.join(parts)})"
    )
