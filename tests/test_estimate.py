"""The plan of a run: calls that are made when nothing fails, and what they cost."""

from typing import Any

import pytest

from pipeline.estimate import (
    estimate,
    later_calls,
    planned_calls,
    remaining_after_failure,
    total,
)
from pipeline.llm.choice import Choice
from pipeline.llm.presets import BUILTIN_PRESET, Preset, Price
from pipeline.settings import Settings

PRICED = Preset(
    name="priced", base_url="http://x/v1", price=Price(input=1e6, output=1e6)
)
UNPRICED = Preset(name="unpriced", base_url="http://x/v1")
ALL_STAGES = [
    "generate",
    "extract",
    "score",
    "select",
    "synthesize",
    "validate",
    "gate",
]


def of(main: Preset, *writers: Preset, judges: tuple[Preset, ...] = ()) -> Choice:
    return Choice(main=main, why="test", writers=writers, judges=judges)


def of_a_run(**changed: Any) -> Settings:
    return Settings(**{"topic": "t", "iterations": 4, **changed})


@pytest.mark.parametrize(
    ("changed", "calls"),
    [
        ({}, [4, 5, 15, 1, 1, 1, 4]),
        ({"gate": False}, [4, 5, 15, 1, 1, 1]),
        ({"votes": 1}, [4, 5, 5, 1, 1, 1, 4]),
        ({"votes": "auto"}, [4, 5, 10, 1, 1, 1, 4]),
        ({"scoring_mode": "pairwise"}, [4, 4, 12, 1, 1, 1, 4]),
        ({"scoring_mode": "funnel"}, [4, 5, 15, 1, 1, 1, 4]),
        ({"scoring_mode": "funnel", "votes": "auto"}, [4, 5, 10, 1, 1, 1, 4]),
        ({"candidates": (("a", "x"), ("b", "y"))}, [0, 3, 9, 1, 1, 1, 4]),
        ({"synthesis": False}, [4]),
        ({"candidates_only": True}, [4]),
    ],
)
def test_calls_are_counted_by_stage(changed: dict[str, Any], calls: list[int]) -> None:
    planned = planned_calls(of_a_run(**changed))
    assert planned == dict(zip(ALL_STAGES, calls, strict=False))


def test_every_stage_has_a_row_and_the_total_sums_them() -> None:
    rows = estimate(of_a_run(), of(PRICED))
    assert [row.stage for row in rows] == ALL_STAGES
    whole = total(rows)
    assert whole.calls == whole.least_calls == 31
    assert whole.prompt_tokens == sum(row.prompt_tokens for row in rows) > 0
    # At a dollar a token, dollars are tokens.
    assert whole.cost == whole.prompt_tokens + whole.completion_tokens


def test_one_unknown_price_makes_the_total_unknown() -> None:
    rows = estimate(of_a_run(), of(PRICED, PRICED, UNPRICED))
    assert rows[0].cost is None
    assert rows[1].cost is not None
    assert total(rows).cost is None


def test_a_price_that_is_never_paid_need_not_be_known() -> None:
    given = of_a_run(candidates=(("a", "x"), ("b", "y")))
    assert total(estimate(given, of(PRICED, UNPRICED))).cost is not None


def test_writers_share_the_drafts_in_turn() -> None:
    free = Preset(name="free", base_url="http://x/v1", price=Price(input=0, output=0))
    settings = of_a_run(iterations=5, synthesis=False)
    (both,) = estimate(settings, of(PRICED, PRICED, free))
    (alone,) = estimate(of_a_run(iterations=3, synthesis=False), of(PRICED))
    assert both.calls == 5
    assert both.cost == alone.cost


def test_longer_articles_and_contexts_cost_more() -> None:
    plain = total(estimate(of_a_run(target_word_count=200), of(PRICED)))
    longer = total(estimate(of_a_run(target_word_count=2000), of(PRICED)))
    informed = of_a_run(target_word_count=200, context=("fact " * 500,))
    assert longer.completion_tokens > plain.completion_tokens
    assert total(estimate(informed, of(PRICED))).prompt_tokens > plain.prompt_tokens


def test_the_builtin_model_costs_nothing_and_is_asked_the_short_way() -> None:
    short, long = (
        total(estimate(of_a_run(target_word_count=200), of(preset)))
        for preset in (BUILTIN_PRESET, PRICED)
    )
    assert short.cost == 0
    assert short.prompt_tokens < long.prompt_tokens


@pytest.mark.parametrize(
    ("changed", "later"),
    [
        ({}, (0, 0)),
        ({"iterations": 15, "votes": "auto"}, (0, 24 + 8)),
        ({"scoring_mode": "pairwise", "votes": "auto"}, (0, 0)),
        ({"scoring_mode": "funnel", "iterations": 9}, (12, 12)),
        ({"scoring_mode": "funnel", "iterations": 3}, (6, 6)),
        ({"scoring_mode": "funnel", "iterations": 1}, (0, 0)),
    ],
)
def test_further_rounds_are_counted_from_least_to_most(
    changed: dict[str, Any], later: tuple[int, int]
) -> None:
    settings = of_a_run(**changed)
    assert later_calls(settings) == later
    row = next(r for r in estimate(settings, of(PRICED)) if r.stage == "score")
    assert row.calls == planned_calls(settings)["score"] + later[1]
    assert row.least_calls == planned_calls(settings)["score"] + later[0]


def test_judges_share_the_votes_in_turn() -> None:
    free = Preset(name="free", base_url="http://x/v1", price=Price(input=0, output=0))
    alone, shared = (
        next(r for r in estimate(of_a_run(), choice) if r.stage == "score")
        for choice in (of(PRICED), of(free, judges=(PRICED, free, free)))
    )
    assert alone.calls == shared.calls == 15
    assert alone.cost is not None
    assert shared.cost == alone.cost / 3


def test_a_failed_item_takes_its_later_work_away() -> None:
    run, pairs = of_a_run(votes=3), of_a_run(scoring_mode="pairwise")
    assert remaining_after_failure("generate", run) == {"extract": 1, "score": 3}
    assert remaining_after_failure("extract", run) == {"score": 3}
    assert remaining_after_failure("score", run) == {}
    assert remaining_after_failure("extract", pairs) == {"score": 0}
