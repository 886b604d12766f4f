"""Who judges what, nobody the own family, and what is said of the judges themselves."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.panel import (
    MAIN_JUDGE,
    ONE_JUDGE,
    Agreement,
    Judge,
    JudgeLine,
    Panel,
    agreement,
    judge_lines,
)
from pipeline.records import ArticleScore, JudgeMark
from tests.judging_fakes import judges_of, panel_of_letters
from tests.stage_fakes import score

# Mostly few, so that most were written by somebody.
IDS = st.integers(1, 5) | st.integers(1, 40)
FAMILIES = st.sampled_from(["", "a", "b", "c"])
JUDGES = st.lists(
    st.builds(Judge, preset=st.sampled_from("pqrs"), family=FAMILIES),
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


# What is said of the judges.

MEANS = st.floats(1.0, 10.0)
FIELDS = st.lists(st.dictionaries(st.sampled_from("abc"), MEANS), max_size=5)


def marked(
    article_id: int, marks: Mapping[str, float], *, votes: int = 1
) -> ArticleScore:
    by_judge = {
        judge: JudgeMark(mean=mean, votes=votes) for judge, mean in marks.items()
    }
    return score(article_id, 5.0).model_copy(update={"by_judge": by_judge})


def field(*marks: Mapping[str, float]) -> list[ArticleScore]:
    return [marked(n, of_card) for n, of_card in enumerate(marks, start=1)]


def test_a_line_has_the_mean_of_all_marks_weighted_by_votes() -> None:
    scores = [
        marked(1, {"b": 4.0}, votes=3),
        marked(2, {"b": 8.0, "a": 6.0}, votes=1),
    ]
    assert judge_lines(scores) == [
        JudgeLine(judge="a", mean=6.0, votes=1),
        JudgeLine(judge="b", mean=5.0, votes=4),
    ]


def test_a_line_names_the_drafts_of_the_own_family_alone() -> None:
    own = JudgeMark(mean=7.0, votes=1, is_own_family=True)
    scores = [
        marked(1, {"a": 5.0}),
        *(score(n, 7.0).model_copy(update={"by_judge": {"a": own}}) for n in (2, 4)),
    ]
    (line,) = judge_lines(scores)
    assert line.own_family == (2, 4)


def test_without_marks_there_is_nothing_to_say() -> None:
    assert judge_lines([]) == judge_lines([score(1, 5.0)]) == []
    assert agreement([]) == agreement(field({"a": 5.0})) == Agreement(0, 0)


def test_agreement_of_hand_computed_marks() -> None:
    scores = field(
        {"a": 8.0, "b": 7.0, "c": 3.0},
        {"a": 6.0, "b": 5.0, "c": 4.0},
        {"a": 4.0, "b": 6.0},
    )
    # 1 over 2: a yes, b yes, c no: alike a-b; not a-c, b-c.
    # 1 over 3: a yes, b yes: alike. 2 over 3: a yes, b no.
    assert agreement(scores) == Agreement(alike=2, of=5)


def test_two_drafts_that_a_judge_marked_alike_count_for_nothing() -> None:
    assert agreement(field({"a": 5.0, "b": 7.0}, {"a": 5.0, "b": 6.0})) == (0, 0)


def test_drafts_that_two_judges_did_not_both_mark_count_for_nothing() -> None:
    assert agreement(field({"a": 5.0, "b": 7.0}, {"a": 6.0, "c": 6.0})) == (0, 0)


@given(FIELDS)
def test_the_order_of_drafts_changes_no_agreement(
    marks: list[dict[str, float]],
) -> None:
    found = agreement(field(*marks))
    assert agreement(field(*reversed(marks))) == found
    assert 0 <= found.alike <= found.of


@given(FIELDS)
def test_a_judge_agrees_with_one_who_only_marks_lower(
    marks: list[dict[str, float]],
) -> None:
    twins = [{"a": m["a"], "strict": m["a"] - 1.0} for m in marks if "a" in m]
    found = agreement(field(*twins))
    assert found.alike == found.of


@given(FIELDS)
def test_a_judge_never_agrees_with_its_opposite(marks: list[dict[str, float]]) -> None:
    mirrored = [{"a": m["a"], "b": 11.0 - m["a"]} for m in marks if "a" in m]
    assert agreement(field(*mirrored)).alike == 0
