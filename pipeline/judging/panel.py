"""
Who judges what, and what can be said of the judges themselves.

Votes are spread over judges, and nobody judges the own family: models are known to favour
texts of their own kind (Panickssery et al., "LLM Evaluators Recognize and Favor Their Own
Generations", 2024). Where no other judge is left, the own family judges, and reports say
so. Judges that agree may still share a bias; that no run can show by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from pipeline.records import ArticleScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """One preset that judges; None is the run's main one, "" a family not known."""

    preset: str | None = None
    family: str = ""


MAIN_JUDGE = Judge()


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The judges of a run, and the family that wrote each article, by its id.

    `others` are presets of the run that do not judge drafts; the comparison of the
    finished article with the best draft falls to them when every judge wrote one of the
    two. Who judges follows from ids and numbers, never from what is done first.
    `families` are those of all presets.
    """

    judges: tuple[Judge, ...] = (MAIN_JUDGE,)
    others: tuple[Judge, ...] = ()
    authors: dict[int, str] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)

    def note_author(self, article_id: int, preset: str) -> None:
        """Another preset wrote it than was planned, before it is judged."""
        if article_id in self.authors and preset in self.families:
            self.authors[article_id] = self.families[preset]

    def wrote(self, judge: Judge, *article_ids: int) -> bool:
        """Whether the judge's family wrote any of the articles."""
        return bool(judge.family) and judge.family in map(self.authors.get, article_ids)

    def of_vote(self, article_id: int, number: int) -> Judge:
        """Who casts vote `number`, from 1, on a card."""
        able = self._able(self.judges, article_id)
        # Votes of neighbours begin with different judges: two votes, three judges.
        return able[(article_id + number) % len(able)]

    def of_pair(self, a: int, b: int) -> Judge:
        """Who compares two cards, in both orders."""
        able = self._able(self.judges, a, b)
        return able[(a + b) % len(able)]

    def of_gate(self, a: int, b: int) -> Judge:
        """Who compares two finished articles: the first that wrote neither."""
        able = self._able((*self.judges, *self.others), a, b)
        return able[0]

    def with_own_family_named(self, score: ArticleScore) -> ArticleScore:
        """The score with a word at marks of judges whose own family wrote the card."""
        own = {j.preset for j in self.judges if self.wrote(j, score.article_id)}
        marks = {
            name: mark.model_copy(update={"is_own_family": True})
            if name in own
            else mark
            for name, mark in score.by_judge.items()
        }
        return score.model_copy(update={"by_judge": marks})

    def _able(self, judges: tuple[Judge, ...], *article_ids: int) -> tuple[Judge, ...]:
        independent = tuple(j for j in judges if not self.wrote(j, *article_ids))
        return independent or judges


ONE_JUDGE = Panel()


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
