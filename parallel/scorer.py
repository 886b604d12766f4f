"""
Votes and comparisons, several at once, all in one pool.

A card's votes never wait for each other, nor for another card's; only a further round
waits for the one before it, since it depends on the whole of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from parallel.scheduler import Task
from parallel.stage import SCORE_RANK, ParallelStage
from parallel.workers import cast_ballot_worker
from pipeline.criteria import Criterion
from pipeline.judging.ballots import Ballot, Results
from pipeline.judging.rounds import Judging, judge_cards
from pipeline.records import ArticleCard, ArticleScore
from pipeline.settings import Votes


class ParallelCardScorer(ParallelStage):
    """Scores cards concurrently; a failed vote is an abstention."""

    stage_name = "score"

    def score_cards_parallel(
        self,
        cards: Sequence[ArticleCard],
        criteria: Sequence[Criterion],
        votes: Votes = 3,
    ) -> list[ArticleScore]:
        """Scores in card order, each from the votes that could be had.

        `votes` is how many on each card, or "auto" for as many as it takes.
        """
        return self.judge_cards_parallel(
            cards, Judging(votes=votes, criteria=tuple(criteria))
        )

    def compare_cards_parallel(
        self, cards: Sequence[ArticleCard], criteria: Sequence[Criterion]
    ) -> list[ArticleScore]:
        """Scores in card order from comparisons of every pair in both orders."""
        return self.judge_cards_parallel(
            cards, Judging(mode="pairwise", criteria=tuple(criteria))
        )

    def judge_cards_parallel(
        self, cards: Sequence[ArticleCard], judging: Judging
    ) -> list[ArticleScore]:
        """Scores in card order by any scheme."""

        def cast(ballots: Sequence[Ballot]) -> Results:
            return self._run(self.tasks(ballots, judging.criteria))

        return judge_cards(cards, judging, cast, watch=self._watch)

    def tasks(
        self, ballots: Iterable[Ballot], criteria: Sequence[Criterion]
    ) -> Iterator[Task]:
        """One task a ballot, each on the lane of its judge."""
        for ballot in ballots:
            yield self._task(ballot, criteria)

    def _task(self, ballot: Ballot, criteria: Sequence[Criterion]) -> Task:
        client = self.client
        return Task(
            key=ballot.item,
            rank=(SCORE_RANK, *ballot.place),
            group=self.stage_name,
            lane=client.lane(ballot.judge.preset),
            run=lambda: cast_ballot_worker(
                ballot, criteria, verbose=False, client=client
            ),
        )
