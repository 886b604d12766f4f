"""
Drafts, several at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from parallel.scheduler import Task
from parallel.stage import GENERATE_RANK, ParallelStage
from parallel.window import no_more
from pipeline.candidates import write_candidate
from pipeline.items import candidate_item
from pipeline.records import ArticleCandidate, CandidatePlan


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
            group=self.stage_name,
            lane=client.lane(plan.preset),
            run=lambda: write_candidate(plan, client=client),
            then=then,
        )
