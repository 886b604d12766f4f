"""
How the same work is done without the program's scheduler: plain pools of threads.

One client is shared by all threads and the same functions make the same calls; only
who starts what and when differs. Nothing but the number of threads limits them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from pipeline.criteria import CRITERIA
from pipeline.extract import extract_article_card
from pipeline.generate import write_candidate
from pipeline.judging.by_votes import mean_of
from pipeline.judging.vote import Marks, Vote
from pipeline.records import (
    ArticleCandidate,
    ArticleCard,
    CandidatePlan,
    Judged,
)
from tests.benchmarks.setting import Engine
from tests.benchmarks.workload import Load

T = TypeVar("T")
R = TypeVar("R")


def one_pool(made: Engine, load: Load) -> Judged:
    """One pool without stages: each call submits what follows it, first in, first out."""
    with ThreadPoolExecutor(made.limiter.max_in_flight) as pool:

        def draft(plan: CandidatePlan) -> tuple[ArticleCandidate, Future[_Carded]]:
            written = write_candidate(plan, client=made.client)
            return written, pool.submit(card, written)

        def card(written: ArticleCandidate) -> _Carded:
            found = extract_article_card(written, client=made.client)
            votes = [pool.submit(_vote, made, found, n) for n in _numbers(load)]
            return found, votes

        drafts = [
            each.result() for each in [pool.submit(draft, p) for p in load.plans()]
        ]
        carded = [later.result() for _, later in drafts]
        votes = [[vote.result() for vote in later] for _, later in carded]
    return _judged([d for d, _ in drafts], [c for c, _ in carded], votes)


def staged_pools(made: Engine, load: Load) -> Judged:
    """A pool for each stage; each waits for the last item of the one before."""
    drafts, cards = _drafted(made, load)
    asked = [(card, number) for card in cards for number in _numbers(load)]
    flat = iter(_map(made, lambda one: _vote(made, *one), asked))
    return _judged(drafts, cards, [[next(flat) for _ in _numbers(load)] for _ in cards])


def staged_chained(made: Engine, load: Load) -> Judged:
    """The same, and one thread gives a card its votes one after another."""
    drafts, cards = _drafted(made, load)

    def chain(card: ArticleCard) -> list[Marks]:
        return [_vote(made, card, number) for number in _numbers(load)]

    return _judged(drafts, cards, _map(made, chain, cards))


_Carded = tuple[ArticleCard, list["Future[Marks]"]]


def _drafted(
    made: Engine, load: Load
) -> tuple[list[ArticleCandidate], list[ArticleCard]]:
    client = made.client
    drafts = _map(made, lambda plan: write_candidate(plan, client=client), load.plans())
    return drafts, _map(made, lambda d: extract_article_card(d, client=client), drafts)


def _map(made: Engine, work: Callable[[T], R], inputs: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(made.limiter.max_in_flight) as pool:
        return list(pool.map(work, inputs))


def _vote(made: Engine, card: ArticleCard, number: int) -> Marks:
    return Vote(card=card, number=number).ask(made.client)


def _numbers(load: Load) -> range:
    return range(1, int(load.votes) + 1)


def _judged(
    drafts: list[ArticleCandidate],
    cards: list[ArticleCard],
    votes: list[list[Marks]],
) -> Judged:
    asked = len(votes[0]) if votes else 0
    scores = [mean_of(cast, CRITERIA, asked=asked) for cast in votes]
    return Judged(drafts, cards, scores)
