"""
SCORE: the cards of all drafts judged, one call at a time.

One vote is in `vote.py`, one comparison in `pairwise.py`; which of them are asked, and
what they add up to, is in `judging/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pipeline.criteria import Criterion
from pipeline.items import NOBODY, Watch
from pipeline.judging.ballots import cast_one_by_one
from pipeline.judging.rounds import Judging, judge_cards
from pipeline.judging.vote import STAGE, score_article_card
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCard, ArticleScore
from pipeline.settings import Votes

__all__ = [
    "STAGE",
    "compare_all_cards",
    "judge_all_cards",
    "score_all_cards_with_voting",
    "score_article_card",
]


def score_all_cards_with_voting(
    cards: Sequence[ArticleCard],
    criteria: Sequence[Criterion],
    votes: Votes = 3,
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleScore]:
    """Scores in card order, one vote at a time; failed votes are abstentions.

    `votes` is how many on each card, or "auto" for as many as it takes.
    """
    judging = Judging(votes=votes, criteria=tuple(criteria))
    return judge_all_cards(cards, judging, client=client, watch=watch)


def compare_all_cards(
    cards: Sequence[ArticleCard],
    criteria: Sequence[Criterion],
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleScore]:
    """Scores in card order from every pair in both orders, one comparison at a time."""
    judging = Judging(mode="pairwise", criteria=tuple(criteria))
    return judge_all_cards(cards, judging, client=client, watch=watch)


def judge_all_cards(
    cards: Sequence[ArticleCard],
    judging: Judging,
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleScore]:
    """Scores in card order by any scheme, one ballot at a time."""
    cast = partial(
        cast_one_by_one, criteria=judging.criteria, client=client, watch=watch
    )
    return judge_cards(cards, judging, cast, watch=watch)
