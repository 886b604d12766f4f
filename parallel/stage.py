"""
What the concurrent stages have in common: a client, limits, and who is told.

A stage makes tasks and can run them alone; `flow.py` runs the tasks of all stages in
one scheduler.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

from parallel.concurrency import Concurrency
from parallel.errors import ThreadSafeErrorCollector
from parallel.lane_gate import gate_for
from parallel.limiter import Limiter
from parallel.progress import Bar, ThreadSafeProgressTracker
from parallel.scheduler import Task
from pipeline.items import NOBODY, Item, Watch
from pipeline.llm.client import ChatClient
from pipeline.llm.defaults import client_from_environment

GENERATE_RANK, EXTRACT_RANK, SCORE_RANK = 0, 1, 2
"""Longest remaining path first: a candidate before an extraction before a vote."""


class ParallelStage:
    """One stage, at most `max_concurrent_requests` calls at once.

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
        """Use `client`, or one from the environment with a limiter of its own.

        `verbose` writes a line to stderr for each item that ends.
        """
        self._given_client = client
        self._concurrency = concurrency or _limited(max_concurrent_requests, client)
        self._verbose = verbose
        self._watch = watch
        self.errors = ThreadSafeErrorCollector()

    @cached_property
    def client(self) -> ChatClient:
        """The client of every task; built where none was given."""
        if self._given_client is not None:
            return self._given_client
        most = self._concurrency.max_in_flight
        limiter = self._concurrency.limiter or Limiter(most)
        return client_from_environment(
            lambda preset: gate_for(limiter, preset),
            max_in_flight=most,
        )

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

        watch = Watch(
            on_started=self._watch.on_started,
            on_done=on_done,
            on_failed=on_failed,
            on_candidate=self._watch.on_candidate,
        )
        return self._concurrency.run(listed, watch=watch)


def _limited(max_in_flight: int, client: ChatClient | None) -> Concurrency:
    """Limits of a stage that runs alone; a client that was given has its own gate."""
    # Concurrency checks the number, with a line for the user, before Limiter does.
    limits = Concurrency(max_in_flight=max_in_flight)
    return limits if client else replace(limits, limiter=Limiter(max_in_flight))


def say(text: str) -> None:
    """One line on stderr, above any progress bar."""
    Bar.write(text, file=sys.stderr)
