"""
Drafting and judging one call at a time: three plain loops.

The reference that the parallel flow must equal; it fits the same slot of `run.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.candidates import write_all_candidates
from pipeline.criteria import CRITERIA, Criterion
from pipeline.extract import extract_all_article_cards
from pipeline.items import NOBODY, Watch
from pipeline.llm.client import ChatClient
from pipeline.pairwise import compare_all_cards
from pipeline.records import (
    ArticleCard,
    ArticleScore,
    CandidatePlan,
    Judged,
)
from pipeline.score import score_all_cards_with_voting


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How drafts are judged; `votes` counts only in absolute mode."""

    is_wanted: bool = True
    mode: str = "absolute"
    votes: int = 3
    retry_count: int = 3
    criteria: tuple[Criterion, ...] = CRITERIA


def draft_and_judge(
    plans: Sequence[CandidatePlan],
    *,
    judging: Judging,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> Judged:
    """Candidates, cards and scores in id order; failed items are left out."""
    candidates = write_all_candidates(plans, client=client, watch=watch)
    if not judging.is_wanted:
        return Judged(candidates, [], [])
    cards = extract_all_article_cards(
        candidates, judging.retry_count, client=client, watch=watch
    )
    return Judged(candidates, cards, _scores(cards, judging, client, watch=watch))


def _scores(
    cards: Sequence[ArticleCard],
    judging: Judging,
    client: ChatClient | None,
    *,
    watch: Watch,
) -> list[ArticleScore]:
    if judging.mode == "pairwise":
        return compare_all_cards(cards, judging.criteria, client=client, watch=watch)
    return score_all_cards_with_voting(
        cards, judging.criteria, judging.votes, client=client, watch=watch
    )
