"""
What votes add up to: a mean a card, how sure it is, and which cards share a rank.

Failed votes are abstentions and count nowhere. Nothing here asks a judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev

from pipeline.criteria import HIGHEST, LOWEST, Criterion, weighted_mean
from pipeline.judging.certainty import (
    Interval,
    Mark,
    Mean,
    Noise,
    interval,
    is_surely_above,
    pooled_noise,
    severities,
    shared_ranks,
)
from pipeline.judging.questions import Poll
from pipeline.judging.vote import Marks, Vote
from pipeline.records import ArticleScore, CriterionScore, JudgeMark

_PLACES = 3


def counted_votes(poll: Poll) -> dict[int, list[Marks]]:
    """The votes that were answered, by card and in vote order; [] where none was."""
    votes: dict[int, list[Marks]] = {card.article_id: [] for card in poll.cards}
    for vote, marks in poll.answered(Vote):
        votes[vote.card.article_id].append(marks)
    return votes


def asked_votes(poll: Poll) -> Counter[int]:
    """How many votes each card was asked for."""
    return Counter(vote.card.article_id for vote in poll.of_kind(Vote))


def levelled(
    votes: Mapping[int, Sequence[Marks]],
) -> tuple[dict[int, list[float]], dict[str, float]]:
    """Overall marks by card as judges of one severity would give them.

    Second, what was taken off the marks of each judge: 0 for one alone.
    """
    offsets = severities(
        Mark(card, marks.judge, marks.overall)
        for card, cast in votes.items()
        for marks in cast
    )
    overalls = {
        card: [marks.overall - offsets[marks.judge] for marks in cast]
        for card, cast in votes.items()
    }
    return overalls, offsets


def scores_of_votes(poll: Poll, criteria: Sequence[Criterion]) -> list[ArticleScore]:
    """One score a card, in card order; a card whose votes all abstained has none."""
    votes, asked = counted_votes(poll), asked_votes(poll)
    overalls, offsets = levelled(votes)
    noise = pooled_noise(overalls.values(), judges=len(offsets))
    means = {card: Mean(fmean(v), len(v)) for card, v in overalls.items() if v}
    ranks = shared_ranks(means, lambda a, b: is_surely_above(means[a], means[b], noise))
    scores = []
    for card, cast in votes.items():
        if not cast:
            continue
        score = mean_of(cast, criteria, asked=asked[card], offsets=offsets)
        shown = {"interval": _shown(means[card], noise), "rank": ranks[card]}
        scores.append(score.model_copy(update=shown))
    return scores


def mean_of(
    votes: Sequence[Marks],
    criteria: Sequence[Criterion],
    *,
    asked: int,
    offsets: Mapping[str, float] | None = None,
) -> ArticleScore:
    """What the votes on one card, one at least and in vote order, add up to.

    Spread is the population standard deviation of the votes that were counted;
    `offsets` are taken off the marks of each judge; what that would lead out of the
    scale stays at its end.
    """
    shifts = [(offsets or {}).get(marks.judge, 0.0) for marks in votes]
    exact: dict[str, float] = {}
    combined = {}
    for name in (criterion.name for criterion in criteria):
        given = [marks.by_criterion[name] for marks in votes]
        level = [mark - shift for mark, shift in zip(given, shifts, strict=True)]
        exact[name] = fmean(level)
        combined[name] = CriterionScore(
            mean=round(_on_scale(fmean(level)), _PLACES),
            spread=round(pstdev(level), _PLACES),
            votes=len(level),
            justifications=tuple(
                reason for marks in votes if (reason := marks.reasons.get(name))
            ),
        )
    overalls = [
        marks.overall - shift for marks, shift in zip(votes, shifts, strict=True)
    ]
    return ArticleScore(
        article_id=votes[0].article_id,
        criteria=combined,
        overall=_on_scale(weighted_mean(exact, criteria)),
        votes=len(votes),
        abstained=asked - len(votes),
        spread=round(pstdev(overalls), _PLACES),
        by_judge=_by_judge(votes),
    )


def score_beside(
    votes: Sequence[Marks],
    scores: Sequence[ArticleScore],
    criteria: Sequence[Criterion],
    *,
    asked: int,
) -> ArticleScore | None:
    """What the votes on one more card add up to, on the level of scores that stand.

    It has no rank; None when every vote abstained.
    """
    if not votes:
        return None
    offsets = severities(
        Mark(score.article_id, judge, mark.mean)
        for score in scores
        for judge, mark in score.by_judge.items()
        for _ in range(mark.votes)
    )
    score = mean_of(votes, criteria, asked=asked, offsets=offsets)
    known = [*scores, score]
    squares = sum(s.votes * s.spread**2 for s in known)
    freedom = sum(s.votes - 1 for s in known) - max(0, len(offsets) - 1)
    noise = Noise(squares / freedom, freedom) if freedom > 0 else None
    shown = _shown(Mean(score.overall, score.votes), noise)
    return score.model_copy(update={"interval": shown})


def _by_judge(votes: Sequence[Marks]) -> dict[str, JudgeMark]:
    given: dict[str, list[float]] = {}
    for marks in votes:
        given.setdefault(marks.judge, []).append(marks.overall)
    return {
        judge: JudgeMark(mean=round(fmean(overalls), _PLACES), votes=len(overalls))
        for judge, overalls in sorted(given.items())
    }


def _shown(mean: Mean, noise: Noise | None) -> Interval | None:
    """The interval, rounded, and within what a score can be."""
    found = interval(mean, noise)
    if found is None:
        return None
    low, high = map(_on_scale, found)
    return (round(low, _PLACES), round(high, _PLACES))


def _on_scale(score: float) -> float:
    return min(max(score, float(LOWEST)), float(HIGHEST))
