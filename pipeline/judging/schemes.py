"""
Which ballots are asked: fixed votes, votes where it is open, every pair, a funnel.

A scheme decides by rounds and from the whole of what the rounds before brought, so that
the decision is the same in whatever order answers come. It asks nobody itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from pipeline.judging import auto
from pipeline.judging.ballots import Ballot, Poll
from pipeline.judging.by_comparisons import (
    Games,
    Standing,
    games_of,
    head_to_head,
    own_family_of,
    scores_of_comparisons,
    standing,
)
from pipeline.judging.by_votes import (
    asked_votes,
    counted_votes,
    levelled,
    scores_of_votes,
    with_own_family_named,
)
from pipeline.judging.pairwise import Comparison, both_orders
from pipeline.judging.panel import Panel
from pipeline.judging.vote import Vote
from pipeline.records import ArticleCard, ArticleScore
from pipeline.seeds import derived_seed

FINALISTS = 4


class Scheme(Protocol):
    """Decides what is asked, round by round, and what it adds up to."""

    def opening(
        self, card: ArticleCard, others: Iterable[ArticleCard], /
    ) -> Sequence[Ballot]:
        """What can be asked as soon as a card is there, beside the `others` so far."""

    def next_round(self, poll: Poll, /) -> Sequence[Ballot]:
        """What to ask when all that was asked is answered; empty when it is enough."""

    def scores(self, poll: Poll, /) -> list[ArticleScore]:
        """One score a card, in card order; a card without an answer has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedVotes:
    """As many votes on each card."""

    votes: int
    panel: Panel

    def opening(
        self, card: ArticleCard, _others: Iterable[ArticleCard], /
    ) -> Sequence[Ballot]:
        """Every vote of the card."""
        return votes_on(card, range(1, self.votes + 1), self.panel)

    def next_round(self, _poll: Poll, /) -> Sequence[Ballot]:
        """Nothing: a vote that failed is an abstention."""
        return ()

    def scores(self, poll: Poll, /) -> list[ArticleScore]:
        """Means of the votes, with intervals and shared ranks."""
        return scores_of_votes(poll, self.panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoVotes(FixedVotes):
    """The opening votes on each card, then more where the order at the top is open."""

    votes: int = auto.OPENING_VOTES

    def next_round(self, poll: Poll, /) -> Sequence[Ballot]:
        """Further votes on the leader and those close to it, while there is budget."""
        asked = asked_votes(poll)
        level = levelled(counted_votes(poll))
        more = auto.next_votes(level.overalls, asked, judges=level.judges)
        return [
            vote
            for card in poll.cards
            if (count := more.get(own := card.article_id))
            for vote in votes_on(
                card, range(asked[own] + 1, asked[own] + count + 1), self.panel
            )
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryPair:
    """Each pair of cards in both orders."""

    panel: Panel
    seed: int = 0

    def opening(
        self, card: ArticleCard, others: Iterable[ArticleCard], /
    ) -> Sequence[Ballot]:
        """The card against each of the others."""
        return [each for other in others for each in _pair(card, other, self.panel)]

    def next_round(self, _poll: Poll, /) -> Sequence[Ballot]:
        """Nothing: a comparison that failed is missing."""
        return ()

    def scores(self, poll: Poll, /) -> list[ArticleScore]:
        """By Bradley-Terry, with intervals and shared ranks."""
        scores = scores_of_comparisons(poll, rng=_chance(self.seed))
        return [with_own_family_named(score, self.panel) for score in scores]


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel(FixedVotes):
    """Votes on each card; then each pair of the best four in both orders."""

    seed: int = 0

    def next_round(self, poll: Poll, /) -> Sequence[Ballot]:
        """Every pair of the finalists, once."""
        if poll.of_kind(Comparison):
            return ()
        finalists = self._finalists(poll)
        cards = [card for card in poll.cards if card.article_id in finalists]
        return [
            each for pair in combinations(cards, 2) for each in _pair(*pair, self.panel)
        ]

    def scores(self, poll: Poll, /) -> list[ArticleScore]:
        """Means of the votes; the finalists stand first, in the order of comparisons.

        The rank of the others counts from behind the finalists. When every comparison
        failed, the votes alone decide.
        """
        scores, games = scores_of_votes(poll, self.panel), games_of(poll)
        if not games:
            return scores
        ids = sorted({one for c in poll.of_kind(Comparison) for one in c.place[:2]})
        table = standing(ids, games, poll.criteria, rng=_chance(self.seed))
        cut = [score for score in scores if score.article_id not in table.ranks]
        return [
            score.model_copy(update={"rank": len(ids) + _rank_among(score, cut)})
            if score.article_id not in table.ranks
            else self._finalist(score, table, poll, games=games)
            for score in scores
        ]

    def _finalist(
        self, score: ArticleScore, table: Standing, poll: Poll, *, games: Games
    ) -> ArticleScore:
        one = score.article_id
        own = own_family_of(one, games, self.panel)
        compared = head_to_head(one, table, poll).model_copy(update={"own_family": own})
        return score.model_copy(update={"rank": table.ranks[one], "compared": compared})

    def _finalists(self, poll: Poll) -> set[int]:
        scores = scores_of_votes(poll, self.panel)
        best = sorted(scores, key=lambda score: (-score.overall, score.article_id))
        return {score.article_id for score in best[:FINALISTS]}


def votes_on(card: ArticleCard, numbers: Iterable[int], panel: Panel) -> list[Vote]:
    """These votes on a card, each by its judge."""
    return [
        Vote(card=card, number=n, judge=panel.of_vote(card.article_id, n))
        for n in numbers
    ]


def _pair(a: ArticleCard, b: ArticleCard, panel: Panel) -> list[Comparison]:
    return both_orders(a, b, judge=panel.of_pair(a.article_id, b.article_id))


def _rank_among(score: ArticleScore, cut: Sequence[ArticleScore]) -> int:
    """The rank by votes among those that were cut."""
    return 1 + sum((other.rank or 1) < (score.rank or 1) for other in cut)


def _chance(seed: int) -> random.Random:
    return random.Random(derived_seed(seed, "comparisons"))  # noqa: S311 - no secret
