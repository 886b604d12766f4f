"""Which cards get further votes, how many, and when it ends."""

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.certainty import (
    MOST_VOTES,
    OPENING_VOTES,
    further_votes,
    next_votes,
    open_cards,
)

Votes = dict[int, list[float]]
Asked = dict[int, int]
marks = st.floats(min_value=1.0, max_value=10.0)


@st.composite
def standings(draw: st.DrawFn) -> tuple[Votes, Asked]:
    """Cards with votes asked for, after any number of rounds; of these some failed."""
    ids = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True))
    asked = dict.fromkeys(ids, OPENING_VOTES)
    if len(ids) > 1:
        rounds = st.lists(st.sampled_from(ids), min_size=2, max_size=3, unique=True)
        for more in (3, 5)[: draw(st.integers(0, 2))]:
            asked |= {card: asked[card] + more for card in draw(rounds)}
    votes = {card: draw(st.lists(marks, max_size=asked[card])) for card in ids}
    return votes, asked


def spent(asked: Mapping[int, int]) -> int:
    return sum(asked.values()) - OPENING_VOTES * len(asked)


def rounds_until_the_end(
    truth: Sequence[float], *, rng: random.Random, fails: float = 0.0
) -> tuple[Asked, int]:
    """Play it out with votes that fail now and then."""
    asked = dict.fromkeys(range(len(truth)), OPENING_VOTES)
    votes: Votes = {card: [] for card in asked}
    more: Mapping[int, int] = asked
    rounds = 0
    while more:
        rounds += 1
        assert rounds < 100, "it goes on for ever"
        for card, count in more.items():
            cast = [rng.gauss(truth[card], 1.0) for _ in range(count)]
            votes[card] += [vote for vote in cast if rng.random() >= fails]
        more = next_votes(votes, asked)
        asked = {card: asked[card] + more.get(card, 0) for card in asked}
    return asked, rounds


@given(standings())
def test_no_card_is_asked_beyond_the_most(standing: tuple[Votes, Asked]) -> None:
    votes, asked = standing
    for card, count in next_votes(votes, asked).items():
        assert count > 0
        assert asked[card] + count <= MOST_VOTES


@given(standings())
def test_the_budget_is_never_exceeded(standing: tuple[Votes, Asked]) -> None:
    votes, asked = standing
    more = sum(next_votes(votes, asked).values())
    assert more <= max(0, further_votes(len(asked)) - spent(asked))


@given(standings())
def test_only_open_cards_are_asked_about_and_few_in_a_round(
    standing: tuple[Votes, Asked],
) -> None:
    votes, asked = standing
    more = next_votes(votes, asked)
    assert set(more) <= set(open_cards(votes, parted_at=0.9))
    assert len(more) <= 3
    assert set(more.values()) in ({3}, {5}, set())


@given(standings(), st.randoms())
def test_the_order_in_which_votes_came_changes_nothing(
    standing: tuple[Votes, Asked], rng: random.Random
) -> None:
    votes, asked = standing
    ids = rng.sample(sorted(votes), len(votes))
    shuffled = {card: rng.sample(votes[card], len(votes[card])) for card in ids}
    again = {card: asked[card] for card in rng.sample(ids, len(ids))}
    assert list(next_votes(shuffled, again).items()) == list(
        next_votes(votes, asked).items()
    )


@given(standings())
def test_what_is_given_is_left_as_it_was(standing: tuple[Votes, Asked]) -> None:
    votes, asked = standing
    before = {card: list(cast) for card, cast in votes.items()}, dict(asked)
    next_votes(votes, asked)
    assert (votes, asked) == before


@given(
    st.lists(marks, min_size=1, max_size=15),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.data(),
)
def test_it_ends_within_the_budget_even_when_votes_fail_for_ever(
    truth: list[float], fails: float, data: st.DataObject
) -> None:
    rng = random.Random(data.draw(st.integers(0, 1000)))
    asked, _ = rounds_until_the_end(truth, rng=rng, fails=fails)
    assert spent(asked) <= further_votes(len(asked))
    assert max(asked.values()) <= MOST_VOTES


def test_a_card_whose_votes_all_fail_is_given_up_and_the_rest_goes_on() -> None:
    votes: Votes = {1: [], 2: [6.0, 7.0], 3: [6.1, 7.1]}
    more = next_votes(votes, {1: 2, 2: 2, 3: 2})
    assert set(more) == {2, 3}


def test_nothing_is_asked_when_the_leader_is_apart() -> None:
    votes = {1: [8.0, 8.2], 2: [6.0, 6.2], 3: [5.0, 5.2]}
    assert open_cards(votes, parted_at=0.9) == []
    assert next_votes(votes, dict.fromkeys(votes, 2)) == {}


def test_who_is_last_does_not_matter_when_the_top_is_settled() -> None:
    votes = {1: [8.0, 8.2], 2: [6.0, 6.2], 3: [6.0, 6.2], 4: [6.0, 6.2]}
    assert next_votes(votes, dict.fromkeys(votes, 2)) == {}


def test_the_leader_and_the_two_closest_get_three_votes_each() -> None:
    votes = {1: [4.0, 6.0], 2: [6.0, 8.0], 3: [5.5, 7.5], 4: [5.8, 7.8], 5: [5.6, 7.6]}
    assert open_cards(votes, parted_at=0.9) == [2, 4, 5, 3]
    assert next_votes(votes, dict.fromkeys(votes, 2)) == {2: 3, 4: 3, 5: 3}


# The standard error of a difference is 1.41 here after two votes each, 0.63 after five.
def behind(gap: float, *, votes: int) -> Votes:
    leader = [6.0, 8.0] if votes == 2 else [6.0, 8.0, 7.0, 8.0, 6.0]
    return {1: leader, 2: [vote - gap for vote in leader]}


def test_a_leader_is_apart_at_so_many_errors_of_the_difference() -> None:
    assert open_cards(behind(1.5, votes=2), parted_at=1.0) == []
    assert open_cards(behind(1.3, votes=2), parted_at=1.0) == [1, 2]


@pytest.mark.parametrize(
    ("asked", "is_apart", "is_open", "more"), [(2, 1.3, 1.2, 3), (5, 0.26, 0.24, 5)]
)
def test_in_the_second_round_only_a_near_tie_is_open(
    asked: int, is_apart: float, is_open: float, more: int
) -> None:
    both = {1: asked, 2: asked}
    assert next_votes(behind(is_apart, votes=asked), both) == {}
    assert next_votes(behind(is_open, votes=asked), both) == {1: more, 2: more}


def test_judges_brought_to_one_level_leave_more_doubt() -> None:
    votes = {1: [6.0, 8.0], 2: [4.7, 6.7], 3: [1.0, 3.0]}
    assert open_cards(votes, parted_at=0.9) == []
    assert open_cards(votes, parted_at=0.9, judges=2) == [1, 2]
    assert set(next_votes(votes, dict.fromkeys(votes, 2), judges=2)) == {1, 2}


def test_the_last_round_spends_what_is_left_of_the_budget() -> None:
    votes = {1: [6.0, 8.0], 2: [5.9, 7.9], 3: [5.8, 7.8]}
    asked = dict.fromkeys(votes, 5)
    assert further_votes(3) - spent(asked) == 15
    assert next_votes(votes, asked) == {1: 5, 2: 5, 3: 5}


def test_after_two_further_rounds_no_more_is_asked() -> None:
    votes = {1: [6.0, 8.0], 2: [5.9, 7.9], 3: [1.0, 1.5], 4: [1.0, 1.5]}
    assert next_votes(votes, {1: 5, 2: 5, 3: 2, 4: 2}) == {1: 5, 2: 5}
    assert next_votes(votes, {1: 10, 2: 10, 3: 2, 4: 2}) == {}
    # Also where the second was between others than the first.
    assert next_votes(votes, {1: 5, 2: 5, 3: 7, 4: 7}) == {}


@pytest.mark.parametrize(("cards", "most"), [(1, 0), (2, 16), (3, 24), (100, 24)])
def test_the_budget_does_not_grow_with_the_field(cards: int, most: int) -> None:
    assert further_votes(cards) == most


def test_single_votes_say_nothing_so_all_are_open() -> None:
    assert open_cards({1: [9.0], 2: [2.0]}, parted_at=0.3) == [1, 2]


def test_one_card_needs_no_further_votes() -> None:
    assert next_votes({1: [5.0, 7.0]}, {1: 2}) == {}


def test_equal_cards_are_told_by_their_number() -> None:
    votes = {9: [6.0, 8.0], 4: [6.0, 8.0], 7: [6.0, 8.0]}
    assert open_cards(votes, parted_at=0.3) == [4, 7, 9]


def test_a_settled_field_takes_one_round_and_an_even_one_takes_the_budget() -> None:
    settled, rounds = rounds_until_the_end([9.0, 3.0, 2.0], rng=random.Random(1))
    assert (set(settled.values()), rounds) == ({OPENING_VOTES}, 1)
    many = [rounds_until_the_end([6.0] * 5, rng=random.Random(n)) for n in range(20)]
    assert max(spent(asked) for asked, _ in many) == further_votes(5)
