"""Which questions are asked: fixed votes, votes where it is open, pairs, a funnel."""

import random
from collections import Counter
from collections.abc import Mapping
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.judging.certainty import MOST_VOTES, OPENING_VOTES, further_votes
from pipeline.judging.comparison import Comparison
from pipeline.judging.schemes import FINALISTS, Judging
from pipeline.judging.vote import Vote
from tests.judging_fakes import (
    Booth,
    Comparing,
    Marking,
    by_id,
    even,
    judged,
    lower_id_wins,
    panel_of_letters,
)
from tests.stage_fakes import SEEDS, card


def marks(of: Mapping[int, float], *, scatter: float = 0.1) -> Marking:
    """Votes alternate about the mark of their card."""
    return lambda vote: of[vote.card.article_id] + scatter * (-1) ** vote.number


def noisy(seed: int, *, lost: float = 0.0) -> Marking:
    """The mark of a vote is drawn, and whether it fails, by its name alone."""

    def mark(vote: Vote) -> float | None:
        chance = random.Random(f"{seed}/{vote.item.name}")
        if chance.random() < lost:
            return None
        return round(chance.gauss(6.0, 1.0), 2)

    return mark


def nobody(_question: object) -> None:
    return None


def test_votes_on_a_card_are_numbered_and_spread_over_judges() -> None:
    judging = Judging(panel=panel_of_letters("abc", "-a"))
    votes = judging.votes_on(card(2), range(3, 6))
    assert [vote.order for vote in votes] == [(2, 3), (2, 4), (2, 5)]
    assert [vote.judge.preset for vote in votes] == ["c", "b", "c"]  # a wrote it


def test_fixed_votes_are_asked_at_once_and_failed_ones_not_again() -> None:
    booth = Booth(noisy(1, lost=0.5))
    judged(4, booth, votes=3)
    assert len(booth.rounds) == 1
    assert booth.votes() == {n: [1, 2, 3] for n in range(1, 5)}


def test_auto_asks_two_votes_each_when_the_top_is_clear() -> None:
    booth = Booth(marks({1: 4, 2: 9, 3: 5, 4: 5}))
    scores = judged(4, booth, votes="auto")
    assert booth.votes() == {n: [1, 2] for n in range(1, 5)}
    assert by_id(scores)[2].rank == 1


def test_auto_asks_further_votes_of_the_leader_and_its_contenders_alone() -> None:
    booth = Booth(marks({1: 2, 2: 8, 3: 2, 4: 8.1, 5: 3}, scatter=0.8))
    judged(5, booth, votes="auto")
    votes = booth.votes()
    assert {n for n, cast in votes.items() if len(cast) > OPENING_VOTES} == {2, 4}
    assert all(votes[n] == [1, 2] for n in (1, 3, 5))


@given(st.integers(1, 15), SEEDS, st.sampled_from([0.0, 0.3, 0.9]))
@hypothesis_settings(max_examples=40)
def test_auto_numbers_votes_without_gaps_within_cap_and_budget(
    cards: int, seed: int, lost: float
) -> None:
    booth = Booth(noisy(seed, lost=lost))
    judged(cards, booth, votes="auto", panel=panel_of_letters("abc", "ab"))
    for numbers in booth.votes().values():
        assert numbers == list(range(1, len(numbers) + 1))
        assert OPENING_VOTES <= len(numbers) <= MOST_VOTES
    assert len(booth.asked) <= OPENING_VOTES * cards + further_votes(cards)
    assert len(booth.rounds) <= 3


def test_auto_comes_to_an_end_when_every_further_vote_fails() -> None:
    def only_two(vote: Vote) -> float | None:
        return 6.0 + vote.number if vote.number <= OPENING_VOTES else None

    booth = Booth(only_two)
    scores = judged(5, booth, votes="auto")
    assert len(booth.asked) == 2 * 5 + further_votes(5)
    assert [score.votes for score in scores] == [2] * 5


def test_auto_ends_at_once_when_no_vote_can_be_had() -> None:
    booth = Booth(nobody)
    assert judged(5, booth, votes="auto") == []
    assert len(booth.asked) == 10


def test_each_pair_goes_to_one_judge_and_own_families_are_named() -> None:
    booth = Booth(nobody, lower_id_wins)
    scores = judged(3, booth, mode="pairwise", panel=panel_of_letters("ab", "ab"))
    asked_of = {each.order[:2]: each.judge.preset for each in booth.asked}
    assert asked_of[(1, 3)] == asked_of[(3, 1)] == "b"
    assert asked_of[(2, 3)] == asked_of[(3, 2)] == "a"
    assert asked_of[(1, 2)] == asked_of[(2, 1)]  # each of them wrote one of the two
    own = asked_of[(1, 2)] or ""
    marked = {n: s.by_judge[own].is_own_family for n, s in by_id(scores).items()}
    assert marked == {1: own == "a", 2: own == "b", 3: False}


SIX = {1: 3.0, 2: 7.0, 3: 6.0, 4: 2.0, 5: 8.0, 6: 5.0}  # best: 5, 2, 3, 6


def test_a_funnel_compares_the_best_four_in_both_orders_once() -> None:
    booth = Booth(marks(SIX), lower_id_wins)
    judged(6, booth, mode="funnel", panel=panel_of_letters("abc"))
    assert [len(asked) for asked in booth.rounds] == [18, 12]
    assert sorted(booth.pairs()) == sorted(permutations((2, 3, 5, 6), 2))
    judges = {
        frozenset(each.ids): Counter[str | None]()
        for each in booth.asked
        if isinstance(each, Comparison)
    }
    for each in booth.rounds[1]:
        judges[frozenset(each.order[:2])][each.judge.preset] += 1
    assert all(list(asked.values()) == [2] for asked in judges.values())
    assert len({next(iter(asked)) for asked in judges.values()}) > 1


def test_in_a_funnel_comparisons_order_the_finalists_and_the_cut_stand_behind() -> None:
    scores = by_id(judged(6, Booth(marks(SIX), lower_id_wins), mode="funnel"))
    finalists = sorted(scores.values(), key=lambda score: score.merit, reverse=True)
    assert [score.article_id for score in finalists] == [2, 3, 5, 6, 1, 4]
    assert all(scores[n].compared is not None for n in (2, 3, 5, 6))
    assert (scores[1].compared, scores[4].compared) == (None, None)
    assert (scores[1].rank, scores[4].rank) == (5, 6)
    assert all((scores[n].rank or 9) <= FINALISTS for n in (2, 3, 5, 6))
    assert [scores[n].overall for n in (5, 2)] == pytest.approx([8, 7], abs=0.1)


def test_cards_that_were_cut_and_cannot_be_told_apart_share_a_rank() -> None:
    of = {1: 8.0, 2: 8.1, 3: 8.2, 4: 8.3, 5: 2.0, 6: 2.0, 7: 1.0}
    scores = by_id(judged(7, Booth(marks(of), even), mode="funnel"))
    assert [scores[n].rank for n in (5, 6, 7)] == [5, 5, 7]


def test_of_equal_cards_at_the_cut_the_lower_ids_go_on() -> None:
    booth = Booth(marks(dict.fromkeys(range(1, 7), 6.0)))
    judged(6, booth, mode="funnel")
    assert {one for pair in booth.pairs() for one in pair} == {1, 2, 3, 4}


@pytest.mark.parametrize(("cards", "pairs"), [(1, 0), (2, 2), (3, 6), (4, 12)])
def test_with_four_cards_or_fewer_nobody_is_cut(cards: int, pairs: int) -> None:
    booth = Booth(marks(SIX), lower_id_wins)
    scores = judged(cards, booth, mode="funnel")
    assert len(booth.pairs()) == pairs
    assert len(scores) == cards
    assert all((score.compared is not None) is (cards > 1) for score in scores)
    assert scores[0].rank == 1


def test_when_every_comparison_failed_the_votes_decide() -> None:
    booth = Booth(marks(SIX), nobody)
    assert judged(6, booth, mode="funnel") == judged(6, Booth(marks(SIX)))
    assert len(booth.rounds) == 2


def test_a_card_without_a_vote_is_not_compared_and_has_no_score() -> None:
    def mark(vote: Vote) -> float | None:
        return None if vote.card.article_id == 5 else SIX[vote.card.article_id]

    booth = Booth(mark, lower_id_wins)
    scores = by_id(judged(6, booth, mode="funnel"))
    assert {one for pair in booth.pairs() for one in pair} == {1, 2, 3, 6}
    assert set(scores) == {1, 2, 3, 4, 6}


def none_with_six(comparison: Comparison) -> float | None:
    return lower_id_wins(comparison) if 6 not in comparison.ids else None


@pytest.mark.parametrize("points", [lower_id_wins, even, none_with_six])
def test_no_card_that_was_cut_ranks_beside_a_finalist(points: Comparing) -> None:
    scores = by_id(judged(6, Booth(marks(SIX), points), mode="funnel"))
    finalists = [scores[n] for n in (2, 3, 5, 6)]
    assert all(score.compared is not None for score in finalists)
    assert max(s.rank or 9 for s in finalists) < min(
        scores[n].rank or 0 for n in (1, 4)
    )
    assert min(s.merit for s in finalists) > max(scores[n].merit for n in (1, 4))


def test_in_a_funnel_a_comparison_by_the_own_family_is_named() -> None:
    # Judge a wrote card 1 and b card 2: each votes on the other's, one compares both.
    panel = panel_of_letters("ab", "ab")
    booth = Booth(marks({1: 8, 2: 4}), lower_id_wins)
    first, second = judged(2, booth, mode="funnel", panel=panel)
    assert not any(
        mark.is_own_family
        for score in (first, second)
        for mark in score.by_judge.values()
    )
    judge = panel.of_pair(1, 2).preset
    own, other = (first, second) if judge == "a" else (second, first)
    assert (own.own_family, other.own_family) == ({judge}, set())
