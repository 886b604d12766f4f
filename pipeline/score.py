"""
SCORE: the cards of all drafts judged, one call at a time.

One vote is in `judging/vote.py`, one comparison in `judging/comparison.py`; which of
them are asked is in `judging/schemes.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pipeline.criteria import Criterion
from pipeline.judging.by_votes import mean_of
from pipeline.judging.panel import Judge
from pipeline.judging.questions import ask_one_by_one
from pipeline.judging.schemes import Judging, judge_cards
from pipeline.judging.vote import Vote
from pipeline.llm.client import ChatClient
from pipeline.llm.opening import client_or_default
from pipeline.records import ArticleCard, ArticleScore
from pipeline.settings import Votes
from pipeline.work import NOBODY, Watch


def score_article_card(
    card: ArticleCard,
    criteria: Sequence[Criterion],
    vote_number: int = 1,
    *,
    judge: str | None = None,
    client: ChatClient | None = None,
) -> ArticleScore:
    """Vote `vote_number`, from 1, on one card; `judge` is a preset, or the main one.

    Raises UnreadableReply when no reply could be used, and the errors of the client.
    """
    vote = Vote(
        card=card,
        number=vote_number,
        judge=Judge(preset=judge),
        criteria=tuple(criteria),
    )
    return mean_of([vote.ask(client_or_default(client))], criteria, asked=1)


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


def judge_all_cards(
    cards: Sequence[ArticleCard],
    judging: Judging,
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleScore]:
    """Scores in card order by any scheme, one question at a time."""
    ask = partial(ask_one_by_one, client=client, watch=watch)
    return judge_cards(cards, judging, ask, watch=watch)
