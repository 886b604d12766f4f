"""
Cards, several at once, and one alone as it is made on a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from parallel.scheduler import Task, no_more
from parallel.stage import EXTRACT_RANK, ParallelStage, told
from pipeline.extract import extract_article_card
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCandidate, ArticleCard
from pipeline.work import card_item


def extract_single_card_worker(
    candidate: ArticleCandidate,
    retry_count: int | None,
    verbose: bool,
    *,
    client: ChatClient | None = None,
) -> ArticleCard:
    """The card of one draft; raises when it cannot be had, saying so if `verbose`."""
    return told(
        lambda: extract_article_card(candidate, retry_count, client=client),
        name=card_item(candidate.article_id).name,
        verbose=verbose,
    )


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
        retry_count: int | None = None,
        then: Callable[[ArticleCard], Iterable[Task]] = no_more,
    ) -> Task:
        """The task of one card; None asks again as often as the client does."""
        client = self.client
        return Task(
            key=card_item(candidate.article_id),
            rank=(EXTRACT_RANK, candidate.article_id),
            stage=self.stage_name,
            endpoint=client.endpoint(),
            run=lambda: extract_article_card(candidate, retry_count, client=client),
            then=then,
        )
