"""What a user reads: tables that line up, and where a run fell short, first."""

import pytest

from pipeline.front.estimate import StageEstimate
from pipeline.front.report import (
    estimate_line,
    estimate_table,
    metrics_table,
    money,
    presets_table,
    table,
)
from pipeline.metrics import NO_USAGE, CallMeasure, PipelineMetrics, Usage
from pipeline.models.presets import BUILTIN_PRESET, Preset

ROWS = [
    StageEstimate(
        stage="generate",
        calls=5,
        least_calls=5,
        prompt_tokens=2000,
        completion_tokens=9000,
        cost=0.5,
    ),
    StageEstimate(
        stage="score",
        calls=18,
        least_calls=10,
        prompt_tokens=1,
        completion_tokens=1,
        cost=None,
    ),
]


@pytest.mark.parametrize(
    ("dollars", "shown"),
    [(None, "unknown"), (0, "$0.00"), (0.00123, "$0.0012"), (1.005, "$1.00")],
)
def test_money_keeps_the_digits_that_matter(dollars: float | None, shown: str) -> None:
    assert money(dollars) == shown


def test_columns_line_up() -> None:
    lines = table([["stage", "calls"], ["a", "1"], ["longer one", "100"]]).splitlines()
    assert lines == ["stage       calls", "a               1", "longer one    100"]


def test_a_cell_of_several_lines_stays_in_its_row() -> None:
    assert table([["preset", "calls"], ["one\n two", "3"]]) == (
        "preset   calls\none two      3"
    )


def test_the_plan_is_a_table_with_its_sum_and_unknown_costs() -> None:
    models, plan = estimate_table(ROWS, [BUILTIN_PRESET]).split("\n\n")
    assert "smollm2-135m-instruct" in models
    assert models.endswith("on this machine")
    lines = plan.splitlines()
    assert " ".join(lines[0].split()) == "planned calls tokens in tokens out cost"
    assert lines[1].split() == ["generate", "5", "~2,000", "~9,000", "$0.5000"]
    assert lines[-1].split() == [
        "total",
        "15",
        "to",
        "23",
        "~2,001",
        "~9,001",
        "unknown",
    ]


def test_the_plan_in_one_line() -> None:
    assert estimate_line(ROWS[:1]) == (
        "planned: 5 calls, about 11,000 tokens, cost $0.5000"
    )
    assert estimate_line(ROWS) == (
        "planned: 15 to 23 calls, at most 11,002 tokens, cost unknown"
    )


def test_presets_are_shown_with_the_variable_of_their_key() -> None:
    away = Preset(name="p", base_url="https://x.example/v1", key_env="X_KEY")
    head, first, last = presets_table([away, BUILTIN_PRESET]).splitlines()
    assert head.startswith("preset")
    assert first.split()[-3:] == ["X_KEY", "unknown", "unknown"]
    assert "this program" in last
    assert last.endswith("0/0  on this machine")


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


def test_where_calls_only_waited_no_speedup_is_claimed() -> None:
    metrics = PipelineMetrics()
    for end in (2.0, 4.0):
        metrics.record_call(
            CallMeasure(
                stage="score",
                usage=NO_USAGE,
                seconds=end,
                waited_s=end - 1.0,
                ended_s=end,
            )
        )
    row = metrics_table(metrics.snapshot()).splitlines()[1]
    assert row.split()[-3:] == ["6.0", "4.0", "-"]


def test_where_calls_share_cores_the_speedup_is_only_an_upper_bound() -> None:
    metrics = PipelineMetrics()
    for ended_s in (2.0, 2.0):
        metrics.record_call(
            CallMeasure(stage="score", usage=NO_USAGE, seconds=2.0, ended_s=ended_s)
        )
    assert " 2.0x" in metrics_table(metrics.snapshot())
    assert " <2.0x" in metrics_table(metrics.snapshot(), shares_cores=True)


def test_one_at_a_time_is_no_upper_bound() -> None:
    metrics = PipelineMetrics()
    metrics.record_call(
        CallMeasure(stage="score", usage=NO_USAGE, seconds=2.0, ended_s=2.0)
    )
    assert " 1.0x" in metrics_table(metrics.snapshot(), shares_cores=True)
