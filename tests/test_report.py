"""What a user reads: tables that line up, and where a run fell short, first."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.estimate import StageEstimate
from pipeline.job import Job
from pipeline.llm.presets import BUILTIN_PRESET, Preset
from pipeline.metrics import NO_USAGE, CallMeasure, PipelineMetrics, Usage
from pipeline.records import ArticleCandidate, ArticleScore, Brief, FailedItem, Judged
from pipeline.report import (
    estimate_line,
    estimate_table,
    metrics_table,
    money,
    presets_table,
    summary,
    table,
)
from pipeline.result import Result

FOLDER = Path("outputs/2026-01-31/topic")
ROWS = [
    StageEstimate(
        stage="generate", calls=5, prompt_tokens=2000, completion_tokens=9000, cost=0.5
    ),
    StageEstimate(
        stage="score", calls=18, prompt_tokens=1, completion_tokens=1, cost=None
    ),
]


def a_result(*failed: FailedItem, **changed: Any) -> Result:
    job = Job(brief=Brief(topic="t"), plans=[], failed=lambda: list(failed))
    drafts = [
        ArticleCandidate(article_id=n, preset="p", model="m", text="x") for n in (1, 2)
    ]
    return Result(job=job, judged=Judged(drafts, [], []), **changed)


def a_score(overall: float) -> ArticleScore:
    return ArticleScore(article_id=3, criteria={}, overall=overall, votes=3)


@pytest.mark.parametrize(
    ("dollars", "shown"),
    [(None, "unknown"), (0, "$0.00"), (0.00123, "$0.0012"), (1.005, "$1.00")],
)
def test_money_keeps_the_digits_that_matter(dollars: float | None, shown: str) -> None:
    assert money(dollars) == shown


def test_columns_line_up() -> None:
    lines = table([["stage", "calls"], ["a", "1"], ["longer one", "100"]]).splitlines()
    assert lines == ["stage       calls", "a               1", "longer one    100"]


def test_the_plan_is_a_table_with_its_sum_and_unknown_costs() -> None:
    lines = estimate_table(ROWS).splitlines()
    assert " ".join(lines[0].split()) == "planned calls tokens in tokens out cost"
    assert lines[1].split() == ["generate", "5", "~2,000", "~9,000", "$0.5000"]
    assert lines[-1].split() == ["total", "23", "~2,001", "~9,001", "unknown"]


def test_the_plan_in_one_line() -> None:
    assert estimate_line(ROWS[:1]) == (
        "planned: 5 calls, about 11,000 tokens, cost $0.5000"
    )


def test_presets_are_shown_with_the_variable_of_their_key() -> None:
    away = Preset(name="p", base_url="https://x.example/v1", key_env="X_KEY")
    head, first, last = presets_table([away, BUILTIN_PRESET]).splitlines()
    assert head.startswith("preset")
    assert first.split()[-2:] == ["X_KEY", "unknown"]
    assert "this program" in last
    assert last.endswith("0/0")


def test_the_metrics_are_a_row_a_stage_and_a_sum() -> None:
    metrics = PipelineMetrics()
    for ended_s, stage in [(10.0, "extract"), (10.0, "extract"), (20.0, "score")]:
        metrics.record_call(
            CallMeasure(
                stage=stage,
                usage=Usage(
                    prompt_tokens=1500,
                    completion_tokens=5,
                    is_estimate=stage == "score",
                ),
                seconds=4.0,
                cost=None if stage == "score" else 0.25,
                requests=2,
                ended_s=ended_s,
            )
        )
    lines = [line.split() for line in metrics_table(metrics.snapshot()).splitlines()]
    assert " ".join(lines[1]) == "extract 2 $0.5000 2 3,000 10 8.0 4.0 2.0x"
    assert lines[2][2] == "unknown"
    assert lines[2][4] == "~1,500"
    assert " ".join(lines[-1]) == "total 3 unknown 3 ~4,500 ~15 12.0 8.0 1.5x"


def test_an_empty_run_has_a_table_too() -> None:
    assert metrics_table(PipelineMetrics().snapshot()).splitlines()[-1].endswith("-")


def test_an_article_is_reported_with_its_score_against_the_best_draft() -> None:
    result = a_result(
        delivered="synthesis",
        article="x",
        best_draft=2,
        best_draft_score=7.0,
        final_score=a_score(7.5),
    )
    assert summary(result, path=FOLDER, article=FOLDER / "a.md").splitlines() == [
        f"article: {FOLDER}/a.md",
        "score: 7.50 of 10 from 3 votes, against 7.00 of the best draft (2)",
    ]


def test_where_the_run_fell_short_comes_first() -> None:
    result = a_result(
        FailedItem(item="vote 2 of card 1", reason="no JSON"),
        delivered="draft",
        article="x",
        best_draft=1,
        best_draft_score=6.0,
        notes=["the synthesis failed"],
    )
    lines = summary(result, path=FOLDER, article=FOLDER / "a.md").splitlines()
    assert lines[0] == "NOTE: the synthesis failed"
    assert lines[1].startswith("NOTE: 1 failed")
    assert lines[2] == "  vote 2 of card 1: no JSON"
    assert lines[3] == f"best draft: {FOLDER}/a.md"
    assert lines[4] == "score: 6.00 of 10 (draft 1)"


def test_drafts_alone_are_counted_and_found() -> None:
    assert summary(a_result(), path=FOLDER, article=None) == (
        f"2 drafts: {FOLDER}/candidates"
    )


def test_every_failure_is_listed_with_its_reason() -> None:
    failed = [FailedItem(item=f"card {n}", reason=f"no {n}") for n in range(9)]
    shown = summary(a_result(*failed), path=FOLDER, article=None)
    assert "NOTE: 9 failed" in shown
    for number in range(9):
        assert f"  card {number}: no {number}" in shown.splitlines()


def test_nothing_from_a_model_steers_the_terminal() -> None:
    hostile = "\x1b[2J\x07gone\u202e"
    result = a_result(FailedItem(item=hostile, reason=hostile), notes=[hostile])
    shown = summary(result, path=FOLDER, article=None)
    assert "gone" in shown
    assert not set(shown) & set("\x1b\x07\u202e")


def test_where_calls_share_cores_the_speedup_is_only_an_upper_bound() -> None:
    metrics = PipelineMetrics()
    for ended_s in (2.0, 2.0):
        metrics.record_call(
            CallMeasure(stage="score", usage=NO_USAGE, seconds=2.0, ended_s=ended_s)
        )
    assert " 2.0x" in metrics_table(metrics.snapshot())
    assert " <2.0x" in metrics_table(metrics.snapshot(), shares_cores=True)


def test_one_draft_of_one_is_no_best_draft() -> None:
    result = a_result()
    result.delivered, result.article = "draft", "x"
    shown = summary(result, path=FOLDER, article=FOLDER / "a.md")
    assert shown == f"draft: {FOLDER}/a.md"


def test_one_at_a_time_is_no_upper_bound() -> None:
    metrics = PipelineMetrics()
    metrics.record_call(
        CallMeasure(stage="score", usage=NO_USAGE, seconds=2.0, ended_s=2.0)
    )
    assert " 1.0x" in metrics_table(metrics.snapshot(), shares_cores=True)
