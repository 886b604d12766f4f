"""What comparisons add up to: the order, how sure it is, and who compared."""

import math
import random
from collections.abc import Mapping
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.criteria import CRITERIA, HIGHEST, LOWEST, weighted
from pipeline.judging.by_comparisons import (
    scores_of_comparisons,
    standings,
)
from pipeline.judging.comparison import Comparison
from pipeline.judging.panel import Judge
from pipeline.judging.questions import Poll
from pipeline.records import ArticleScore
from tests.judging_fakes import NAME, ONE, by_id
from tests.stage_fakes import card

Table = Mapping[tuple[int, int], float | None]
"""Points of the first by the pair as shown; None for a comparison that failed."""
TABLES = st.dictionaries(
    st.sampled_from(list(permutations(range(1, 5), 2))),
    st.sampled_from([0.0, 0.25, 0.5, 1.0, None]),
    min_size=1,
)


def poll(table: Table, *, cards: int = 4, judges: str = "a") -> Poll:
    """Judges take turns by the sum of the ids."""
    shown = [
        Comparison(
            first=card(a),
            second=card(b),
            judge=Judge(preset=judges[(a + b) % len(judges)]),
            criteria=ONE,
        )
        for a, b in table
    ]
    points = dict(zip(shown, table.values(), strict=True))
    answers = {
        each.item: {NAME: won} for each, won in points.items() if won is not None
    }
    return Poll([card(n + 1) for n in range(cards)], shown, answers)


def scores_of(
    table: Table, *, cards: int = 4, judges: str = "a"
) -> dict[int, ArticleScore]:
    asked = poll(table, cards=cards, judges=judges)
    return by_id(scores_of_comparisons(asked, ONE, seed=1))


def in_order(cards: int) -> Table:
    """Every pair in both orders; the lower id always wins."""
    return {(a, b): float(a < b) for a, b in permutations(range(1, cards + 1), 2)}


def test_points_are_those_of_the_criteria_by_weight() -> None:
    won = dict.fromkeys([c.name for c in CRITERIA], 0.0)
    assert weighted({**won, "argument_clarity": 1.0}, CRITERIA) == pytest.approx(0.2)
    assert weighted({**won, "memorability": 0.5}, CRITERIA) == pytest.approx(0.05)
    # Of two criteria at .15 and .20.
    assert weighted({**won, "argument_clarity": 1.0}, CRITERIA[:2]) == pytest.approx(
        4 / 7
    )


def test_games_stand_by_ids_whatever_was_asked_first_and_failed_ones_are_missing() -> (
    None
):
    asked = poll({(3, 1): 1.0, (1, 2): 0.0, (2, 1): None, (1, 3): 0.5})
    games = asked.answered(Comparison)
    assert [c.ids for c, _ in games] == [(1, 2), (1, 3), (3, 1)]
    assert [verdict[NAME] for _, verdict in games] == [0.0, 0.5, 1.0]


def test_beating_a_weak_card_is_worth_less_than_holding_a_strong_one() -> None:
    of_four = {(1, 4): 0.75, (4, 1): 0.25}  # 1 wins three points of four
    of_three = {(2, 3): 0.5, (3, 2): 0.5}  # 2 wins half of them ...
    outright = {(3, 4): 1.0, (4, 3): 0.0}  # ... against one that beats 4 outright
    scores = scores_of(of_four | of_three | outright)
    assert scores[1].criteria[NAME].mean > scores[2].criteria[NAME].mean
    assert scores[2].overall > scores[1].overall


def test_one_that_never_lost_is_ahead_by_something_finite() -> None:
    scores = scores_of(in_order(4))
    overall = [scores[n].overall for n in range(1, 5)]
    assert overall == sorted(overall, reverse=True)
    assert LOWEST < overall[-1] < overall[0] < HIGHEST


def test_a_card_far_ahead_has_a_rank_of_its_own_and_equals_share_one() -> None:
    ranks = {one: score.rank for one, score in scores_of(in_order(8), cards=8).items()}
    assert ranks[1] == 1
    assert (ranks[8] or 0) > 4
    even = scores_of(dict.fromkeys(permutations((1, 2, 3), 2), 0.5))
    assert {(s.rank, s.overall) for s in even.values()} == {(1, 5.5)}


def test_more_games_leave_a_narrower_interval() -> None:
    def width(pairs: int) -> float:
        shown = list(combinations(range(1, 9), 2))[:pairs]
        score = scores_of(dict.fromkeys(shown, 0.5), cards=8)[1]
        assert score.interval is not None
        return score.interval[1] - score.interval[0]

    assert width(28) < width(1)


@given(TABLES)
@hypothesis_settings(max_examples=40)
def test_every_card_that_was_compared_has_an_interval_and_a_rank(table: Table) -> None:
    answered = {one for pair, won in table.items() if won is not None for one in pair}
    scores = scores_of(table)
    assert set(scores) == answered
    for score in scores.values():
        assert score.interval is not None
        assert LOWEST <= score.interval[0] <= score.interval[1] <= HIGHEST
        assert math.isfinite(score.overall)
        assert score.compared is not None
        assert (score.compared.overall, score.compared.interval) == (
            score.overall,
            score.interval,
        )
    assert not scores or min(score.rank or 0 for score in scores.values()) == 1


@given(TABLES, st.randoms())
@hypothesis_settings(max_examples=20)
def test_scores_are_the_same_in_whatever_order_was_asked_and_answered(
    table: Table, rng: random.Random
) -> None:
    shuffled = dict(rng.sample(list(table.items()), len(table)))
    assert scores_of(shuffled) == scores_of(table)


@given(TABLES)
@hypothesis_settings(max_examples=20)
def test_which_card_stood_first_changes_no_share(table: Table) -> None:
    turned = {(b, a): None if won is None else 1 - won for (a, b), won in table.items()}
    one, other = scores_of(table), scores_of(turned)
    assert {n: s.overall for n, s in one.items()} == pytest.approx(
        {n: s.overall for n, s in other.items()}, abs=0.002
    )


def test_without_one_answer_nobody_has_a_score() -> None:
    assert scores_of({(1, 2): None, (2, 1): None}) == {}
    assert scores_of({}) == {}


def test_each_judge_s_marks_are_the_share_of_points_it_gave() -> None:
    # The pair of 1 and 2 goes to b, that of 1 and 3 to a.
    scores = scores_of(
        {(1, 2): 1.0, (2, 1): 0.5, (1, 3): 0.0, (3, 1): None}, judges="ab"
    )
    marks = {n: (m.mean, m.votes) for n, m in scores[1].by_judge.items()}
    assert marks == {"a": (1.0, 1), "b": (7.75, 2)}
    assert set(scores[3].by_judge) == {"a"}


def test_a_card_without_an_answer_stands_in_the_middle_of_those_it_was_to_meet() -> (
    None
):
    asked = poll({(1, 2): 1.0, (2, 1): 0.0, (1, 3): None, (3, 2): None})
    table = standings([1, 2, 3], asked, seed=1)
    first, second, third = (table[n].compared for n in (1, 2, 3))
    assert first.overall > third.overall > second.overall
    assert (third.votes, third.abstained) == (0, 2)
    assert (first.votes, first.abstained) == (2, 1)


def test_the_same_chance_draws_the_same_intervals_and_another_does_not() -> None:
    asked = poll(dict.fromkeys(permutations(range(1, 8), 2), 0.5), cards=7)

    def intervals(seed: int) -> list[object]:
        scores = scores_of_comparisons(asked, ONE, seed=seed)
        return [score.interval for score in scores]

    assert intervals(1) == intervals(1)
    assert intervals(1) != intervals(2)
