"""Strengths from comparisons, and how far they might have come out otherwise."""

import math
import random
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.judging.by_comparisons import (
    DRAWS,
    Tally,
    expected_shares,
    middle_of,
    redrawn_shares,
    strengths,
)

Tallies = dict[tuple[int, int], Tally]
PRIOR_POINTS = 0.35  # by which half a drawn game may move what was won
CLOSE = 2e-2  # of a strength, where the iteration may stop


@st.composite
def tallies(
    draw: st.DrawFn, *, games: int | None = None, is_complete: bool = False
) -> tuple[list[int], Tallies]:
    """Points of cards with ids in any order; some pairs may be missing."""
    ids = draw(st.lists(st.integers(1, 50), min_size=2, max_size=6, unique=True))
    found: Tallies = {}
    for a, b in combinations(sorted(ids), 2):
        if is_complete or draw(st.booleans()):
            played = games or draw(st.integers(1, 4))
            found[a, b] = Tally(draw(st.floats(0.0, 1.0)) * played, played)
    return ids, found


def won(one: int, found: Tallies) -> float:
    return sum(
        points if one == a else games - points
        for (a, b), (points, games) in found.items()
        if one in (a, b)
    )


@given(tallies(games=2, is_complete=True))
def test_a_full_round_robin_gives_back_the_points_that_were_won(
    field: tuple[list[int], Tallies],
) -> None:
    ids, found = field
    shares = expected_shares(strengths(ids, found))
    for one in ids:
        points = shares[one] * 2 * (len(ids) - 1)
        assert points == pytest.approx(won(one, found), abs=PRIOR_POINTS)


@given(tallies(games=200, is_complete=True))
def test_the_prior_is_forgotten_over_many_games(
    field: tuple[list[int], Tallies],
) -> None:
    ids, found = field
    shares = expected_shares(strengths(ids, found))
    games = 200 * (len(ids) - 1)
    for one in ids:
        assert shares[one] == pytest.approx(won(one, found) / games, abs=0.005)


@given(tallies())
def test_strengths_are_finite_even_undefeated_or_never_met(
    field: tuple[list[int], Tallies],
) -> None:
    ids, found = field
    fitted = strengths(ids, found)
    assert list(fitted) == ids
    assert all(0.0 < one < math.inf for one in fitted.values())
    logs = [math.log(one) for one in fitted.values()]
    assert sum(logs) == pytest.approx(0.0, abs=1e-6)


@given(tallies())
def test_shares_add_up_to_half_of_each(field: tuple[list[int], Tallies]) -> None:
    ids, found = field
    shares = expected_shares(strengths(ids, found))
    assert sum(shares.values()) == pytest.approx(len(ids) / 2)
    assert all(0.0 <= share <= 1.0 for share in shares.values())


@given(tallies(), st.randoms())
def test_other_names_for_the_same_cards_change_no_strength(
    field: tuple[list[int], Tallies], rng: random.Random
) -> None:
    ids, found = field
    names = dict(zip(ids, rng.sample(range(100, 200), len(ids)), strict=True))
    renamed: Tallies = {}
    for (a, b), (points, games) in rng.sample(list(found.items()), len(found)):
        if names[a] < names[b]:
            renamed[names[a], names[b]] = Tally(points, games)
        else:
            renamed[names[b], names[a]] = Tally(games - points, games)
    again = strengths(rng.sample(list(names.values()), len(ids)), renamed)
    for one, strength in strengths(ids, found).items():
        assert again[names[one]] == pytest.approx(strength, rel=1e-6)


def test_two_cards_are_as_strong_as_their_points_and_half_a_drawn_game_each() -> None:
    fitted = strengths([1, 2], {(1, 2): Tally(3.0, 4)})
    # Strengths s and 1/s: 3 + 1/4 points for s²/(s² + 1) of 4 games, and half of one
    # against 1.
    s = fitted[1]
    assert 4 * s**2 / (s**2 + 1) + 0.5 * s / (s + 1) == pytest.approx(3.25, abs=1e-3)
    assert fitted[2] == pytest.approx(1 / s)


def test_draws_alone_leave_everybody_equal() -> None:
    found = {pair: Tally(1.0, 2) for pair in combinations([1, 2, 3], 2)}
    assert strengths([1, 2, 3], found) == pytest.approx({1: 1.0, 2: 1.0, 3: 1.0})


def test_the_undefeated_leads_and_who_never_won_is_last() -> None:
    ids = [1, 2, 3, 4]
    found = {(a, b): Tally(2.0, 2) for a, b in combinations(ids, 2)}
    fitted = strengths(ids, found)
    assert all(fitted[a] > fitted[b] for a, b in pairwise(ids))


def test_a_missing_pair_is_told_by_those_both_have_met() -> None:
    fitted = strengths([1, 2, 3], {(1, 2): Tally(2.0, 2), (2, 3): Tally(2.0, 2)})
    assert fitted[1] > fitted[2] > fitted[3]


def test_who_met_nobody_is_average() -> None:
    fitted = strengths([1, 2, 3], {(1, 3): Tally(2.0, 2)})
    assert fitted[2] == pytest.approx(1.0, rel=CLOSE)
    assert expected_shares(fitted)[2] == pytest.approx(0.5, abs=CLOSE)


def test_groups_that_never_met_stand_beside_each_other() -> None:
    fitted = strengths([1, 2, 3, 4], {(1, 2): Tally(2.0, 2), (3, 4): Tally(0.0, 2)})
    assert fitted[1] == pytest.approx(fitted[4], rel=CLOSE)
    assert fitted[1] > fitted[2]


@given(tallies())
def test_a_fit_that_starts_elsewhere_ends_in_the_same_place(
    field: tuple[list[int], Tallies],
) -> None:
    ids, found = field
    start = {one: 2.0 if place % 2 else 0.5 for place, one in enumerate(ids)}
    shares = expected_shares(strengths(ids, found))
    again = expected_shares(strengths(ids, found, start=start))
    assert again == pytest.approx(shares, abs=CLOSE)


def test_one_card_alone_has_a_share_of_nothing() -> None:
    assert strengths([7], {}) == pytest.approx({7: 1.0})
    assert expected_shares({7: 1.0}) == {7: 0.0}


@settings(max_examples=20)
@given(tallies(), st.integers())
def test_the_same_seed_redraws_the_same(
    field: tuple[list[int], Tallies], seed: int
) -> None:
    ids, found = field
    once, again = (
        redrawn_shares(strengths(ids, found), found, rng=random.Random(seed), draws=10)
        for _ in range(2)
    )
    assert once == again
    assert all(list(shares) == ids for shares in once)


def test_another_seed_redraws_otherwise() -> None:
    found = {(1, 2): Tally(1.0, 2), (2, 3): Tally(1.0, 2)}
    once, again = (
        redrawn_shares(strengths([1, 2, 3], found), found, rng=random.Random(seed))
        for seed in (1, 2)
    )
    assert len(once) == DRAWS
    assert once != again


def width(ids: Sequence[int], found: Tallies, *, one: int) -> float:
    drawn = redrawn_shares(strengths(ids, found), found, rng=random.Random(1))
    low, high = middle_of([shares[one] for shares in drawn], 0.9)
    return high - low


def test_intervals_shrink_with_games() -> None:
    ids = [1, 2, 3]
    few, many = (
        {pair: Tally(0.6 * games, games) for pair in combinations(ids, 2)}
        for games in (2, 50)
    )
    assert width(ids, many, one=2) < 0.5 * width(ids, few, one=2)


def test_what_was_redrawn_lies_about_what_was_found() -> None:
    ids = [1, 2, 3, 4]
    found = {(a, b): Tally(14.0, 20) for a, b in combinations(ids, 2)}
    shares = expected_shares(strengths(ids, found))
    drawn = redrawn_shares(strengths(ids, found), found, rng=random.Random(3))
    for one in ids:
        middle = sum(each[one] for each in drawn) / len(drawn)
        assert middle == pytest.approx(shares[one], abs=0.02)


def test_the_middle_leaves_as_many_out_at_each_end() -> None:
    values = [float(n) for n in range(100)]
    random.Random(1).shuffle(values)
    assert middle_of(values, 0.9) == (5.0, 94.0)
    assert middle_of([3.0], 0.9) == (3.0, 3.0)
