"""
How the drafts of a run are judged, round by round, one way for every scheme.

Who asks the ballots of a round, one at a time or many at once, is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.criteria import CRITERIA, Criterion
from pipeline.items import NOBODY, Watch
from pipeline.judging.auto import opening_votes
from pipeline.judging.ballots import Ballot, Cast, Poll, Results
from pipeline.judging.panel import ONE_JUDGE, Panel
from pipeline.judging.schemes import AutoVotes, EveryPair, FixedVotes, Funnel, Scheme
from pipeline.records import ArticleCard, ArticleScore
from pipeline.settings import AUTO, Votes


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How drafts are judged: `mode` as of --scoring-mode, `votes` a number or "auto".

    `seed` is that of redrawn comparisons, from which their intervals come.
    """

    is_wanted: bool = True
    mode: str = "absolute"
    votes: Votes = 3
    retry_count: int = 3
    criteria: tuple[Criterion, ...] = CRITERIA
    panel: Panel = ONE_JUDGE
    seed: int = 0

    @property
    def scheme(self) -> Scheme:
        """Which ballots are asked."""
        votes = opening_votes(self.votes)
        if self.mode == "pairwise":
            return EveryPair(panel=self.panel, seed=self.seed)
        if self.mode == "funnel":
            # Where the votes leave it open the comparisons decide.
            return Funnel(votes=votes, panel=self.panel, seed=self.seed)
        if self.votes == AUTO:
            return AutoVotes(panel=self.panel)
        return FixedVotes(votes=votes, panel=self.panel)


def opening_of(cards: Sequence[ArticleCard], scheme: Scheme) -> list[Ballot]:
    """Everything that the scheme asks at once, in the order of the cards."""
    return [
        ballot
        for number, card in enumerate(cards)
        for ballot in scheme.opening(card, cards[:number])
    ]


def judge_cards(
    cards: Sequence[ArticleCard],
    judging: Judging,
    cast: Cast,
    *,
    opened: Results | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleScore]:
    """Scores in card order; a card without an answer has none.

    `opened` holds the answers to the opening ballots where they were asked already;
    `watch` is told what a further round brings; `cast` reports for itself.
    """
    scheme = judging.scheme
    asked = opening_of(cards, scheme)
    results = cast(asked) if opened is None else opened
    poll = Poll(cards, asked, results, judging.criteria)
    while ballots := scheme.next_round(poll):
        watch.on_more([ballot.item for ballot in ballots])
        poll = poll.with_round(ballots, cast(ballots))
    return scheme.scores(poll)
