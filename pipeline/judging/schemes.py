"""
Which questions are asked, round by round: votes, votes where it is open, pairs, a funnel.

A scheme decides from the whole of what the rounds before brought, so that the decision
is the same in whatever order answers come. It asks nobody itself; who puts the questions
of a round, one at a time or many at once, is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.criteria import CRITERIA, Criterion
from pipeline.judging.by_comparisons import scores_of_comparisons, standings
from pipeline.judging.by_votes import (
    asked_votes,
    counted_votes,
    levelled,
    scores_of_votes,
)
from pipeline.judging.certainty import next_votes, opening_votes
from pipeline.judging.comparison import Comparison
from pipeline.judging.panel import ONE_JUDGE, Panel
from pipeline.judging.questions import Answers, AskAll, Poll, Question
from pipeline.judging.vote import Vote
from pipeline.records import ArticleCard, ArticleScore
from pipeline.settings import AUTO, Votes
from pipeline.work import NOBODY, Watch

FINALISTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How drafts are judged: `mode` as of --scoring-mode, `votes` a number or "auto".

    `seed` is that of redrawn comparisons, from which their intervals come.
    """

    is_wanted: bool = True
    mode: str = "absolute"
    votes: Votes = 3
    criteria: tuple[Criterion, ...] = CRITERIA
    panel: Panel = ONE_JUDGE
    seed: int = 0

    @property
    def opening_votes(self) -> int:
        """Votes on each card before any further round."""
        return opening_votes(self.votes)

    @property
    def scheme(self) -> Scheme:
        """Which questions are asked."""
        if self.mode == "pairwise":
            return EveryPair(self)
        if self.mode == "funnel":
            # Where the votes leave it open the comparisons decide.
            return Funnel(self)
        return AutoVotes(self) if self.votes == AUTO else Scheme(self)

    def votes_on(self, card: ArticleCard, numbers: Iterable[int]) -> list[Vote]:
        """These votes on a card, each by its judge."""
        own = card.article_id
        return [
            Vote(
                card=card,
                number=number,
                judge=self.panel.of_vote(own, number),
                criteria=self.criteria,
            )
            for number in numbers
        ]

    def pair(self, a: ArticleCard, b: ArticleCard) -> list[Comparison]:
        """Two cards, each first once, the lower id first; one judge for both orders."""
        a, b = sorted((a, b), key=lambda card: card.article_id)
        judge = self.panel.of_pair(a.article_id, b.article_id)
        return [
            Comparison(first=one, second=other, judge=judge, criteria=self.criteria)
            for one, other in ((a, b), (b, a))
        ]


@dataclass(frozen=True, slots=True)
class Scheme:
    """What is asked, and what it adds up to: here, so many votes on each card."""

    how: Judging

    def opening(
        self, card: ArticleCard, _others: Iterable[ArticleCard], /
    ) -> Sequence[Question]:
        """What can be asked as soon as a card is there, beside the others so far."""
        return self.how.votes_on(card, range(1, self.how.opening_votes + 1))

    def next_round(self, _poll: Poll, /) -> Sequence[Question]:
        """What to ask when all that was asked is answered; empty when it is enough.

        Nothing is asked again: a vote that failed is an abstention.
        """
        return ()

    def scores(self, poll: Poll, /) -> list[ArticleScore]:
        """One score a card, in card order; a card without an answer has none."""
        scores = scores_of_votes(poll, self.how.criteria)
        return [self.how.panel.with_own_family_named(score) for score in scores]


class AutoVotes(Scheme):
    """The opening votes on each card, then more where the order at the top is open."""

    def next_round(self, poll: Poll, /) -> Sequence[Question]:
        """Further votes on the leader and those close to it, while there is budget."""
        asked = asked_votes(poll)
        overalls, offsets = levelled(counted_votes(poll))
        more = next_votes(overalls, asked, judges=len(offsets))
        return [
            vote
            for card in poll.cards
            if (count := more.get(own := card.article_id))
            for vote in self.how.votes_on(
                card, range(asked[own] + 1, asked[own] + count + 1)
            )
        ]


class EveryPair(Scheme):
    """Each pair of cards in both orders, and no votes: a failed one is missing."""

    def opening(
        self, card: ArticleCard, others: Iterable[ArticleCard], /
    ) -> Sequence[Question]:
        """The card against each of the others."""
        return [each for other in others for each in self.how.pair(card, other)]

    def scores(self, poll: Poll, /) -> list[ArticleScore]:
        """By Bradley-Terry, with intervals and shared ranks."""
        how = self.how
        scores = scores_of_comparisons(poll, how.criteria, seed=how.seed)
        return [how.panel.with_own_family_named(score) for score in scores]


class Funnel(Scheme):
    """Votes on each card; then each pair of the best four in both orders."""

    def next_round(self, poll: Poll, /) -> Sequence[Question]:
        """Every pair of the finalists, once."""
        if poll.of_kind(Comparison):
            return ()
        scores = scores_of_votes(poll, self.how.criteria)
        best = sorted(scores, key=lambda score: (-score.overall, score.article_id))
        finalists = {score.article_id for score in best[:FINALISTS]}
        cards = [card for card in poll.cards if card.article_id in finalists]
        return [
            each for pair in combinations(cards, 2) for each in self.how.pair(*pair)
        ]

    def scores(self, poll: Poll, /) -> list[ArticleScore]:
        """Means of the votes; the finalists stand first, in the order of comparisons.

        The rank of the others counts from behind the finalists. When every comparison
        failed, the votes alone decide.
        """
        scores = super().scores(poll)
        if not poll.answered(Comparison):
            return scores
        ids = sorted({one for c in poll.of_kind(Comparison) for one in c.ids})
        table = standings(ids, poll, seed=self.how.seed)
        cut = [score for score in scores if score.article_id not in table]
        ranked = []
        for score in scores:
            update: dict[str, object] = {"rank": len(ids) + _rank_among(score, cut)}
            if score.article_id in table:
                rank, compared = table[score.article_id]
                own = {"own_family": self._own_family(score.article_id, poll)}
                update = {"rank": rank, "compared": compared.model_copy(update=own)}
            ranked.append(score.model_copy(update=update))
        return ranked

    def _own_family(self, one: int, poll: Poll) -> tuple[str, ...]:
        """The judges who compared a card that their own family wrote, by name."""
        judges = {c.judge for c, _ in poll.answered(Comparison) if one in c.ids}
        own = {j.preset or "" for j in judges if self.how.panel.wrote(j, one)}
        return tuple(sorted(own))


def _rank_among(score: ArticleScore, cut: Sequence[ArticleScore]) -> int:
    """The rank by votes among those that were cut."""
    return 1 + sum((other.rank or 1) < (score.rank or 1) for other in cut)


def opening_of(cards: Sequence[ArticleCard], scheme: Scheme) -> list[Question]:
    """Everything that the scheme asks at once, in the order of the cards."""
    return [
        question
        for number, card in enumerate(cards)
        for question in scheme.opening(card, cards[:number])
    ]


def judge_cards(
    cards: Sequence[ArticleCard],
    judging: Judging,
    ask: AskAll,
    *,
    opened: Answers | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleScore]:
    """Scores in card order; a card without an answer has none.

    `opened` holds the answers to the opening questions where they were asked already;
    `watch` is told what a further round brings; `ask` reports for itself.
    """
    scheme = judging.scheme
    asked = opening_of(cards, scheme)
    poll = Poll(cards, asked, ask(asked) if opened is None else opened)
    while questions := scheme.next_round(poll):
        watch.on_more([question.item for question in questions])
        poll = poll.with_round(questions, ask(questions))
    return scheme.scores(poll)
