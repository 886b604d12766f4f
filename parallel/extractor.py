"""
Cards, several at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from parallel.scheduler import Task
from parallel.stage import EXTRACT_RANK, ParallelStage
from parallel.window import no_more
from parallel.workers import extract_single_card_worker
from pipeline.items import card_item
from pipeline.records import ArticleCandidate, ArticleCard


class ParallelArticleExtractor(ParallelStage):
    """Extracts cards concurrently."""

    stage_name = "extract"

    def extract_cards_parallel(
        self, candidates: Sequence[ArticleCandidate], retry_count: int = 3
    ) -> list[ArticleCard]:
        """Cards in candidate order; a failed candidate is left out and recorded."""
        results = self._run(
            self.task(candidate, retry_count=retry_count) for candidate in candidates
        )
        items = (card_item(candidate.article_id) for candidate in candidates)
        return [results[item] for item in items if item in results]

    def task(
        self,
        candidate: ArticleCandidate,
        *,
        retry_count: int = 3,
        then: Callable[[ArticleCard], Iterable[Task]] = no_more,
    ) -> Task:
        """The task of one card."""
        client = self.client
        return Task(
            key=card_item(candidate.article_id),
            rank=(EXTRACT_RANK, candidate.article_id),
            group=self.stage_name,
            lane=client.lane(),
            run=lambda: extract_single_card_worker(
                candidate, retry_count, verbose=False, client=client
            ),
            then=then,
        )
