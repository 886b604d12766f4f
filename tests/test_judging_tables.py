"""Figures and tables of simulated judging, and judges of families."""

from collections.abc import Sequence
from statistics import fmean

import pytest

from pipeline.judging.certainty import Mark
from tests.benchmarks import judging_biases as biases
from tests.benchmarks import judging_funnel as funnels
from tests.benchmarks import judging_schemes as schemes
from tests.benchmarks import judging_tables as tables
from tests.benchmarks.judging_contest import (
    FAMILIES,
    Temper,
)
from tests.benchmarks.judging_figures import crossing, difference, percent
from tests.test_judging_simulation import EXACT, SMALL, contest, of_truth


def test_tokens_are_those_the_program_estimates() -> None:
    outcome = schemes.funnel(contest().answers(Temper()), votes=2)
    vote, comparison = map(tables.tokens_a_call, ("absolute", "pairwise"))
    assert 1000 < vote < comparison < 2 * vote
    assert tables.tokens_of(outcome) == pytest.approx(12 * vote + 12 * comparison)


def test_a_difference_is_paired() -> None:
    lead = difference([1.0, 2.0, 6.0], [0.0, 1.0, 5.0])
    assert (lead.value, lead.error) == (1.0, 0.0)
    assert difference([1.0, 3.0], [0.0, 0.0]).error == pytest.approx(1.0)
    assert percent([True, False, False]) == "33.3"
    assert percent([]) == "-"


@pytest.mark.parametrize(
    ("leads", "shown"),
    [
        ([(1.0, -1.0), (0.5, 1.0)], "0.75"),
        ([(1.0, -3.0), (0.5, 1.0), (0.3, 2.0)], "0.62"),
        ([(1.0, 1.0), (0.5, -1.0), (0.3, 1.0)], "0.40"),
        ([(1.0, -1.0), (0.8, 1.0), (0.5, -1.0), (0.3, 1.0)], "0.40"),
        ([(1.0, 1.0), (0.5, 2.0)], "from 1"),
        ([(1.0, 1.0), (0.5, 0.0)], "not at 0.5"),
    ],
)
def test_a_crossing_is_where_the_lead_begins(
    leads: Sequence[tuple[float, float]], shown: str
) -> None:
    assert crossing(leads) == shown


def test_asking_both_orders_takes_the_lean_to_the_first_place_away() -> None:
    scale = tables.Scale(contests=300, cards=(4,), noises=(0.5,))
    temper = Temper(noise=0.5, position=1.0)
    one, both = (
        tables.gain_of_first(scale, temper, is_both_orders=is_both)
        for is_both in (False, True)
    )
    assert one.value > 4.0
    assert abs(both.value) < 0.1 * one.value


def test_auto_is_set_beside_five_votes_with_its_targets() -> None:
    found = {name: tables.Tried() for name in schemes.SCHEMES}
    found["auto"].is_best, found["auto"].calls = [True, True], [30, 33]
    found["auto"].rounds = [2, 3]
    found["5 votes"].is_best, found["5 votes"].calls = [True, False], [50, 50]
    row = tables.auto_table({(10, 0.5): found}).splitlines()[2]
    assert row.split() == [
        *("10,", "0.5", "+50.0", "±", "50.0", "yes"),
        *("0.630", "0.60", "NO", "2.5"),
    ]


def test_intervals_of_comparisons_are_looked_at_for_the_first_contests_alone() -> None:
    found = tables.try_schemes(SMALL, ("3 votes", "pairwise, one order"))[4, 0.5]
    assert len(found["3 votes"].held) == 4 * SMALL.contests
    assert len(found["pairwise, one order"].held) == SMALL.compared_cards
    assert len(found["pairwise, one order"].is_best) == SMALL.contests


def test_auto_is_tried_oftener_than_the_rest_and_beside_five_votes_alone() -> None:
    found = tables.try_auto(SMALL)[4, 0.5]
    assert set(found) == {tables.AUTO, tables.FIVE}
    assert {len(tried.is_best) for tried in found.values()} == {10 * SMALL.contests}
    assert set(found[tables.FIVE].calls) == {20}
    assert sum(found[tables.AUTO].calls) < sum(found[tables.FIVE].calls)


def test_a_funnel_is_set_beside_votes_of_its_calls_and_of_its_tokens() -> None:
    answers = contest().answers(Temper())
    outcome = schemes.funnel(answers, votes=2)
    rivals = funnels.rivals_of(outcome)
    assert rivals[funnels.CALLS](answers).calls == outcome.calls == 24
    assert 24 < rivals[funnels.TOKENS](answers).calls < 36


def test_a_sweep_counts_every_contest_at_every_noise_of_comparing() -> None:
    swept = next(iter(funnels.sweep(SMALL)))
    assert list(swept.funnel) == list(funnels.COMPARING)
    for hits in [*swept.funnel.values(), *swept.rivals.values()]:
        assert len(hits) == SMALL.contests
    easy, hard = (fmean(swept.funnel[r]) for r in (0.35, 1.0))
    assert easy > hard


# Judges of families.


def bench(name: str) -> biases.Bench:
    return next(one for one in biases.BENCHES if name in one.name)


def test_drafts_are_shared_out_evenly_among_the_families() -> None:
    writers = contest(9).writers
    assert [writers.count(family) for family in FAMILIES] == [3, 3, 3]
    assert len({tuple(contest(9, seed).writers) for seed in range(5)}) > 1


def test_three_judges_leave_out_their_own_and_one_alone_cannot() -> None:
    made = contest()
    marks = biases.marks_of(made, bench("none its own"), EXACT, votes=3)
    assert len(marks) == 18
    assert not [mark for mark in marks if mark.judge == made.writers[mark.card]]
    alone = biases.marks_of(made, bench("one judge"), EXACT, votes=3)
    assert {mark.judge for mark in alone} == {FAMILIES[0]}
    everyone = biases.marks_of(made, bench("all judge all"), EXACT, votes=3)
    assert {mark.judge for mark in everyone if mark.card == 0} == set(FAMILIES)


def test_levelling_takes_severities_away() -> None:
    made = contest()
    marks = biases.marks_of(
        made, bench("none its own"), Temper(noise=0.0, severity=2.0), votes=3
    )
    level = biases.levelled(marks)
    shifts = {round(mark.value - made.truth[mark.card], 6) for mark in level}
    assert len(shifts) == 1
    assert len({round(m.value - made.truth[m.card], 6) for m in marks}) > 1


def test_an_interval_is_held_against_the_truth_on_the_judges_level() -> None:
    made = of_truth(5.0, 7.0)
    marks = [
        Mark(card, "a", made.truth[card] + 1.0 + e)
        for card in (0, 1)
        for e in (-0.1, 0.1)
    ]
    level, off = biases.Seen(), biases.Seen()
    level.add(made, marks, level=1.0, judges=1)
    off.add(made, marks, level=0.0, judges=1)
    assert (level.is_best, level.held) == ([True], [True, True])
    assert off.held == [False, False]
