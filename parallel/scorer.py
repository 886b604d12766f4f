"""
Votes and comparisons, several at once, all in one pool.

A card's votes never wait for each other, nor for another card's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from parallel.scheduler import Task
from parallel.stage import SCORE_RANK, ParallelStage
from parallel.workers import score_single_vote_worker
from pipeline.criteria import Criterion
from pipeline.items import Item, vote_item
from pipeline.pairwise import (
    Comparison,
    compare_cards,
    comparisons,
    scores_from_verdicts,
)
from pipeline.records import ArticleCard, ArticleScore
from pipeline.score import combine_by_card


class ParallelCardScorer(ParallelStage):
    """Scores cards concurrently; a failed vote is an abstention."""

    stage_name = "score"

    def score_cards_parallel(
        self,
        cards: Sequence[ArticleCard],
        criteria: Sequence[Criterion],
        votes: int = 3,
    ) -> list[ArticleScore]:
        """Scores in card order, each from the votes that could be had."""
        results = self._run(
            task for card in cards for task in self.tasks(card, criteria, votes)
        )
        return self.from_votes(results, cards, criteria, votes=votes)

    def compare_cards_parallel(
        self, cards: Sequence[ArticleCard], criteria: Sequence[Criterion]
    ) -> list[ArticleScore]:
        """Scores in card order from comparisons of every pair in both orders."""
        results = self._run(
            self.comparison_task(each, criteria) for each in comparisons(cards)
        )
        return self.from_comparisons(results, cards, criteria)

    def tasks(
        self, card: ArticleCard, criteria: Sequence[Criterion], votes: int
    ) -> Iterator[Task]:
        """One task a vote."""
        for number in range(1, votes + 1):
            yield self._vote_task(card, criteria, number)

    def _vote_task(
        self, card: ArticleCard, criteria: Sequence[Criterion], number: int
    ) -> Task:
        client = self.client
        return Task(
            key=vote_item(card.article_id, number),
            rank=(SCORE_RANK, card.article_id, number),
            group=self.stage_name,
            lane=client.lane(),
            run=lambda: score_single_vote_worker(
                card, criteria, number, verbose=False, client=client
            ),
        )

    def comparison_task(
        self, comparison: Comparison, criteria: Sequence[Criterion]
    ) -> Task:
        """The task of one comparison."""
        client = self.client
        return Task(
            key=comparison.item,
            rank=(SCORE_RANK, *comparison.key),
            group=self.stage_name,
            lane=client.lane(),
            run=lambda: compare_cards(comparison, criteria, client=client),
        )

    @staticmethod
    def from_votes(
        results: Mapping[Item, ArticleScore],
        cards: Sequence[ArticleCard],
        criteria: Sequence[Criterion],
        *,
        votes: int,
    ) -> list[ArticleScore]:
        """What the votes add up to, in card order."""
        keyed = {
            (card.article_id, number): results[item]
            for card in cards
            for number in range(1, votes + 1)
            if (item := vote_item(card.article_id, number)) in results
        }
        return combine_by_card(cards, keyed, criteria, asked=votes)

    @staticmethod
    def from_comparisons(
        results: Mapping[Item, Mapping[str, float]],
        cards: Sequence[ArticleCard],
        criteria: Sequence[Criterion],
    ) -> list[ArticleScore]:
        """What the comparisons add up to, in card order."""
        verdicts = {
            each.key: results[each.item]
            for each in comparisons(cards)
            if each.item in results
        }
        return scores_from_verdicts(cards, verdicts, criteria)
