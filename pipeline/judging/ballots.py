"""
One question to a judge, asking many one at a time, and what a round has brought.

A vote, a comparison of cards and a comparison of articles look the same from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pipeline.criteria import CRITERIA, Criterion
from pipeline.items import NOBODY, Item, Watch, work_through
from pipeline.judging.panel import Judge
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCard


class Ballot(Protocol):
    """One question to one judge."""

    @property
    def item(self) -> Item:
        """Its name in reports; unique in a run, answers are joined by it."""

    @property
    def judge(self) -> Judge:
        """Who is asked."""

    @property
    def place(self) -> tuple[int, ...]:
        """Where it stands among others that could be asked as well."""

    def ask(
        self, criteria: Sequence[Criterion], *, client: ChatClient | None = None
    ) -> Any:
        """The judge's answer; raises when there is none."""


B = TypeVar("B", bound=Ballot)

Results = Mapping[Item, Any]
"""Answers by item; a ballot that failed is not among them."""

Cast = Callable[[Sequence[Ballot]], Results]
"""Asks ballots, in whatever order; returns when all are answered or given up."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What was asked about some cards so far, and what came of it."""

    cards: Sequence[ArticleCard]
    asked: Sequence[Ballot] = ()
    results: Results = field(default_factory=dict)
    criteria: Sequence[Criterion] = CRITERIA

    def of_kind(self, kind: type[B]) -> list[B]:
        """The ballots of one kind, in the order in which they were asked for."""
        return [ballot for ballot in self.asked if isinstance(ballot, kind)]

    def with_round(self, asked: Sequence[Ballot], results: Results) -> Poll:
        """The same with another round."""
        return Poll(
            self.cards,
            [*self.asked, *asked],
            {**self.results, **results},
            self.criteria,
        )


def cast_one_by_one(
    ballots: Sequence[Ballot],
    *,
    criteria: Sequence[Criterion] = CRITERIA,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> Results:
    """Answers by item, asked in the order given; failed ones are left out."""
    return dict(
        work_through(
            ballots,
            lambda each: (each.item, each.ask(criteria, client=client)),
            item=lambda each: each.item,
            watch=watch,
        )
    )
