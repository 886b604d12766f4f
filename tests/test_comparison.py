"""Comparisons: both orders, ties, and comparisons that are missing."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.judging.by_comparisons import scores_of_comparisons
from pipeline.judging.comparison import Comparison, Verdict
from pipeline.judging.questions import Poll
from pipeline.judging.schemes import Judging, opening_of
from pipeline.models.presets import Preset
from pipeline.records import ArticleScore
from pipeline.score import judge_all_cards
from tests.judging_fakes import NAME, ONE
from tests.stage_fakes import CRITERIA_NAMES, FULL, SHORT, Asked, card, refuse, stand

PAIRWISE = Judging(mode="pairwise")


def verdict(winner: str, **others: str) -> dict[str, Any]:
    return {
        name: {"reason": "r", "winner": others.get(name, winner)}
        for name in CRITERIA_NAMES
    }


def by_strength(asked: Asked) -> dict[str, Any]:
    """The card with the lower id wins, wherever it stands."""
    first, second = map(int, asked.item_id.split("-"))
    return verdict("A" if first < second else "B")


def scores_of(cards: int, table: dict[tuple[int, int], float]) -> list[ArticleScore]:
    """What comparisons of so many cards add up to; values are the first one's points."""
    shown = [Comparison(first=card(a), second=card(b), criteria=ONE) for a, b in table]
    verdicts: list[Verdict] = [{NAME: value} for value in table.values()]
    answers = dict(zip([each.item for each in shown], verdicts, strict=True))
    poll = Poll([card(n + 1) for n in range(cards)], shown, answers)
    return scores_of_comparisons(poll, ONE, seed=1)


def test_every_pair_is_compared_in_both_orders() -> None:
    cards = [card(n) for n in (3, 1, 2)]
    asked = opening_of(cards, PAIRWISE.scheme)
    shown = sorted(question.order[:2] for question in asked)
    assert shown == sorted(permutations((1, 2, 3), 2))


def test_the_first_card_stands_first_in_the_prompt() -> None:
    one = stand()
    Comparison(first=card(8), second=card(2)).ask(one.client)
    (asked,) = one.asked
    assert asked.user.index("Hook 8.") < asked.user.index("Hook 2.")
    assert "article_id" not in asked.user
    assert asked.body["temperature"] > 0


@pytest.mark.parametrize("preset", [FULL, SHORT])
def test_each_round_of_a_pair_is_a_sample_of_its_own(preset: Preset) -> None:
    one = stand(preset=preset)
    for number in (1, 2):
        pair = Comparison(first=card(8), second=card(2), round_number=number)
        pair.ask(one.client)
    assert [a.key for a in one.asked] == [("score", "8-2", 1), ("score", "8-2", 2)]
    first, second = (asked.body for asked in one.asked)
    assert first["seed"] != second["seed"]


def test_all_criteria_are_judged_in_one_call() -> None:
    one = stand(lambda _asked: verdict("A", originality="tie", memorability="B"))
    verdict_ = Comparison(first=card(1), second=card(2)).ask(one.client)
    assert len(one.asked) == 1
    assert verdict_["hook_strength"] == 1.0
    assert (verdict_["originality"], verdict_["memorability"]) == (0.5, 0.0)


def test_a_mean_is_one_plus_nine_times_the_share_of_points_won() -> None:
    table = {(1, 2): 1.0, (2, 1): 0.0, (1, 3): 0.5, (3, 1): 0.5, (2, 3): 0.0}
    scores = scores_of(3, table | {(3, 2): 1.0})
    # Points: card 1 has 3 of 4, card 2 none, card 3 has 3 of 4.
    assert [s.criteria[NAME].mean for s in scores] == [7.75, 1.0, 7.75]
    assert [s.criteria[NAME].spread for s in scores] == [2.25, 0.0, 2.25]
    assert [(s.votes, s.abstained) for s in scores] == [(4, 0)] * 3
    first, second, third = (s.overall for s in scores)
    assert first == third > 7 > 2 > second > 1


def test_the_better_card_wins_over_a_whole_field() -> None:
    one = stand(by_strength)
    scores = judge_all_cards([card(n) for n in (2, 1, 3)], PAIRWISE, client=one.client)
    second, first, third = scores
    assert [s.article_id for s in scores] == [2, 1, 3]
    assert first.overall > 8.5 > second.overall == 5.5 > 2.5 > third.overall


def test_a_judge_who_always_prefers_the_first_place_gives_only_ties() -> None:
    one = stand(lambda _asked: verdict("A"))
    scores = judge_all_cards([card(n) for n in (1, 2, 3)], PAIRWISE, client=one.client)
    assert {s.overall for s in scores} == {5.5}


def test_a_failed_comparison_is_missing_not_lost() -> None:
    def answer(asked: Asked) -> Any:
        refused = refuse(("score", "1-2"), ("score", "2-1"))(asked)
        return refused or by_strength(asked)

    one = stand(answer)
    scores = judge_all_cards([card(n) for n in (1, 2, 3)], PAIRWISE, client=one.client)
    # Card 2 only met card 3, and won, as card 1 did.
    first, second, third = scores
    assert [s.article_id for s in scores] == [1, 2, 3]
    assert first.overall == second.overall > third.overall
    assert [(s.votes, s.abstained) for s in scores] == [(2, 2), (2, 2), (4, 0)]


def test_a_card_whose_comparisons_all_failed_has_no_score() -> None:
    one = stand(
        refuse(("score", "1-2"), ("score", "2-1"), ("score", "1-3"), ("score", "3-1"))
    )
    scores = judge_all_cards([card(n) for n in (1, 2, 3)], PAIRWISE, client=one.client)
    assert [s.article_id for s in scores] == [2, 3]


def test_one_card_alone_is_compared_with_nothing_and_has_no_score() -> None:
    one = stand()
    assert judge_all_cards([card(1)], PAIRWISE, client=one.client) == []
    assert one.asked == []


@given(
    table=st.dictionaries(
        st.sampled_from(list(permutations(range(1, 5), 2))),
        st.sampled_from([0.0, 0.5, 1.0]),
    )
)
@settings(max_examples=25)
def test_points_are_shared_out_and_every_mean_is_on_the_scale(
    table: dict[tuple[int, int], float],
) -> None:
    scores = scores_of(4, table)
    assert all(1.0 <= s.overall <= 10.0 for s in scores)
    won = sum((s.criteria[NAME].mean - 1) / 9 * s.criteria[NAME].votes for s in scores)
    assert won == pytest.approx(len(table), abs=0.01)
    assert sum(s.votes for s in scores) == 2 * len(table)


def test_the_short_form_gives_the_same_kind_of_verdict() -> None:
    one = stand(lambda _asked: dict.fromkeys(CRITERIA_NAMES, "B"), preset=SHORT)
    pair = Comparison(first=card(1), second=card(2))
    assert set(pair.ask(one.client).values()) == {0.0}


def test_a_winner_who_was_not_shown_is_asked_again() -> None:
    replies = iter([verdict("C"), verdict("tie")])
    one = stand(lambda _asked: next(replies))
    pair = Comparison(first=card(1), second=card(2))
    assert set(pair.ask(one.client).values()) == {0.5}
    assert len(one.asked) == 2
