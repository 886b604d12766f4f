"""
Drafting and judging one call at a time: three plain loops.

The reference that the parallel flow must equal; it fits the same slot of `run.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.candidates import write_all_candidates
from pipeline.extract import extract_all_article_cards
from pipeline.items import NOBODY, Watch
from pipeline.judging.rounds import Judging
from pipeline.llm.client import ChatClient
from pipeline.records import CandidatePlan, Judged
from pipeline.score import judge_all_cards


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
    scores = judge_all_cards(cards, judging, client=client, watch=watch)
    return Judged(candidates, cards, scores)
