"""Sums over calls: tokens, money, seconds, and what is only guessed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.metrics import (
    CallMeasure,
    PipelineMetrics,
    StageMetrics,
    Usage,
    _Covered,
    estimated_tokens,
    estimated_usage,
    process_metrics,
    track_llm_call,
)
from tests.fakes import FAILSAFE_S


def a_call(**changed: Any) -> CallMeasure:
    values: dict[str, Any] = {
        "stage": "score",
        "model": "m",
        "usage": Usage(prompt_tokens=10, completion_tokens=5),
        "seconds": 2.0,
        "cost": 0.25,
        "ended_s": 100.0,
    }
    return CallMeasure(**{**values, **changed})


def summed(*calls: CallMeasure) -> StageMetrics:
    metrics = PipelineMetrics()
    for call in calls:
        metrics.record_call(call)
    return metrics.snapshot().total


def test_calls_are_summed_by_stage_and_model_in_the_order_they_came() -> None:
    metrics = PipelineMetrics()
    for stage, model in [("score", "a"), ("extract", "b"), ("score", "b")]:
        metrics.record_call(a_call(stage=stage, model=model))
    snapshot = metrics.snapshot()
    assert {name: stage.calls for name, stage in snapshot.stages.items()} == {
        "score": 2,
        "extract": 1,
    }
    assert list(snapshot.stages) == ["score", "extract"]
    assert {name: model.calls for name, model in snapshot.models.items()} == {
        "a": 1,
        "b": 2,
    }
    assert snapshot.total.prompt_tokens == 30


def test_requests_beyond_the_first_are_retries() -> None:
    total = summed(a_call(requests=4), a_call(requests=1), a_call(is_ok=False))
    assert (total.requests, total.retries, total.failed) == (6, 3, 1)


def test_one_unknown_price_makes_the_cost_unknown() -> None:
    assert summed(a_call(), a_call()).known_cost == 0.5
    total = summed(a_call(), a_call(cost=None))
    assert total.known_cost is None
    assert total.as_dict()["cost"] == "unknown"


def test_a_cost_of_nothing_is_known() -> None:
    assert summed(a_call(cost=0.0)).known_cost == 0.0


def test_one_estimate_marks_the_sum() -> None:
    guessed = a_call(usage=estimated_usage("one two three", "four"))
    assert not summed(a_call()).tokens_estimated
    assert summed(a_call(), guessed).tokens_estimated
    assert (a_call().usage + guessed.usage).is_estimate


def test_a_replayed_call_has_its_tokens_and_cost_and_no_time_now() -> None:
    total = summed(a_call(is_replayed=True, requests=3, seconds=9.0))
    assert (total.calls, total.replayed) == (1, 1)
    assert (total.prompt_tokens, total.known_cost) == (10, 0.25)
    assert (total.requests, total.retries) == (0, 0)
    assert (total.call_seconds, total.wall_seconds) == (0.0, 0.0)


def test_wall_seconds_are_those_in_which_any_call_was_under_way() -> None:
    spans = [(0.0, 10.0), (5.0, 12.0), (6.0, 7.0), (20.0, 21.0)]
    total = summed(*(a_call(seconds=b - a, ended_s=b) for a, b in spans))
    assert total.wall_seconds == 13.0
    assert total.call_seconds == 19.0


SPANS = st.tuples(st.integers(0, 60), st.integers(1, 20))


@given(st.lists(SPANS, max_size=12))
def test_wall_seconds_are_the_union_of_spans(spans: list[tuple[int, int]]) -> None:
    seconds = {second for start, size in spans for second in range(start, start + size)}
    calls = [a_call(seconds=size, ended_s=start + size) for start, size in spans]
    assert summed(*calls).wall_seconds == len(seconds)


def test_the_speedup_is_the_seconds_of_calls_over_the_wall() -> None:
    metrics = PipelineMetrics()
    assert metrics.snapshot().total.speedup is None
    for _ in range(4):
        metrics.record_call(a_call())
    assert metrics.snapshot().total.speedup == 4.0


def test_what_calls_wait_for_their_first_piece_is_no_speedup() -> None:
    # Four calls at a server that answers one at a time, for 2 s each.
    total = summed(
        *(
            a_call(seconds=2.0 * n, waited_s=2.0 * (n - 1), ended_s=100.0 + 2 * n)
            for n in (1, 2, 3, 4)
        )
    )
    assert (total.call_seconds, total.waited_seconds) == (20.0, 12.0)
    assert total.speedup == 1.0


def test_spans_of_any_number_take_no_more_room() -> None:
    metrics = PipelineMetrics()
    for number in range(20_000):
        metrics.record_call(a_call(seconds=1.0, ended_s=3.0 * number))
    total = metrics.snapshot().total
    assert (total.calls, total.wall_seconds) == (20_000, 20_000.0)
    assert len(metrics._total._covered._spans) <= 512


def test_a_span_that_joins_others_is_counted_once() -> None:
    covered = _Covered()
    for start, end in [(0, 1), (4, 5), (8, 9), (0.5, 8.5), (2, 3), (9, 9), (10, 12)]:
        covered.add(start, end)
    assert covered.seconds == 11.0


def test_a_call_longer_than_what_is_remembered_counts_from_there() -> None:
    covered = _Covered()
    for number in range(600):
        covered.add(2.0 * number, 2.0 * number + 1)
    covered.add(0.0, 1200.0)
    assert 600.0 < covered.seconds <= 1200.0


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("one", 2), ("one two three", 4), ("a b c d e f", 8)]
)
def test_tokens_are_guessed_from_words(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens


def test_calls_from_all_threads_are_counted() -> None:
    metrics = PipelineMetrics()
    start = threading.Barrier(8)

    def track() -> None:
        start.wait(FAILSAFE_S)
        for _ in range(500):
            track_llm_call("score", "one two three", "four", 0.5, metrics=metrics)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(track) for _ in range(8)]:
            done.result(FAILSAFE_S)
    total = metrics.snapshot().total
    assert (total.calls, total.prompt_tokens) == (4000, 16000)
    assert total.call_seconds == 2000.0
    assert total.known_cost is None
    assert total.tokens_estimated


def test_a_snapshot_does_not_change_afterwards() -> None:
    metrics = PipelineMetrics()
    before = metrics.snapshot()
    metrics.record_call(a_call())
    assert before.total.calls == 0
    assert metrics.snapshot().total.calls == 1


def test_callers_without_metrics_share_those_of_the_process() -> None:
    before = process_metrics().snapshot().total.calls
    track_llm_call("score", "in", "out", 0.1)
    assert process_metrics().snapshot().total.calls == before + 1


def test_sums_are_written_rounded_and_complete() -> None:
    written = summed(a_call(seconds=1.23456, cost=0.123456789)).as_dict()
    assert (written["call_seconds"], written["cost"]) == (1.235, 0.123457)
    assert set(written) == {
        *("calls", "failed", "replayed", "requests", "retries", "prompt_tokens"),
        *("completion_tokens", "tokens_estimated", "cost", "call_seconds"),
        *("waited_seconds", "wall_seconds", "cached_tokens", "cost_sources"),
    }
