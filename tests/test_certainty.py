"""How sure means are, who is surely above whom, and how severe judges are."""

import math
import random
from collections import Counter
from itertools import pairwise, permutations
from statistics import NormalDist, fmean

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.judging.certainty import (
    Mark,
    Mean,
    Noise,
    errors_between,
    interval,
    is_surely_above,
    pooled_noise,
    severities,
    shared_ranks,
    student_t,
)

marks = st.floats(min_value=1.0, max_value=10.0)
vote_lists = st.lists(st.lists(marks, max_size=6), max_size=6)
means = st.builds(Mean, marks, st.integers(min_value=1, max_value=10))
noises = st.builds(
    Noise,
    st.floats(min_value=0.01, max_value=4.0),
    st.integers(min_value=1, max_value=60),
)

# From printed tables of Student's t: two-sided, 90 %.
TABLE = [
    *((1, 6.314), (2, 2.920), (3, 2.353), (4, 2.132), (5, 2.015), (6, 1.943)),
    *((8, 1.860), (10, 1.812), (15, 1.753), (20, 1.725), (30, 1.697), (60, 1.671)),
]


@pytest.mark.parametrize(("freedom", "quantile"), TABLE)
def test_quantiles_of_student_are_those_of_the_tables(
    freedom: int, quantile: float
) -> None:
    assert student_t(freedom) == pytest.approx(quantile, rel=0.003)


def test_more_freedom_needs_less_and_never_less_than_the_normal() -> None:
    quantiles = [student_t(freedom) for freedom in range(1, 200)]
    assert all(more > fewer for more, fewer in pairwise(quantiles))
    assert quantiles[-1] > NormalDist().inv_cdf(0.95)


def test_noise_is_pooled_over_cards() -> None:
    # Squares about their own means: 2 and 6, with 1 and 2 degrees of freedom.
    noise = pooled_noise([[1.0, 3.0], [4.0, 4.0, 7.0], [9.0], []])
    assert noise is not None
    assert noise.variance == pytest.approx(8.0 / 3.0)
    assert noise.freedom == 3


@pytest.mark.parametrize("votes", [[], [[]], [[5.0], [7.0]]])
def test_noise_is_unknown_while_no_card_has_two_votes(votes: list[list[float]]) -> None:
    assert pooled_noise(votes) is None


def test_each_further_judge_that_was_levelled_costs_a_degree_of_freedom() -> None:
    votes = [[1.0, 3.0], [4.0, 4.0, 7.0]]
    noise = pooled_noise(votes, judges=3)
    assert noise is not None
    assert (noise.variance, noise.freedom) == (8.0, 1)
    assert pooled_noise(votes, judges=4) is None


@given(vote_lists, st.randoms())
def test_noise_is_the_same_to_the_bit_in_whatever_order_votes_came(
    votes: list[list[float]], rng: random.Random
) -> None:
    shuffled = [rng.sample(cast, len(cast)) for cast in rng.sample(votes, len(votes))]
    assert pooled_noise(shuffled) == pooled_noise(votes)


@given(means, noises)
def test_an_interval_lies_about_its_mean(mean: Mean, noise: Noise) -> None:
    found = interval(mean, noise)
    assert found is not None
    assert found[0] < mean.value < found[1]
    assert fmean(found) == pytest.approx(mean.value)


@given(means, noises)
def test_intervals_shrink_with_votes(mean: Mean, noise: Noise) -> None:
    def width(votes: int) -> float:
        found = interval(Mean(mean.value, votes), noise)
        assert found is not None
        return found[1] - found[0]

    assert width(mean.votes + 1) < width(mean.votes)
    assert width(4 * mean.votes) == pytest.approx(width(mean.votes) / 2.0)


def test_an_interval_of_four_votes_reaches_half_a_deviation_times_student() -> None:
    found = interval(Mean(6.0, 4), Noise(1.0, 3))
    assert found == pytest.approx((6.0 - 2.353 / 2.0, 6.0 + 2.353 / 2.0), abs=0.005)


def test_without_noise_nothing_is_known() -> None:
    assert interval(Mean(6.0, 1), None) is None
    assert errors_between(Mean(9.0, 1), Mean(2.0, 1), None) == 0.0
    assert not is_surely_above(Mean(9.0, 1), Mean(2.0, 1), None)


def test_votes_that_agree_entirely_leave_no_doubt() -> None:
    agreed = Noise(0.0, 4)
    assert interval(Mean(6.0, 2), agreed) == (6.0, 6.0)
    assert errors_between(Mean(6.1, 2), Mean(6.0, 2), agreed) == math.inf
    assert errors_between(Mean(6.0, 2), Mean(6.1, 2), agreed) == -math.inf
    assert errors_between(Mean(6.0, 2), Mean(6.0, 2), agreed) == 0.0


def test_intervals_hold_the_truth_nine_times_in_ten() -> None:
    rng = random.Random(7)
    held = []
    for _ in range(600):
        truths = [rng.gauss(6.0, 0.8) for _ in range(5)]
        votes = [[rng.gauss(truth, 1.0) for _ in range(3)] for truth in truths]
        noise = pooled_noise(votes)
        for truth, cast in zip(truths, votes, strict=True):
            found = interval(Mean(fmean(cast), len(cast)), noise)
            assert found is not None
            held.append(found[0] <= truth <= found[1])
    assert fmean(held) == pytest.approx(0.90, abs=0.015)


@given(means, means, noises)
def test_a_lead_seen_from_the_other_side_is_the_same_deficit(
    a: Mean, b: Mean, noise: Noise
) -> None:
    assert errors_between(a, b, noise) == -errors_between(b, a, noise)
    assert not (is_surely_above(a, b, noise) and is_surely_above(b, a, noise))


def test_a_lead_counts_in_errors_of_the_difference() -> None:
    a, b = Mean(7.0, 2), Mean(6.0, 2)
    assert errors_between(a, b, Noise(4.0, 9)) == pytest.approx(0.5)
    assert is_surely_above(a, b, Noise(0.25, 9))  # 2 errors, 1.83 are needed
    assert not is_surely_above(a, b, Noise(0.36, 9))  # 1.67 errors


fields = st.lists(means, min_size=1, max_size=8)


@given(fields, noises)
def test_nobody_shares_a_rank_with_one_that_is_surely_above(
    field: list[Mean], noise: Noise
) -> None:
    ranks = shared_ranks(
        range(len(field)), lambda a, b: is_surely_above(field[a], field[b], noise)
    )
    assert min(ranks.values()) == 1
    for a, b in permutations(ranks, 2):
        if is_surely_above(field[a], field[b], noise):
            assert ranks[a] < ranks[b]


@given(fields, noises)
def test_a_rank_is_one_more_than_those_surely_above(
    field: list[Mean], noise: Noise
) -> None:
    ids = range(len(field))
    ranks = shared_ranks(ids, lambda a, b: is_surely_above(field[a], field[b], noise))
    for one, rank in ranks.items():
        above = sum(is_surely_above(field[other], field[one], noise) for other in ids)
        assert rank == 1 + above


relations = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)))


@given(relations)
def test_ranks_follow_whatever_was_told_even_where_it_is_not_told_to_the_end(
    pairs: set[tuple[int, int]],
) -> None:
    surely = {(a, b) for a, b in pairs if a < b}  # nobody above itself by detours
    ranks = shared_ranks(range(7), lambda a, b: (a, b) in surely)
    assert all(ranks[a] < ranks[b] for a, b in surely)
    assert min(ranks.values()) == 1


def test_ranks_are_shared_where_nobody_can_be_told_apart() -> None:
    assert shared_ranks([4, 7, 9], lambda _a, _b: False) == {4: 1, 7: 1, 9: 1}


def test_ranks_skip_those_that_share_one() -> None:
    above = {(1, 3), (2, 3)}
    assert shared_ranks([3, 2, 1], lambda a, b: (a, b) in above) == {3: 3, 2: 1, 1: 1}


def test_ranks_of_cards_far_apart_are_their_order() -> None:
    assert shared_ranks([5, 1, 3], lambda a, b: a > b) == {5: 1, 3: 2, 1: 3}


# Judges brought to one level.

levels = st.floats(min_value=-2.0, max_value=2.0)


@st.composite
def shared_cards(draw: st.DrawFn) -> tuple[dict[str, float], list[Mark]]:
    """Two to four judges without noise; each two neighbours share a card at least."""
    names = ["a", "b", "c", "d"][: draw(st.integers(2, 4))]
    planted = {name: draw(levels) for name in names}
    marks = []
    for card in range(draw(st.integers(len(names) - 1, 8))):
        quality = draw(st.floats(3.0, 8.0))
        first = card % (len(names) - 1)
        judges = {
            names[first],
            names[first + 1],
            *draw(st.sets(st.sampled_from(names))),
        }
        for judge in sorted(judges):
            for _ in range(draw(st.integers(1, 3))):
                marks.append(Mark(card, judge, quality + planted[judge]))
    return planted, marks


def test_a_strict_judge_is_told_by_the_cards_it_shares() -> None:
    marks = [Mark(1, "a", 7.0), Mark(1, "b", 6.0), Mark(2, "a", 5.0), Mark(2, "b", 4.0)]
    assert severities(marks) == pytest.approx({"a": 0.5, "b": -0.5})


@given(shared_cards())
@hypothesis_settings(max_examples=40)
def test_planted_severities_are_found_where_judges_share_cards(
    case: tuple[dict[str, float], list[Mark]],
) -> None:
    planted, marks = case
    found = severities(marks)
    for judge in planted:
        assert found[judge] - found["a"] == pytest.approx(
            planted[judge] - planted["a"], abs=1e-4
        )


def test_one_shared_card_of_many_is_enough() -> None:
    strict = [Mark(card, "a", 5.0 + card) for card in range(8) for _ in range(5)]
    mild = [Mark(card, "b", 7.0 + card) for card in range(8, 16) for _ in range(5)]
    found = severities([*strict, *mild, Mark(8, "a", 13.0)])
    assert found["b"] - found["a"] == pytest.approx(2.0, abs=1e-4)


@given(shared_cards())
@hypothesis_settings(max_examples=40)
def test_judges_are_level_on_average_over_their_marks(
    case: tuple[dict[str, float], list[Mark]],
) -> None:
    _, marks = case
    found = severities(marks)
    given_marks = Counter(mark.judge for mark in marks)
    assert sum(found[judge] * n for judge, n in given_marks.items()) == pytest.approx(
        0.0, abs=1e-6
    )


@given(shared_cards(), st.randoms())
@hypothesis_settings(max_examples=40)
def test_the_order_of_marks_changes_nothing(
    case: tuple[dict[str, float], list[Mark]], rng: random.Random
) -> None:
    _, marks = case
    assert severities(rng.sample(marks, len(marks))) == severities(marks)


@given(shared_cards(), st.lists(levels, min_size=8, max_size=8))
@hypothesis_settings(max_examples=40)
def test_how_good_the_cards_are_says_nothing_of_the_judges(
    case: tuple[dict[str, float], list[Mark]], shifts: list[float]
) -> None:
    _, marks = case
    shifted = [mark._replace(value=mark.value + shifts[mark.card]) for mark in marks]
    assert severities(shifted) == pytest.approx(severities(marks), abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(1.0, 10.0)), max_size=12))
def test_one_judge_alone_is_level(marks: list[tuple[int, float]]) -> None:
    found = severities(Mark(card, "only", value) for card, value in marks)
    assert found == ({"only": 0.0} if marks else {})


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(1.0, 10.0)), max_size=20))
def test_judges_who_share_no_card_are_left_as_they_are(
    marks: list[tuple[int, float]],
) -> None:
    found = severities(Mark(card, "abc"[card % 3], value) for card, value in marks)
    assert all(offset == pytest.approx(0.0, abs=1e-9) for offset in found.values())
