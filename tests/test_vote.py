"""One vote: what the judge sees, and what is taken of the answer."""

from typing import Any

import pytest

from pipeline.criteria import CRITERIA
from pipeline.errors import UnreadableReply
from pipeline.models.presets import Preset
from pipeline.score import score_article_card
from tests.stage_fakes import CRITERIA_NAMES, FULL, SHORT, card, stand


def vote(**marks: int) -> dict[str, Any]:
    return {
        name: {"justification": f"why {name}", "score": marks.get(name, 5)}
        for name in CRITERIA_NAMES
    }


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


def test_a_judge_sees_the_card_and_no_id_that_tells_the_order() -> None:
    one = stand()
    score_article_card(card(31), CRITERIA, client=one.client)
    shown = one.asked[0].user
    assert "Hook 31." in shown
    assert "Weakness 31." in shown
    assert "article_id" not in shown


@pytest.mark.parametrize("preset", [FULL, SHORT])
def test_each_vote_is_a_sample_of_its_own(preset: Preset) -> None:
    one = stand(preset=preset)
    for number in (1, 2):
        score_article_card(card(3), CRITERIA, number, client=one.client)
    assert [asked.key for asked in one.asked] == [("score", "3", 1), ("score", "3", 2)]
    first, second = (asked.body for asked in one.asked)
    assert first["seed"] != second["seed"]
    assert first["temperature"] == second["temperature"] > 0


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
