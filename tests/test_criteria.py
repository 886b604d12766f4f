"""The seven criteria and their weights."""

import pytest

from pipeline.criteria import CRITERIA, rubric, weighted_mean

WEIGHTS = {
    "hook_strength": 0.15,
    "argument_clarity": 0.20,
    "evidence_quality": 0.15,
    "structural_coherence": 0.15,
    "originality": 0.15,
    "memorability": 0.10,
    "actionability": 0.10,
}


def test_the_criteria_and_weights_are_the_agreed_ones() -> None:
    assert {c.name: c.weight for c in CRITERIA} == WEIGHTS
    assert sum(c.weight for c in CRITERIA) == pytest.approx(1.0)


def test_the_weighted_mean_of_hand_computed_numbers() -> None:
    # .15*1 + .20*2 + .15*3 + .15*4 + .15*5 + .10*6 + .10*7
    means = dict(zip(WEIGHTS, [1, 2, 3, 4, 5, 6, 7], strict=True))
    assert weighted_mean(means, CRITERIA) == 3.65


def test_fewer_criteria_are_weighted_among_themselves() -> None:
    two = CRITERIA[:2]  # .15 and .20
    assert weighted_mean({two[0].name: 10, two[1].name: 3}, two) == 6.0


def test_judges_read_every_criterion_with_both_anchors_and_no_weight() -> None:
    text = rubric(CRITERIA)
    for criterion in CRITERIA:
        assert criterion.name in text
        assert criterion.low in text
        assert criterion.high in text
        assert f"{criterion.weight}" not in text
    assert [text.index(c.name + ":") for c in CRITERIA] == sorted(
        text.index(c.name + ":") for c in CRITERIA
    )
