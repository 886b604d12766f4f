"""
Drafting and judging in one scheduler, without a barrier between the stages.

A candidate's card is extracted when the candidate is there, the questions on it start
when the card is there; with comparisons, a card is compared with every card that came
before it. Only a further round of questions, where a scheme asks for one, waits for all
that is under way. The same tasks as the stages run alone, and the same result as
the loops of `pipeline/run.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from parallel.extractor import ParallelArticleExtractor
from parallel.generator import ParallelCandidateGenerator
from parallel.scheduler import Task
from parallel.scorer import ParallelCardScorer
from parallel.stage import Concurrency
from pipeline.generate import given_candidate
from pipeline.judging.questions import Answers, Question
from pipeline.judging.schemes import Judging, judge_cards
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCandidate, ArticleCard, CandidatePlan, Judged
from pipeline.work import NOBODY, Watch, candidate_item, card_item


def draft_and_judge(
    plans: Sequence[CandidatePlan],
    *,
    judging: Judging,
    concurrency: Concurrency,
    client: ChatClient,
    watch: Watch = NOBODY,
) -> Judged:
    """Candidates, cards and scores in id order; failed items are left out."""
    flow = _Flow(
        judging=judging,
        generator=ParallelCandidateGenerator(client=client, concurrency=concurrency),
        extractor=ParallelArticleExtractor(client=client, concurrency=concurrency),
        scorer=ParallelCardScorer(client=client, concurrency=concurrency),
    )
    given = {p.article_id: given_candidate(p, p.text) for p in plans if p.text}
    first = [
        *(
            flow.generator.task(p, then=flow.after_candidate)
            for p in plans
            if not p.text
        ),
        *(task for each in given.values() for task in flow.after_candidate(each)),
    ]
    results = concurrency.run(first, watch=watch)

    def ask(questions: Sequence[Question]) -> Answers:
        return concurrency.run(flow.scorer.tasks(questions), watch=watch)

    ids = sorted(plan.article_id for plan in plans)
    written = {
        i: results[item] for i in ids if (item := candidate_item(i)) in results
    } | given
    candidates = [written[i] for i in ids if i in written]
    if not judging.is_wanted:
        return Judged(candidates, [], [])
    cards = [results[item] for i in ids if (item := card_item(i)) in results]
    scores = judge_cards(cards, judging, ask, opened=results, watch=watch)
    return Judged(candidates, cards, scores)


def ask_at_once(
    questions: Sequence[Question],
    *,
    concurrency: Concurrency,
    client: ChatClient,
    watch: Watch = NOBODY,
) -> Answers:
    """Answers by item, several asked at once; failed ones are left out."""
    scorer = ParallelCardScorer(client=client, concurrency=concurrency)
    return concurrency.run(scorer.tasks(questions), watch=watch)


@dataclass(slots=True, kw_only=True)
class _Flow:
    """Which tasks follow which; used by the scheduler's thread alone."""

    judging: Judging
    generator: ParallelCandidateGenerator
    extractor: ParallelArticleExtractor
    scorer: ParallelCardScorer
    _cards: list[ArticleCard] = field(default_factory=list)

    def after_candidate(self, candidate: ArticleCandidate) -> Iterable[Task]:
        self.judging.panel.note_author(candidate.article_id, candidate.preset)
        if self.judging.is_wanted:
            yield self.extractor.task(candidate, then=self.after_card)

    def after_card(self, card: ArticleCard) -> Iterable[Task]:
        questions = self.judging.scheme.opening(card, self._cards)
        self._cards.append(card)
        return self.scorer.tasks(questions)
