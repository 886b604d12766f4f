"""
How many tasks of a run go at once, and who is told what became of them.

It joins the scheduler, which knows nothing of articles, to the pipeline's items. A
task's key is its item, so results are joined by id and never by position.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from parallel.limiter import Limiter
from parallel.scheduler import Scheduler, Stopped, Task
from pipeline.errors import Interrupted, SettingsError, ends_the_run
from pipeline.items import Item, Watch
from pipeline.records import ArticleCandidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """Limits on calls in flight, in total and by stage; the limiter may allow less."""

    max_in_flight: int = 5
    stage_limits: Mapping[str, int] = field(default_factory=dict)
    limiter: Limiter | None = None
    stop: threading.Event | None = None
    on_tick: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        """Refuse a limit under which nothing could start."""
        for name, limit in {
            "max_concurrent_requests": self.max_in_flight,
            **self.stage_limits,
        }.items():
            if limit < 1:
                message = (
                    f"{name} must be at least 1, got {limit}; use 1 for one at a time"
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
            item = _item(task)
            watch.on_done(item.stage, item.name)

        def on_failed(task: Task, error: Exception) -> None:
            item = _item(task)
            if not ends_the_run(error):
                watch.on_failed(item.stage, item.name, error)

        limiter = self.limiter
        scheduler = Scheduler(
            max_in_flight=self.max_in_flight,
            group_limits=dict(self.stage_limits),
            room=limiter.room if limiter else None,
            extra_room=limiter.sleeping if limiter else None,
            is_fatal=ends_the_run,
            on_started=lambda task: watch.on_started(
                _item(task).stage, _item(task).name
            ),
            on_done=on_done,
            on_failed=on_failed,
            on_stopping=limiter.stop if limiter else None,
            on_tick=self.on_tick,
            stop=self.stop,
        )
        if limiter is not None:
            limiter.on_change = scheduler.wake
        try:
            return {_item_of(key): value for key, value in scheduler.run(tasks).items()}
        except Stopped as error:
            message = "the run was stopped"
            raise Interrupted(message) from error
        finally:
            if limiter is not None:
                limiter.on_change = None


def _item(task: Task) -> Item:
    return _item_of(task.key)


def _item_of(key: object) -> Item:
    if not isinstance(key, Item):
        raise TypeError(key)
    return key
