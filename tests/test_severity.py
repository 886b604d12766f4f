"""How severe judges are, told by the cards they share."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.severity import Mark, severities

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
def test_the_order_of_marks_changes_nothing(
    case: tuple[dict[str, float], list[Mark]], rng: random.Random
) -> None:
    _, marks = case
    assert severities(rng.sample(marks, len(marks))) == severities(marks)


@given(shared_cards(), st.lists(levels, min_size=8, max_size=8))
def test_how_good_the_cards_are_says_nothing_of_the_judges(
    case: tuple[dict[str, float], list[Mark]], shifts: list[float]
) -> None:
    _, marks = case
    shifted = [mark._replace(value=mark.value + shifts[mark.card]) for mark in marks]
    assert severities(shifted) == pytest.approx(severities(marks), abs=1e-4)


def test_levelled_marks_put_the_better_card_first_again() -> None:
    # The strict judge alone saw card 1, the mild one alone card 3; both saw card 2.
    marks = [
        *(Mark(1, "strict", 6.0), Mark(2, "strict", 5.0)),
        *(Mark(2, "mild", 7.0), Mark(3, "mild", 6.5)),
    ]
    found = severities(marks)
    level = {(m.card, m.judge): m.value - found[m.judge] for m in marks}
    assert level[1, "strict"] > level[2, "mild"] > level[3, "mild"]
    assert level[2, "strict"] == pytest.approx(level[2, "mild"])


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
