"""SCORE: votes and what they add up to."""

from typing import Any

import pytest

from pipeline.criteria import CRITERIA
from pipeline.elements import ranked
from pipeline.errors import UnreadableReply
from pipeline.items import Watch
from pipeline.records import ArticleScore
from pipeline.score import (
    combine_votes,
    one_vote,
    score_all_cards_with_voting,
    score_article_card,
)
from tests.stage_fakes import (
    CRITERIA_NAMES,
    SHORT,
    Asked,
    card,
    refuse,
    stand,
)

TWO = CRITERIA[:2]  # weights .15 and .20


def vote(**marks: int) -> dict[str, Any]:
    return {
        name: {"justification": f"why {name}", "score": marks.get(name, 5)}
        for name in CRITERIA_NAMES
    }


def votes_of(*marks: tuple[int, int]) -> list[ArticleScore]:
    names = [criterion.name for criterion in TWO]
    return [one_vote(1, dict(zip(names, pair, strict=True)), TWO) for pair in marks]


def test_a_vote_has_the_model_s_marks_and_a_mean_of_our_own() -> None:
    lie = {"overall": 10, "article_id": 44, **vote(hook_strength=9, originality=1)}
    one = stand(lambda _asked: lie)
    score = score_article_card(card(3), CRITERIA, client=one.client)
    assert (score.article_id, score.votes, score.abstained) == (3, 1, 0)
    assert score.criteria["hook_strength"].mean == 9.0
    assert score.criteria["hook_strength"].spread == 0.0
    assert score.criteria["hook_strength"].justifications == ("why hook_strength",)
    # Nine at weight .15, one at .15, five at .70.
    assert score.overall == 5.0


def test_mean_spread_and_overall_of_hand_computed_votes() -> None:
    score = combine_votes(votes_of((4, 6), (7, 6), (10, 9)), TWO, asked=3)
    assert score is not None
    first, second = score.criteria.values()
    assert (first.mean, first.spread, first.votes) == (7.0, 2.449, 3)  # sqrt 6
    assert (second.mean, second.spread, second.votes) == (7.0, 1.414, 3)  # sqrt 2
    assert score.overall == 7.0
    assert (score.votes, score.abstained) == (3, 0)


def test_the_overall_mean_weighs_the_criteria() -> None:
    # Means of 4/3 at weight .15 and 5/3 at weight .20.
    score = combine_votes(votes_of((1, 1), (1, 2), (2, 2)), TWO, asked=3)
    assert score is not None
    assert [c.mean for c in score.criteria.values()] == [1.333, 1.667]
    assert score.overall == 1.524


def test_a_missing_vote_is_an_abstention_and_lowers_nothing() -> None:
    score = combine_votes(votes_of((8, 8)), TWO, asked=3)
    assert score is not None
    assert (score.overall, score.votes, score.abstained) == (8.0, 1, 2)


def test_without_any_vote_there_is_no_score() -> None:
    assert combine_votes([], TWO, asked=3) is None


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


def test_a_judge_sees_the_card_and_no_id_that_tells_the_order() -> None:
    one = stand()
    score_article_card(card(31), CRITERIA, client=one.client)
    shown = one.asked[0].user
    assert "Hook 31." in shown
    assert "Weakness 31." in shown
    assert "article_id" not in shown


@pytest.mark.parametrize("mark", [0, 11, -3, 7.5, "high", None])
def test_a_mark_outside_the_scale_is_asked_again(mark: object) -> None:
    wrong = vote()
    wrong["originality"]["score"] = mark
    replies = iter([wrong, vote()])
    one = stand(lambda _asked: next(replies))
    assert score_article_card(card(), CRITERIA, client=one.client).overall == 5.0
    assert "originality.score" in one.asked[1].user


def test_a_missing_criterion_is_asked_again_and_at_last_given_up() -> None:
    wrong = vote()
    del wrong["memorability"]
    one = stand(lambda _asked: wrong)
    with pytest.raises(UnreadableReply, match="memorability"):
        score_article_card(card(), CRITERIA, client=one.client)


def test_scores_come_in_card_order_whatever_their_ids() -> None:
    one = stand()
    cards = [card(n) for n in (5, 2, 9)]
    scores = score_all_cards_with_voting(cards, CRITERIA, 1, client=one.client)
    assert [s.article_id for s in scores] == [5, 2, 9]
