"""SCORE: votes and what they add up to."""

from typing import Any

from pipeline.criteria import CRITERIA
from pipeline.prompts.documents import ranked
from pipeline.score import score_all_cards_with_voting
from pipeline.work import Watch
from tests.stage_fakes import (
    SHORT,
    Asked,
    card,
    refuse,
    stand,
)


def test_a_failed_vote_is_an_abstention_of_that_card_alone() -> None:
    one = stand(refuse(("score", "2", 1), ("score", "2", 3)))
    failed: list[str] = []
    watch = Watch(on_failed=lambda stage, name, _e: failed.append(f"{stage}: {name}"))
    cards = [card(n) for n in (1, 2, 3)]
    scores = score_all_cards_with_voting(
        cards, CRITERIA, client=one.client, watch=watch
    )
    assert [(s.article_id, s.votes, s.abstained) for s in scores] == [
        (1, 3, 0),
        (2, 1, 2),
        (3, 3, 0),
    ]
    assert failed == ["score: vote 1 on card 2", "score: vote 3 on card 2"]


def test_a_card_whose_votes_all_failed_has_no_score_and_is_ranked_last() -> None:
    one = stand(refuse(("score", "1")))
    cards = [card(n) for n in (1, 2)]
    scores = score_all_cards_with_voting(cards, CRITERIA, client=one.client)
    assert [s.article_id for s in scores] == [2]
    assert [(c.article_id, s is None) for c, s in ranked(cards, scores)] == [
        (2, False),
        (1, True),
    ]


def requests(run_seed: int = 0) -> list[Asked]:
    one = stand(run_seed=run_seed)
    score_all_cards_with_voting([card(1), card(2)], CRITERIA, 4, client=one.client)
    return one.asked


def test_votes_are_independent_samples() -> None:
    asked = requests()
    assert len({each.body["seed"] for each in asked}) == 8
    assert all(each.body["temperature"] > 0 for each in asked)
    prompts = {each.item_id: each.user for each in asked}
    assert [each.user for each in asked] == [prompts[each.item_id] for each in asked]


def test_short_votes_are_independent_samples_too() -> None:
    one = stand(preset=SHORT)
    score_all_cards_with_voting([card(1)], CRITERIA, 3, client=one.client)
    assert len({each.body["seed"] for each in one.asked}) == 3
    assert all(each.body["temperature"] > 0 for each in one.asked)


def test_the_same_run_seed_sends_the_same_requests_and_another_does_not() -> None:
    def bodies(run_seed: int) -> list[Any]:
        return [each.body for each in requests(run_seed)]

    assert bodies(1) == bodies(1)
    assert {b["seed"] for b in bodies(1)}.isdisjoint(b["seed"] for b in bodies(2))


def test_scores_come_in_card_order_whatever_their_ids() -> None:
    one = stand()
    cards = [card(n) for n in (5, 2, 9)]
    scores = score_all_cards_with_voting(cards, CRITERIA, 1, client=one.client)
    assert [s.article_id for s in scores] == [5, 2, 9]
