"""
What runs on a worker thread: one extraction, one ballot.

Plain calls of the pipeline; how many run at once is not their business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from parallel.errors import first_line
from parallel.stage import say
from pipeline.criteria import Criterion
from pipeline.extract import extract_article_card
from pipeline.items import card_item
from pipeline.judging.ballots import Ballot
from pipeline.judging.vote import Vote
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCandidate, ArticleCard, ArticleScore

T = TypeVar("T")


def extract_single_card_worker(
    candidate: ArticleCandidate,
    retry_count: int,
    verbose: bool,
    *,
    client: ChatClient | None = None,
) -> ArticleCard:
    """The card of one draft; raises when it cannot be had, saying so if `verbose`."""
    return _told(
        lambda: extract_article_card(candidate, retry_count, client=client),
        name=card_item(candidate.article_id).name,
        verbose=verbose,
    )


def score_single_vote_worker(  # noqa: PLR0917 - the signature that callers know
    card: ArticleCard,
    criteria: Sequence[Criterion],
    vote_number: int,
    verbose: bool,
    *,
    client: ChatClient | None = None,
) -> ArticleScore:
    """One vote on one card; raises when it cannot be had, saying so if `verbose`."""
    ballot = Vote(card=card, number=vote_number)
    score: ArticleScore = cast_ballot_worker(
        ballot, criteria, verbose=verbose, client=client
    )
    return score


def cast_ballot_worker(
    ballot: Ballot,
    criteria: Sequence[Criterion],
    *,
    verbose: bool,
    client: ChatClient | None = None,
) -> Any:
    """What the judge answers; raises when there is no answer, so saying if `verbose`."""
    return _told(
        lambda: ballot.ask(criteria, client=client),
        name=ballot.item.name,
        verbose=verbose,
    )


def _told(work: Callable[[], T], *, name: str, verbose: bool) -> T:
    try:
        result = work()
    except Exception as error:
        if verbose:
            say(f"{name}: failed: {first_line(str(error))}")
        raise
    if verbose:
        say(f"{name}: done")
    return result
