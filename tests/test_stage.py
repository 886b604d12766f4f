"""Tasks of a run: limits, who is told, and how a run ends early."""

import threading
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from parallel.limiter import Limiter
from parallel.scheduler import Task
from parallel.stage import Concurrency, ParallelStage, limit_for
from pipeline.errors import (
    BudgetSpent,
    EndpointRejected,
    Interrupted,
    ItemRejected,
    SettingsError,
)
from pipeline.models.presets import Preset
from pipeline.records import ArticleCandidate
from pipeline.work import NOBODY, Item, Watch
from tests.stage_fakes import FAILSAFE_S, candidate
from tests.task_fakes import Crowd, limited


def task(
    number: int, run: Any = None, *, stage: str = "score", key: Any = None
) -> Task:
    return Task(
        key=key or Item(stage, f"item {number}"),
        rank=(number,),
        stage=stage,
        run=run or (lambda: number),
    )


def raising(error: Exception) -> Any:
    def run() -> object:
        raise error

    return run


def test_results_are_joined_by_item_and_failed_ones_are_left_out() -> None:
    told: list[str] = []
    watch = Watch(
        on_done=lambda stage, name: told.append(f"{stage} {name}"),
        on_failed=lambda stage, name, error: told.append(f"{stage} {name}: {error}"),
    )
    tasks = [task(1), task(2, raising(ItemRejected("no"))), task(3)]
    results = Concurrency(max_tasks=1).run(tasks, watch=watch)
    assert results == {Item("score", "item 1"): 1, Item("score", "item 3"): 3}
    assert told == ["score item 1", "score item 2: no", "score item 3"]


def test_a_draft_is_handed_over_as_soon_as_it_is_there() -> None:
    told: list[str] = []
    watch = Watch(
        on_candidate=lambda made: told.append(f"draft {made.article_id}"),
        on_done=lambda _stage, name: told.append(name),
    )

    def write() -> ArticleCandidate:
        return candidate(5)

    limited(1).run([task(5, write, stage="generate")], watch=watch)
    assert told == ["draft 5", "item 5"]


@pytest.mark.parametrize("most", [0, -2])
def test_a_limit_under_which_nothing_could_start_is_refused(most: int) -> None:
    named = f"max_concurrent_requests must be at least 1, got {most}"
    with pytest.raises(SettingsError, match=named):
        Concurrency(max_tasks=most)


def test_total_and_stage_limits_hold_together() -> None:
    whole, extract = Crowd(4), Crowd(2)

    def extraction() -> None:
        with whole.inside(), extract.inside():
            pass

    def vote() -> None:
        with whole.inside():
            pass

    tasks = [task(n, extraction, stage="extract") for n in range(8)]
    tasks += [task(n, vote) for n in range(8, 20)]
    limited(4, {"extract": 2}).run(tasks, watch=NOBODY)
    assert whole.peak <= 4
    assert extract.peak <= 2


def test_as_many_go_at_once_as_are_allowed() -> None:
    together = threading.Barrier(4)
    run = partial(together.wait, FAILSAFE_S)
    limited(4).run([task(n, run) for n in range(4)], watch=NOBODY)
    assert not together.broken


@pytest.mark.parametrize("error", [EndpointRejected("quota"), BudgetSpent("spent")])
def test_what_ends_the_run_is_raised_and_is_no_item_s_failure(error: Exception) -> None:
    failed: list[str] = []
    watch = Watch(on_failed=lambda _stage, name, _error: failed.append(name))
    started: list[int] = []
    tasks = [task(n, partial(started.append, n)) for n in range(2, 9)]
    with pytest.raises(type(error)):
        Concurrency(max_tasks=1).run([task(1, raising(error)), *tasks], watch=watch)
    assert (failed, started) == ([], [])


def test_a_stopped_run_is_an_interrupted_one() -> None:
    stop = threading.Event()
    started: list[int] = []
    tasks = [task(1, stop.set), task(2, partial(started.append, 2))]
    with pytest.raises(Interrupted):
        Concurrency(max_tasks=1, stop=stop).run(tasks, watch=NOBODY)
    assert started == []


def test_the_end_of_a_run_ends_the_sleep_of_its_calls() -> None:
    limiter = Limiter(2)
    endpoint = limiter.endpoint("")
    tasks = [
        task(1, partial(endpoint.sleep, 1000.0)),
        task(2, raising(EndpointRejected("quota"))),
    ]
    with pytest.raises(EndpointRejected):
        Concurrency(limiter=limiter).run(tasks, watch=NOBODY)


def test_presets_of_one_model_at_one_endpoint_share_a_limit() -> None:
    limiter = Limiter(8)
    preset = Preset(name="a", base_url="http://x/v1", model="m", max_concurrent=3)
    other = replace(preset, name="b")
    assert limit_for(limiter, preset) is limit_for(limiter, other)
    assert limiter.snapshots()[0].name == "m at http://x/v1"
    assert limiter.snapshots()[0].limit == 3
    assert limit_for(limiter, replace(preset, model="n")) is not limit_for(
        limiter, preset
    )


def test_a_stage_without_a_client_shares_the_limiter_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preset = Preset(name="a", base_url="http://x/v1", model="m")
    limits: list[object] = []
    monkeypatch.setattr(
        "parallel.stage.default_client", lambda make: limits.append(make(preset))
    )
    for stage in (ParallelStage(), ParallelStage(3)):
        assert stage.client is None
    assert len(limits) == 2
    assert limits[0] is limits[1]


def test_a_key_that_is_no_item_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError):
        limited(1).run([task(1, key="item 1")], watch=NOBODY)
