"""The simulated judges err as they are said to, and figures are reckoned rightly."""

import random
from functools import partial
from statistics import fmean, stdev

import pytest

from pipeline.judging.certainty import MOST_VOTES
from tests.benchmarks import judging_schemes as schemes
from tests.benchmarks import judging_tables as tables
from tests.benchmarks.judging_contest import (
    FAMILIES,
    TIE_BAND,
    WEIGHTS,
    Answers,
    Contest,
    Temper,
    expected_points,
    verdict,
)
from tests.benchmarks.judging_figures import mean_of

EXACT = Temper(noise=0.0)
SMALL = tables.Scale(contests=40, cards=(4,), noises=(0.5,), compared_cards=8)


def contest(cards: int = 6, seed: int = 1) -> Contest:
    return Contest(cards, random.Random(seed))


def of_truth(*truth: float) -> Contest:
    """Drafts of these qualities, without lengths."""
    made = contest(len(truth))
    made.truth, made.lengths = list(truth), [0.0] * len(truth)
    return made


# One vote, one comparison.


def test_a_judge_without_errors_votes_the_truth() -> None:
    made = contest()
    assert [made.vote(card, 0, EXACT) for card in range(6)] == made.truth


def test_each_bias_adds_what_it_says() -> None:
    made = contest()
    card, temper = 2, Temper(noise=0.5, length=0.3, own_family=0.4, severity=0.7)
    own = made.writers[card]
    plain = made.vote(card, 1, Temper(noise=0.5)) + 0.3 * made.lengths[card]
    assert made.vote(card, 1, temper) == pytest.approx(plain)
    assert made.vote(card, 1, temper, judge=own) == pytest.approx(
        plain + 0.4 + 0.7 * made.severities[own]
    )
    other = next(family for family in FAMILIES if family != own)
    assert made.vote(card, 1, temper, judge=other) == pytest.approx(
        plain + 0.7 * made.severities[other]
    )


def test_votes_scatter_by_the_noise() -> None:
    errors = [
        made.vote(0, number, Temper(noise=0.8)) - made.truth[0]
        for made in map(partial(contest, 1), range(300))
        for number in range(MOST_VOTES)
    ]
    assert mean_of(errors).value == pytest.approx(0.0, abs=0.05)
    assert stdev(errors) == pytest.approx(0.8, abs=0.04)


def test_comparing_is_as_noisy_as_the_difference_of_two_votes() -> None:
    temper = Temper(noise=0.5)
    assert temper.comparison_noise**2 == pytest.approx(0.5**2 + 0.5**2)
    easier = temper.with_comparing(0.5).comparison_noise
    assert easier == pytest.approx(temper.comparison_noise / 2.0)


@pytest.mark.parametrize(
    ("difference", "points"),
    [(TIE_BAND + 0.01, 1.0), (TIE_BAND, 0.5), (0.0, 0.5), (-TIE_BAND - 0.01, 0.0)],
)
def test_a_verdict_is_a_tie_within_the_band(difference: float, points: float) -> None:
    assert verdict(difference) == points


def test_a_comparison_without_errors_follows_the_truth() -> None:
    made = of_truth(7.0, 6.0, 6.05)
    assert made.points(0, 1, EXACT) == pytest.approx(1.0)
    assert made.points(1, 0, EXACT) == pytest.approx(0.0)
    assert made.points(1, 2, EXACT) == pytest.approx(0.5)


def test_the_first_place_and_length_tip_a_comparison() -> None:
    made = of_truth(6.0, 6.0)
    first = Temper(noise=0.0, position=0.2)
    assert made.points(0, 1, first) == made.points(1, 0, first) == pytest.approx(1.0)
    made.lengths = [0.0, 1.0]
    longer = Temper(noise=0.0, length=0.2)
    assert (made.points(0, 1, longer), made.points(1, 0, longer)) == pytest.approx(
        (0.0, 1.0)
    )


def test_points_are_the_weights_of_the_criteria_that_were_won() -> None:
    assert sum(WEIGHTS) == pytest.approx(1.0)
    made = of_truth(6.0, 6.0)
    seen = {made.points(0, 1, Temper(noise=0.05 * n)) for n in range(1, 40)}
    assert all(0.0 <= points <= 1.0 for points in seen)
    assert any(0.0 < points < 1.0 and points != 0.5 for points in seen)


def test_what_was_drawn_stays() -> None:
    made, temper = contest(), Temper(noise=0.7)
    once = (made.vote(1, 3, temper), made.points(0, 1, temper))
    made.points(1, 0, temper)
    assert (made.vote(1, 3, temper), made.points(0, 1, temper)) == once
    assert made.answers(temper).votes[1][3] == once[0]


def test_a_scale_has_the_same_contests_whenever_asked() -> None:
    once, again = ([c.truth for c in SMALL.contests_of(4)] for _ in range(2))
    assert once == again
    assert len({truth[0] for truth in once}) == SMALL.contests
    assert next(SMALL.contests_of(4, spread=0.0)).truth == [6.0] * 4


@pytest.mark.parametrize("difference", [0.0, 0.1, -0.6, 1.5])
@pytest.mark.parametrize("comparing", [1.0, 0.35])
def test_expected_points_are_what_comparisons_come_to(
    difference: float, comparing: float
) -> None:
    temper = Temper(noise=0.6, comparing=comparing)
    points = []
    for seed in range(4000):
        made = Contest(2, random.Random(seed))
        made.truth = [6.0 + difference, 6.0]
        points.append(made.points(0, 1, temper))
    assert fmean(points) == pytest.approx(expected_points(difference, temper), abs=0.02)


def test_expected_points_without_errors_are_the_verdict() -> None:
    assert expected_points(0.2, EXACT) == 1.0
    assert expected_points(0.1, EXACT) == 0.5


def test_true_shares_add_up_to_half_of_each() -> None:
    made = contest(5)
    shares = made.true_shares(range(5), Temper(noise=0.5))
    assert sum(shares.values()) == pytest.approx(2.5)
    assert max(shares, key=shares.__getitem__) == made.best


# Schemes.

CALLS = {
    "3 votes": (18, 0),
    "5 votes": (30, 0),
    "pairwise, one order": (0, 15),
    "pairwise, both orders": (0, 30),
    "funnel, 2 votes": (12, 12),
    "funnel, 3 votes": (18, 12),
}


@pytest.mark.parametrize("name", CALLS)
def test_schemes_ask_what_they_say(name: str) -> None:
    outcome = schemes.SCHEMES[name](contest().answers(Temper()))
    assert (outcome.votes_asked, outcome.comparisons_asked) == CALLS[name]
    assert outcome.calls == sum(CALLS[name])


@pytest.mark.parametrize("name", schemes.SCHEMES)
def test_every_scheme_finds_the_best_by_judges_without_errors(name: str) -> None:
    made = of_truth(5.0, 6.0, 6.5, 8.0, 7.0)
    answers = made.answers(Temper(noise=0.01))
    assert schemes.SCHEMES[name](answers).first == 3


def test_schemes_ask_the_same_votes() -> None:
    answers = contest().answers(Temper(noise=1.0))
    for name in ("auto", "3 votes", "funnel, 2 votes"):
        votes = schemes.SCHEMES[name](answers).votes
        for card, cast in votes.items():
            assert list(cast) == list(answers.votes[card][: len(cast)])


def test_auto_asks_on_in_rounds_while_the_top_is_open() -> None:
    settled = of_truth(9.0, 6.0, 5.0).answers(Temper(noise=0.1))
    outcome = schemes.auto(settled)
    assert (outcome.calls, outcome.rounds) == (6, 1)
    close = Answers([[6.0, 8.0] * 5, [5.9, 7.9] * 5, [1.0, 3.0] * 5], settled.points)
    outcome = schemes.auto(close)
    assert outcome.rounds > 2
    assert len(outcome.votes[0]) > len(outcome.votes[2]) == 2


def test_votes_left_over_go_to_the_first_cards() -> None:
    answers = contest(3).answers(Temper())
    votes = schemes.even(answers, calls=8).votes
    assert [len(cast) for cast in votes.values()] == [3, 3, 2]
    assert schemes.even(answers, calls=999).calls == 3 * MOST_VOTES


def test_a_funnel_compares_the_best_four_by_votes() -> None:
    made = of_truth(9.0, 1.0, 8.0, 2.0, 7.0, 6.0)
    outcome = schemes.funnel(made.answers(Temper(noise=0.01)), votes=2)
    assert {one for pair in outcome.tallies for one in pair} == {0, 2, 4, 5}


def test_in_both_orders_a_game_each_way_counts_for_the_smaller_number() -> None:
    answers = Answers([[6.0]] * 2, lambda first, _second: (0.9, 0.3)[first])
    assert schemes.pairwise(answers).tallies[0, 1] == pytest.approx((1.6, 2))
    one = schemes.pairwise(answers, is_both_orders=False).tallies
    assert one[0, 1] == (0.9, 1)


@pytest.mark.parametrize("name", ["5 votes", "pairwise, both orders"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(name: str) -> None:
    temper, held = Temper(noise=0.5), []
    for seed in range(12):
        made = contest(6, seed)
        outcome = schemes.SCHEMES[name](made.answers(temper))
        held += schemes.held(outcome, made, temper)
    assert len(held) == 72
    assert fmean(held) > 0.8
