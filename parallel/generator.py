"""
Drafts, several at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from parallel.scheduler import Task, no_more
from parallel.stage import GENERATE_RANK, ParallelStage
from pipeline.generate import write_candidate
from pipeline.records import ArticleCandidate, CandidatePlan
from pipeline.work import candidate_item


class ParallelCandidateGenerator(ParallelStage):
    """Writes drafts concurrently, each by the endpoint of its plan's preset."""

    stage_name = "generate"

    def generate_candidates_parallel(
        self, plans: Sequence[CandidatePlan]
    ) -> list[ArticleCandidate]:
        """Drafts in the order of the plans; a failed one is left out and recorded."""
        results = self._run(self.task(plan) for plan in plans)
        items = (candidate_item(plan.article_id) for plan in plans)
        return [results[item] for item in items if item in results]

    def task(
        self,
        plan: CandidatePlan,
        *,
        then: Callable[[ArticleCandidate], Iterable[Task]] = no_more,
    ) -> Task:
        """The task of one draft."""
        client = self.client
        return Task(
            key=candidate_item(plan.article_id),
            rank=(GENERATE_RANK, plan.article_id),
            stage=self.stage_name,
            endpoint=client.endpoint(plan.preset),
            run=lambda: write_candidate(plan, client=client),
            then=then,
        )
