"""
Votes and comparisons, several at once, all in one pool; one vote on a worker thread.

A card's votes never wait for each other, nor for another card's; only a further round
waits for the one before it, since it depends on the whole of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from parallel.scheduler import Task
from parallel.stage import SCORE_RANK, ParallelStage, told
from pipeline.criteria import Criterion
from pipeline.judging.questions import Answers, Question
from pipeline.judging.schemes import Judging, judge_cards
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCard, ArticleScore
from pipeline.score import score_article_card
from pipeline.settings import Votes


def score_single_vote_worker(  # noqa: PLR0917 - the signature that callers know
    card: ArticleCard,
    criteria: Sequence[Criterion],
    vote_number: int,
    verbose: bool,
    *,
    client: ChatClient | None = None,
) -> ArticleScore:
    """One vote on one card; raises when it cannot be had, saying so if `verbose`."""
    return told(
        lambda: score_article_card(card, criteria, vote_number, client=client),
        name=f"vote {vote_number} on card {card.article_id}",
        verbose=verbose,
    )


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

    def judge_cards_parallel(
        self, cards: Sequence[ArticleCard], judging: Judging
    ) -> list[ArticleScore]:
        """Scores in card order by any scheme."""

        def ask(questions: Sequence[Question]) -> Answers:
            return self._run(self.tasks(questions))

        return judge_cards(cards, judging, ask, watch=self._watch)

    def tasks(self, questions: Iterable[Question]) -> Iterator[Task]:
        """One task a question, each at the endpoint of its judge."""
        return map(self._task, questions)

    def _task(self, question: Question) -> Task:
        client = self.client
        return Task(
            key=question.item,
            rank=(SCORE_RANK, *question.order),
            stage=question.item.stage,
            endpoint=client.endpoint(question.judge.preset),
            run=lambda: question.ask(client),
        )
