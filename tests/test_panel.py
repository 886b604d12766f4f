"""Who judges what: spread over judges, by ids and numbers, and nobody the own family."""

from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.panel import MAIN_JUDGE, ONE_JUDGE, Judge, Panel
from tests.judging_fakes import judges_of, panel_of_letters

# Mostly few, so that most were written by somebody.
IDS = st.integers(1, 5) | st.integers(1, 40)
FAMILIES = st.sampled_from(["", "a", "b", "c"])
JUDGES = st.lists(
    st.builds(Judge, preset=st.text(min_size=1, max_size=2), family=FAMILIES),
    min_size=1,
    max_size=4,
).map(tuple)
PANELS = st.builds(
    Panel,
    judges=JUDGES,
    others=JUDGES | st.just(()),
    authors=st.dictionaries(IDS, FAMILIES),
)


def names_of(*judges: Judge) -> str:
    return "".join(judge.preset or "?" for judge in judges)


@pytest.mark.parametrize("card", [1, 2, 3, 17])
def test_as_many_votes_as_there_are_judges_come_from_all_of_them(card: int) -> None:
    panel = panel_of_letters("abc")
    for start in range(1, 6):
        cast = [panel.of_vote(card, number) for number in range(start, start + 3)]
        assert sorted(names_of(*cast)) == ["a", "b", "c"]


def test_the_votes_of_neighbours_begin_with_different_judges() -> None:
    panel = panel_of_letters("abc")
    first = [panel.of_vote(card, 1) for card in range(1, 8)]
    assert all(one != other for one, other in pairwise(first))


def test_pairs_are_spread_evenly_over_judges() -> None:
    panel = panel_of_letters("abc")
    given_to = Counter(
        panel.of_pair(a, b) for a, b in combinations(range(1, 11), 2)
    ).values()
    assert (sum(given_to), len(given_to)) == (45, 3)
    assert max(given_to) - min(given_to) <= 1


@given(PANELS, IDS, IDS)
def test_a_pair_is_judged_by_the_same_judge_in_either_order(
    panel: Panel, a: int, b: int
) -> None:
    assert panel.of_pair(a, b) == panel.of_pair(b, a)


@given(PANELS, st.lists(st.tuples(IDS, st.integers(1, 9)), max_size=12))
def test_who_judges_does_not_depend_on_what_was_asked_before(
    panel: Panel, votes: list[tuple[int, int]]
) -> None:
    first = {vote: panel.of_vote(*vote) for vote in votes}
    again = Panel(judges=panel.judges, others=panel.others, authors=panel.authors)
    assert {vote: again.of_vote(*vote) for vote in reversed(votes)} == first


@given(PANELS, IDS, IDS, st.integers(1, 20))
def test_the_own_family_judges_only_where_nobody_else_is_left(
    panel: Panel, a: int, b: int, number: int
) -> None:
    of_one, of_two = panel.of_vote(a, number), panel.of_pair(a, b)
    assert {of_one, of_two} <= set(panel.judges)
    if panel.wrote(of_one, a):
        assert all(panel.wrote(judge, a) for judge in panel.judges)
    if panel.wrote(of_two, a, b):
        assert all(panel.wrote(judge, a, b) for judge in panel.judges)


@given(PANELS, IDS, IDS)
def test_the_gate_s_judge_is_the_first_that_wrote_neither(
    panel: Panel, a: int, b: int
) -> None:
    everyone = (*panel.judges, *panel.others)
    free = [judge for judge in everyone if not panel.wrote(judge, a, b)]
    assert panel.of_gate(a, b) == (free or everyone)[0]


def test_the_gate_falls_to_another_preset_where_every_judge_wrote_one() -> None:
    authors = {1: "a", 2: "b"}
    spare = Panel(judges=judges_of("ab"), others=judges_of("acd"), authors=authors)
    assert names_of(spare.of_gate(1, 2), spare.of_gate(2, 3)) == "ca"
    assert names_of(panel_of_letters("ab", "ab").of_gate(1, 2)) == "a"


def test_where_only_the_own_family_is_left_its_judges_take_turns() -> None:
    kin = (Judge(preset="x", family="a"), Judge(preset="y", family="a"))
    panel = Panel(judges=kin, authors={1: "a"})
    assert sorted(names_of(*(panel.of_vote(1, n) for n in (1, 2)))) == ["x", "y"]
    assert panel.wrote(panel.of_vote(1, 1), 1)


def test_the_others_share_the_votes_that_the_own_family_may_not_cast() -> None:
    panel = panel_of_letters("abc", "b")
    assert sorted(names_of(*(panel.of_vote(1, n) for n in range(1, 5)))) == [*"aacc"]


@given(st.dictionaries(IDS, st.just("")), IDS, IDS)
def test_a_family_that_is_not_known_is_nobody_s_own(
    authors: dict[int, str], a: int, b: int
) -> None:
    panel = Panel(judges=(MAIN_JUDGE, Judge(preset="p")), authors=authors)
    assert not any(panel.wrote(judge, a, b) for judge in panel.judges)
    assert panel.of_vote(a, 1) != panel.of_vote(a, 2)


def test_a_draft_whose_writer_is_not_known_may_be_judged_by_all() -> None:
    panel = panel_of_letters("ab", "a-")
    assert names_of(*(panel.of_vote(2, n) for n in (1, 2))) == "ba"
    assert not panel.wrote(judges_of("a")[0], 2)


@given(IDS, IDS, st.integers(1, 9))
def test_without_a_choice_the_main_preset_judges_everything(
    a: int, b: int, number: int
) -> None:
    asked = ONE_JUDGE.of_vote(a, number), ONE_JUDGE.of_pair(a, b)
    assert set(asked) == {MAIN_JUDGE} == {ONE_JUDGE.of_gate(a, b)}
