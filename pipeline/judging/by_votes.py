"""
What votes add up to: a mean a card, how sure it is, and which cards share a rank.

Failed votes are abstentions and count nowhere. Nothing here asks a judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from pipeline.criteria import HIGHEST, LOWEST, Criterion, weighted_mean
from pipeline.judging.ballots import Poll
from pipeline.judging.certainty import (
    Interval,
    Mean,
    Noise,
    interval,
    is_surely_above,
    pooled_noise,
    shared_ranks,
)
from pipeline.judging.panel import Panel
from pipeline.judging.severity import Mark, severities
from pipeline.judging.vote import Vote
from pipeline.records import ArticleScore, CriterionScore, JudgeMark

_PLACES = 3
Votes = Mapping[int, Sequence[ArticleScore]]
"""Counted votes by card, in vote order."""


def counted_votes(poll: Poll) -> dict[int, list[ArticleScore]]:
    """The votes that were answered, by card and in vote order; [] where none was."""
    votes: dict[int, list[ArticleScore]] = {c.article_id: [] for c in poll.cards}
    for ballot in sorted(poll.of_kind(Vote), key=lambda vote: vote.place):
        if ballot.item in poll.results:
            votes[ballot.card.article_id].append(poll.results[ballot.item])
    return votes


def asked_votes(poll: Poll) -> Counter[int]:
    """How many votes each card was asked for."""
    return Counter(vote.card.article_id for vote in poll.of_kind(Vote))


@dataclass(frozen=True, slots=True, kw_only=True)
class Levelled:
    """The votes' overall scores by card, all judges brought to one level.

    `offsets` is what was taken off the votes of each judge: 0 for one alone.
    """

    overalls: Mapping[int, Sequence[float]]
    offsets: Mapping[str, float]

    @property
    def judges(self) -> int:
        """How many judges voted, at least one."""
        return max(1, len(self.offsets))


def levelled(votes: Votes) -> Levelled:
    """The votes without the severity of their judges."""
    offsets = severities(
        Mark(card, judge_of(vote), vote.overall)
        for card, cast in votes.items()
        for vote in cast
    )
    overalls = {
        card: [vote.overall - offsets[judge_of(vote)] for vote in cast]
        for card, cast in votes.items()
    }
    return Levelled(overalls=overalls, offsets=offsets)


def judge_of(vote: ArticleScore) -> str:
    """The preset that cast a single vote."""
    return next(iter(vote.by_judge), "")


def scores_of_votes(poll: Poll, panel: Panel) -> list[ArticleScore]:
    """One score a card, in card order; a card whose votes all abstained has none."""
    votes, asked = counted_votes(poll), asked_votes(poll)
    level = levelled(votes)
    noise = pooled_noise(level.overalls.values(), judges=level.judges)
    means = {card: Mean(fmean(v), len(v)) for card, v in level.overalls.items() if v}
    ranks = shared_ranks(means, lambda a, b: is_surely_above(means[a], means[b], noise))
    scores = []
    for card, cast in votes.items():
        score = combine_votes(
            cast, poll.criteria, asked=asked[card], offsets=level.offsets
        )
        if score is not None:
            shown = {"interval": _shown(means[card], noise), "rank": ranks[card]}
            sure = score.model_copy(update=shown)
            scores.append(with_own_family_named(sure, panel))
    return scores


def combine_votes(
    votes: Sequence[ArticleScore],
    criteria: Sequence[Criterion],
    *,
    asked: int,
    offsets: Mapping[str, float] | None = None,
) -> ArticleScore | None:
    """What the votes on one card, in vote order, add up to; None when all abstained.

    Spread is the population standard deviation of the votes that were counted;
    `offsets` are taken off the marks of each judge; what that would lead out of the
    scale stays at its end.
    """
    if not votes:
        return None
    shifts = [(offsets or {}).get(judge_of(vote), 0.0) for vote in votes]
    exact: dict[str, float] = {}
    combined = {}
    for criterion in criteria:
        marks = [vote.criteria[criterion.name] for vote in votes]
        level = [mark.mean - shift for mark, shift in zip(marks, shifts, strict=True)]
        exact[criterion.name] = fmean(level)
        combined[criterion.name] = CriterionScore(
            mean=round(_on_scale(fmean(level)), _PLACES),
            spread=round(pstdev(level), _PLACES),
            votes=len(level),
            justifications=tuple(j for mark in marks for j in mark.justifications),
        )
    return ArticleScore(
        article_id=votes[0].article_id,
        criteria=combined,
        overall=_on_scale(weighted_mean(exact, criteria)),
        votes=len(votes),
        abstained=asked - len(votes),
        spread=round(
            pstdev(v.overall - shift for v, shift in zip(votes, shifts, strict=True)),
            _PLACES,
        ),
        by_judge=_by_judge(votes),
    )


def score_beside(
    votes: Sequence[ArticleScore],
    scores: Sequence[ArticleScore],
    criteria: Sequence[Criterion],
    *,
    asked: int,
) -> ArticleScore | None:
    """What the votes on one more card add up to, on the level of scores that stand.

    It has no rank; None when every vote abstained.
    """
    offsets = severities(
        Mark(score.article_id, judge, mark.mean)
        for score in scores
        for judge, mark in score.by_judge.items()
        for _ in range(mark.votes)
    )
    score = combine_votes(votes, criteria, asked=asked, offsets=offsets)
    if score is None:
        return None
    known = [*scores, score]
    squares = sum(s.votes * s.spread**2 for s in known)
    freedom = sum(s.votes - 1 for s in known) - max(0, len(offsets) - 1)
    noise = Noise(squares / freedom, freedom) if freedom > 0 else None
    shown = _shown(Mean(score.overall, score.votes), noise)
    return score.model_copy(update={"interval": shown})


def _by_judge(votes: Sequence[ArticleScore]) -> dict[str, JudgeMark]:
    given: dict[str, list[float]] = {}
    for vote in votes:
        given.setdefault(judge_of(vote), []).append(vote.overall)
    return {
        judge: JudgeMark(mean=round(fmean(marks), _PLACES), votes=len(marks))
        for judge, marks in sorted(given.items())
    }


def with_own_family_named(score: ArticleScore, panel: Panel) -> ArticleScore:
    """The score with a word at the marks of judges whose own family wrote the card."""
    judges = {judge.preset: judge for judge in panel.judges}
    marks = {
        name: mark.model_copy(update={"is_own_family": True})
        if name in judges and panel.wrote(judges[name], score.article_id)
        else mark
        for name, mark in score.by_judge.items()
    }
    return score.model_copy(update={"by_judge": marks})


def _shown(mean: Mean, noise: Noise | None) -> Interval | None:
    """The interval, rounded, and within what a score can be."""
    found = interval(mean, noise)
    if found is None:
        return None
    low, high = map(_on_scale, found)
    return (round(low, _PLACES), round(high, _PLACES))


def _on_scale(score: float) -> float:
    return min(max(score, float(LOWEST)), float(HIGHEST))
