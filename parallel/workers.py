"""
What runs on a worker thread: one extraction, one vote.

Plain calls of the pipeline; how many run at once is not their business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from parallel.errors import first_line
from parallel.stage import say
from pipeline.criteria import Criterion
from pipeline.extract import extract_article_card
from pipeline.items import card_item, vote_item
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCandidate, ArticleCard, ArticleScore
from pipeline.score import score_article_card

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
    return _told(
        lambda: score_article_card(card, criteria, vote_number, client=client),
        name=vote_item(card.article_id, vote_number).name,
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
