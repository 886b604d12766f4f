"""
What can be said of the judges themselves: how they mark, and whether they agree.

Judges that agree may still share a bias; that no run can show by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from pipeline.records import ArticleScore


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeLine:
    """One judge: the mean of its marks as given, and drafts of its own family."""

    judge: str
    mean: float
    votes: int
    own_family: tuple[int, ...] = ()


class Agreement(NamedTuple):
    """Of so many times that two judges ordered the same two drafts, how often alike."""

    alike: int
    of: int


def judge_lines(scores: Sequence[ArticleScore]) -> list[JudgeLine]:
    """One line a judge, by name."""
    marks = [(s.article_id, name, m) for s in scores for name, m in s.by_judge.items()]
    lines = []
    for judge in sorted({name for _, name, _ in marks}):
        own = [(card, mark) for card, name, mark in marks if name == judge]
        votes = sum(mark.votes for _, mark in own)
        total = sum(mark.mean * mark.votes for _, mark in own)
        lines.append(
            JudgeLine(
                judge=judge,
                mean=round(total / votes, 3),
                votes=votes,
                own_family=tuple(s.article_id for s in scores if judge in s.own_family),
            )
        )
    return lines


def agreement(scores: Sequence[ArticleScore]) -> Agreement:
    """How often two judges put two drafts in the same order, by their own means.

    Only drafts that both marked, and that both tell apart, count.
    """
    verdicts = [_alike(*pair) for pair in combinations(scores, 2)]
    flat = [each for found in verdicts for each in found]
    return Agreement(sum(flat), len(flat))


def _alike(a: ArticleScore, b: ArticleScore) -> Iterator[bool]:
    """For each two judges of both drafts, whether they prefer the same one."""
    shared = sorted(a.by_judge.keys() & b.by_judge.keys())
    leads = [a.by_judge[judge].mean - b.by_judge[judge].mean for judge in shared]
    for one, other in combinations(leads, 2):
        if one and other:
            yield (one > 0) == (other > 0)
