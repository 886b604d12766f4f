"""
What the concurrent stages have in common: a client, who may start, and who is told.

It joins the scheduler, which knows nothing of articles, to the pipeline's items: a task's
key is its item, so results are joined by id and never by position. A stage makes tasks
and can run them alone; `flow.py` runs the tasks of all stages in one scheduler.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from parallel.errors import ThreadSafeErrorCollector, first_line
from parallel.limiter import EndpointLimiter, Limiter
from parallel.progress import ThreadSafeProgressTracker, write_above_bar
from parallel.scheduler import Scheduler, Stopped, Task
from pipeline.errors import Interrupted, SettingsError, ends_the_run
from pipeline.llm.client import ChatClient
from pipeline.llm.opening import MOST_OF_A_PROCESS, default_client
from pipeline.models.presets import Preset
from pipeline.records import ArticleCandidate
from pipeline.work import NOBODY, Item, Watch

T = TypeVar("T")
GENERATE_RANK, EXTRACT_RANK, SCORE_RANK = 0, 1, 2
"""Longest remaining path first: a candidate before an extraction before a vote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """Who may start: the run's `limiter`; or `max_tasks`, where calls are limited elsewhere."""

    limiter: Limiter | None = None
    max_tasks: int | None = None
    stop: threading.Event | None = None

    def __post_init__(self) -> None:
        """Refuse a limit under which nothing could start."""
        if self.max_tasks is not None and self.max_tasks < 1:
            message = (
                f"max_concurrent_requests must be at least 1, got {self.max_tasks};"
                " use 1 for one at a time"
            )
            raise SettingsError(message)

    def run(self, tasks: Iterable[Task], *, watch: Watch) -> dict[Item, Any]:
        """Results of the tasks that succeeded, by item.

        A failed task is reported and left out. Raises what ends the run, after the
        tasks under way have ended; Interrupted when it was stopped.
        """

        def on_done(task: Task, result: object) -> None:
            if isinstance(result, ArticleCandidate):
                watch.on_candidate(result)
            item = _item(task.key)
            watch.on_done(item.stage, item.name)

        def on_failed(task: Task, error: Exception) -> None:
            item = _item(task.key)
            if not ends_the_run(error):
                watch.on_failed(item.stage, item.name, error)

        def on_started(task: Task) -> None:
            item = _item(task.key)
            watch.on_started(item.stage, item.name)

        scheduler = Scheduler(
            limiter=self.limiter,
            max_tasks=self.max_tasks,
            is_fatal=ends_the_run,
            on_started=on_started,
            on_done=on_done,
            on_failed=on_failed,
            on_stopping=self.limiter.stop if self.limiter else None,
            stop=self.stop,
        )
        try:
            return {_item(key): value for key, value in scheduler.run(tasks).items()}
        except Stopped as error:
            message = "the run was stopped"
            raise Interrupted(message) from error


class ParallelStage:
    """One stage, at most `max_concurrent_requests` items at once.

    Failed items are left out of results; `errors` holds them all, in item order.
    """

    stage_name = ""

    def __init__(
        self,
        max_concurrent_requests: int = 5,
        verbose: bool = False,
        *,
        client: ChatClient | None = None,
        concurrency: Concurrency | None = None,
        watch: Watch = NOBODY,
    ) -> None:
        """Use `client`, or the process's, whose limiter all stages without one share.

        `verbose` writes a line to stderr for each item that ends.
        """
        self._given_client = client
        self._concurrency = concurrency or Concurrency(
            max_tasks=max_concurrent_requests
        )
        self._verbose = verbose
        self._watch = watch
        self.errors = ThreadSafeErrorCollector()

    @cached_property
    def client(self) -> ChatClient:
        """The client of every task; the process's where none was given."""
        if self._given_client is not None:
            return self._given_client
        limiter = _limiter_of_the_process()
        return default_client(lambda preset: limit_for(limiter, preset))

    def _run(self, tasks: Iterable[Task]) -> dict[Item, Any]:
        listed = list(tasks)
        tracker = ThreadSafeProgressTracker(len(listed), self.stage_name, self._verbose)

        def on_done(stage: str, name: str) -> None:
            tracker.update_progress(name, "done")
            self._watch.on_done(stage, name)

        def on_failed(stage: str, name: str, error: Exception) -> None:
            tracker.update_progress(name, "failed")
            self.errors.add_error(name, error)
            self._watch.on_failed(stage, name, error)

        watch = replace(self._watch, on_done=on_done, on_failed=on_failed)
        return self._concurrency.run(listed, watch=watch)


@lru_cache(maxsize=1)
def _limiter_of_the_process() -> Limiter:
    return Limiter(MOST_OF_A_PROCESS)


def limit_for(
    limiter: Limiter, preset: Preset, *, timeout_s: float | None = None
) -> EndpointLimiter:
    """The limit of a preset's calls; presets of one model at one endpoint share it."""
    return limiter.endpoint(
        f"{preset.model or 'the only model'} at {preset.base_url}",
        max_in_flight=preset.max_concurrent,
        requests_per_minute=preset.requests_per_minute,
        tokens_per_minute=preset.tokens_per_minute,
        timeout_s=timeout_s or preset.timeout_s,
    )


def told(work: Callable[[], T], *, name: str, verbose: bool) -> T:
    """What `work` gives, or its error; with a line on stderr of either, if `verbose`."""
    try:
        result = work()
    except Exception as error:
        if verbose:
            write_above_bar(f"{name}: failed: {first_line(str(error))}")
        raise
    if verbose:
        write_above_bar(f"{name}: done")
    return result


def _item(key: object) -> Item:
    if not isinstance(key, Item):
        raise TypeError(key)
    return key
