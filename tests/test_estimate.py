"""The plan of a run: calls that are made when nothing fails, and what they cost."""

from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from parallel.progress import ProgressBoard
from pipeline.errors import ItemRejected, PipelineError
from pipeline.front.estimate import (
    estimate,
    later_calls,
    planned_calls,
    remaining_after_failure,
    total,
)
from pipeline.job import job_from
from pipeline.models.presets import BUILTIN_PRESET, Preset
from pipeline.models.prices import Price
from pipeline.models.run_models import Choice
from pipeline.run import draft_and_judge, run_pipeline
from pipeline.settings import Settings
from pipeline.work import Item, Watch
from tests.loopback_service import chance_of
from tests.stage_fakes import FULL, SEEDS, Asked, Kept, stand

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


DRAFT, CARD = Item("generate", "candidate 1"), Item("extract", "card 1")
THE_REST = {"select": 1, "synthesize": 1, "validate": 1, "gate": 4}


@pytest.mark.parametrize(
    ("item", "failed", "votes", "pairs"),
    [
        (DRAFT, {}, {"extract": 1, "score": 3}, {"extract": 1, "score": 6}),
        (CARD, {}, {"score": 3}, {"score": 6}),
        (CARD, {"generate": 1}, {"score": 3}, {"score": 4}),
        # One card alone is not chosen from: there is no article to be judged.
        (
            CARD,
            {"generate": 1, "extract": 1},
            {"extract": 1, "score": 6, **THE_REST},
            {"score": 2, **THE_REST},
        ),
        (CARD, {"generate": 2, "extract": 1}, {"score": 3}, {}),
        (Item("extract", "card 5"), {}, {"score": 3}, {}),  # of the article
        (Item("synthesize", "attempt 2"), {}, {}, {}),
        (Item("score", "vote 1 on card 1"), {}, {}, {}),
    ],
)
def test_a_failed_item_takes_its_later_work_away(
    item: Item, failed: dict[str, int], votes: dict[str, int], pairs: dict[str, int]
) -> None:
    lost = partial(remaining_after_failure, item, failed)
    assert lost(of_a_run(votes=3)) == votes
    assert lost(of_a_run(scoring_mode="pairwise")) == pairs


def test_a_draft_that_is_not_judged_takes_nothing_away() -> None:
    assert remaining_after_failure(DRAFT, {}, of_a_run(candidates_only=True)) == {}


RUNS = st.fixed_dictionaries(
    {
        "iterations": st.integers(1, 5),
        "scoring_mode": st.sampled_from(["absolute", "pairwise", "funnel"]),
        "votes": st.sampled_from([1, 2, "auto"]),
        "gate": st.booleans(),
        "synthesis_retries": st.just(1),
        "target_word_count": st.just(60),
    }
)
LOST = st.fixed_dictionaries(
    {stage: st.sampled_from([0.0, 0.4]) for stage in ("generate", "extract", "score")}
    | {stage: st.sampled_from([0.0, 0.3]) for stage in ("select", "synthesize", "gate")}
)


@given(RUNS, LOST, SEEDS)
@hypothesis_settings(max_examples=60)
def test_at_the_end_of_a_run_as_many_items_are_finished_as_were_expected(
    changed: dict[str, Any], lost: dict[str, float], seed: int
) -> None:
    def answer(asked: Asked) -> Any:
        if chance_of(seed, *asked.key, asked.attempt) < lost.get(asked.stage, 0.0):
            return ItemRejected("lost")
        # Of other words than the blueprint's: it takes every attempt.
        return "# Else\n\nWords." if asked.stage == "synthesize" else None

    settings, client = Settings(topic="t", **changed), stand(answer).client
    board = ProgressBoard(
        planned_calls(settings),
        lost_with=partial(remaining_after_failure, settings=settings),
    )
    watch = Watch(
        on_started=board.note_started,
        on_done=board.note_done,
        on_failed=lambda stage, name, _error: board.note_failed(stage, name),
        on_more=board.note_more,
    )
    job = job_from(settings, of(FULL), list)
    judge = partial(draft_and_judge, judging=job.judging, client=client, watch=watch)
    with suppress(PipelineError):  # not one draft
        run_pipeline(job, judge, outputs=Kept(), client=client, watch=watch)
    counts = {each.stage_name: each for each in board.snapshot()}
    assert {name: c.total for name, c in counts.items()} == {
        name: c.finished for name, c in counts.items()
    }
