"""Questions that are answered without a model, for the tests of how cards are judged."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.criteria import CRITERIA
from pipeline.judging.comparison import Comparison
from pipeline.judging.panel import Judge, Panel
from pipeline.judging.questions import Answers, Question
from pipeline.judging.schemes import Judging, judge_cards
from pipeline.judging.vote import Marks, Vote
from pipeline.records import ArticleScore
from pipeline.work import Item
from tests.stage_fakes import card

ONE = CRITERIA[:1]
NAME = ONE[0].name
_TOO_MANY_ROUNDS = 9  # reached only by a failing test

Marking = Callable[[Vote], float | None]
Comparing = Callable[[Comparison], float | None]


def even(_comparison: Comparison) -> float:
    return 0.5


def lower_id_wins(comparison: Comparison) -> float:
    return 1.0 if comparison.first.article_id < comparison.second.article_id else 0.0


def judges_of(names: str) -> tuple[Judge, ...]:
    """One judge a letter, each of a family of its own name."""
    return tuple(Judge(preset=name, family=name) for name in names)


def panel_of_letters(names: str, authors: str = "") -> Panel:
    """Judges by letter; the n-th letter of `authors` wrote draft n, "-" is unknown."""
    wrote = {n: name for n, name in enumerate(authors, start=1) if name != "-"}
    return Panel(judges=judges_of(names), authors=wrote)


class Booth:
    """Answers questions by rule, None being a failure, and keeps what was asked.

    With `order` the answers of a round arrive in an order that is drawn.
    """

    def __init__(
        self,
        mark: Marking,
        points: Comparing = even,
        *,
        order: random.Random | None = None,
    ) -> None:
        self._mark, self._points, self._order = mark, points, order
        self.rounds: list[list[Question]] = []

    @property
    def asked(self) -> list[Question]:
        return [each for asked in self.rounds for each in asked]

    def votes(self) -> dict[int, list[int]]:
        """The numbers of the votes that each card was asked for."""
        numbers: dict[int, list[int]] = {}
        for each in self.asked:
            if isinstance(each, Vote):
                numbers.setdefault(each.card.article_id, []).append(each.number)
        return numbers

    def pairs(self) -> list[tuple[int, int]]:
        """The comparisons that were asked, by the ids in the order shown."""
        return [each.ids for each in self.asked if isinstance(each, Comparison)]

    def __call__(self, questions: Sequence[Question]) -> Answers:
        self.rounds.append(list(questions))
        assert len(self.rounds) < _TOO_MANY_ROUNDS, "it goes on for ever"
        arriving = list(questions)
        if self._order is not None:
            self._order.shuffle(arriving)
        return answers(arriving, self._mark, self._points)


def answers(
    questions: Sequence[Question], mark: Marking, points: Comparing = even
) -> Answers:
    """What the rules answer, in the order of the questions."""
    found: dict[Item, Any] = {}
    for each in questions:
        if isinstance(each, Vote) and (marked := mark(each)) is not None:
            found[each.item] = voted(each, marked)
        if isinstance(each, Comparison) and (won := points(each)) is not None:
            found[each.item] = dict.fromkeys([c.name for c in CRITERIA], won)
    return found


def voted(vote: Vote, mark: float) -> Marks:
    """The answer to a vote on one criterion."""
    return vote.marks({NAME: mark}, judge=vote.judge.preset or "main")


def judged(cards: int, booth: Booth, **how: Any) -> list[ArticleScore]:
    """Cards 1 to so many, judged on one criterion as `Judging` is told."""
    listed = [card(n) for n in range(1, cards + 1)]
    return judge_cards(listed, Judging(criteria=ONE, **how), booth)


def by_id(scores: Sequence[ArticleScore]) -> dict[int, ArticleScore]:
    return {score.article_id: score for score in scores}
