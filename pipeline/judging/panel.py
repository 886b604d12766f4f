"""
Who judges what: votes are spread over judges, and nobody judges the own family.

Models are known to favour texts of their own kind (Panickssery et al., "LLM Evaluators
Recognize and Favor Their Own Generations", 2024). Where no other judge is left, the own
family judges, and reports say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    """

    judges: tuple[Judge, ...] = (MAIN_JUDGE,)
    others: tuple[Judge, ...] = ()
    authors: Mapping[int, str] = field(default_factory=dict)

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

    def _able(self, judges: tuple[Judge, ...], *article_ids: int) -> tuple[Judge, ...]:
        independent = tuple(j for j in judges if not self.wrote(j, *article_ids))
        return independent or judges


ONE_JUDGE = Panel()
