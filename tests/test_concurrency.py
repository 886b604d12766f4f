"""Tasks of a run: limits, who is told, and how a run ends early."""

import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest

from parallel.concurrency import Concurrency
from parallel.limiter import Limiter
from parallel.scheduler import Task
from pipeline.errors import (
    BudgetSpent,
    EndpointRejected,
    Interrupted,
    ItemRejected,
    SettingsError,
)
from pipeline.items import NOBODY, Item, Watch
from pipeline.records import ArticleCandidate
from tests.stage_fakes import FAILSAFE_S, Crowd, candidate


def nothing_follows(_result: object) -> Iterable[Task]:
    return ()


def task(
    number: int, run: Any = None, *, stage: str = "score", key: Any = None
) -> Task:
    return Task(
        key=key or Item(stage, f"item {number}"),
        rank=(number,),
        group=stage,
        lane="",
        run=run or (lambda: number),
        then=nothing_follows,
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
    results = Concurrency(max_in_flight=1).run(tasks, watch=watch)
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

    Concurrency().run([task(5, write, stage="generate")], watch=watch)
    assert told == ["draft 5", "item 5"]


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"max_in_flight": 0}, "max_concurrent_requests must be at least 1, got 0"),
        ({"stage_limits": {"score": -1}}, "score must be at least 1, got -1"),
    ],
)
def test_a_limit_under_which_nothing_could_start_is_refused(
    limits: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        Concurrency(**limits)


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
    Concurrency(max_in_flight=4, stage_limits={"extract": 2}).run(tasks, watch=NOBODY)
    assert whole.peak <= 4
    assert extract.peak <= 2


def test_as_many_go_at_once_as_are_allowed() -> None:
    together = threading.Barrier(4)
    run = partial(together.wait, FAILSAFE_S)
    Concurrency(max_in_flight=4).run([task(n, run) for n in range(4)], watch=NOBODY)
    assert not together.broken


@pytest.mark.parametrize("error", [EndpointRejected("quota"), BudgetSpent("spent")])
def test_what_ends_the_run_is_raised_and_is_no_item_s_failure(error: Exception) -> None:
    failed: list[str] = []
    watch = Watch(on_failed=lambda _stage, name, _error: failed.append(name))
    started: list[int] = []
    tasks = [task(n, partial(started.append, n)) for n in range(2, 9)]
    with pytest.raises(type(error)):
        Concurrency(max_in_flight=1).run([task(1, raising(error)), *tasks], watch=watch)
    assert (failed, started) == ([], [])


def test_a_stopped_run_is_an_interrupted_one() -> None:
    stop = threading.Event()
    started: list[int] = []
    tasks = [task(1, stop.set), task(2, partial(started.append, 2))]
    with pytest.raises(Interrupted):
        Concurrency(max_in_flight=1, stop=stop).run(tasks, watch=NOBODY)
    assert started == []


def test_the_limiter_wakes_the_run_and_is_let_go_of_afterwards() -> None:
    limiter = Limiter(2)
    heard: list[bool] = []
    tasks = [task(1, lambda: heard.append(limiter.on_change is not None))]
    Concurrency(max_in_flight=2, limiter=limiter).run(tasks, watch=NOBODY)
    assert heard == [True]
    assert limiter.on_change is None


def test_a_key_that_is_no_item_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError):
        Concurrency().run([task(1, key="item 1")], watch=NOBODY)
