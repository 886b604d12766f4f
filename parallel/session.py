"""
What a run works with while it lasts: journal, limiter, client, progress.

It opens them in the order in which they may fail and closes them in the other; it does
not know the stages. Both ways of a run, sequential and parallel, use it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, TypeVar

from parallel.errors import ThreadSafeErrorCollector
from parallel.limiter import Limiter, LimiterEvent
from parallel.memory import memory_watch
from parallel.progress import ProgressBoard, write_above_bar
from parallel.progress_line import Live, ProgressLine, Waits
from parallel.signals import GRACE_S, attend
from parallel.stage import Concurrency, limit_for
from pipeline.front.estimate import (
    expected_tokens,
    planned_calls,
    remaining_after_failure,
)
from pipeline.front.resume import journal_lines
from pipeline.llm.client import ChatClient
from pipeline.llm.ledger import Ledger
from pipeline.llm.opening import Opening, open_connections
from pipeline.llm.retry import RetryPolicy
from pipeline.metrics import PipelineMetrics
from pipeline.models.presets import secrets_of
from pipeline.models.run_models import Choice
from pipeline.records import ArticleCandidate, FailedItem
from pipeline.settings import Settings
from pipeline.store.journal import Journal
from pipeline.store.run_folder import RunFolder
from pipeline.text.safety import redactor
from pipeline.work import Watch

T = TypeVar("T")
INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything that one run shares; made by `open_session`."""

    settings: Settings
    folder: RunFolder
    journal: Journal
    limiter: Limiter
    metrics: PipelineMetrics
    client: ChatClient
    board: ProgressBoard
    line: ProgressLine
    errors: ThreadSafeErrorCollector = field(default_factory=ThreadSafeErrorCollector)
    stop: threading.Event = field(default_factory=threading.Event)
    began_s: float = field(default_factory=time.monotonic)
    # What the metrics hold of the run's result.
    findings: dict[str, Any] = field(default_factory=dict)

    @property
    def concurrency(self) -> Concurrency:
        """How many calls may go at once."""
        return Concurrency(limiter=self.limiter, stop=self.stop)

    @property
    def watch(self) -> Watch:
        """Drafts to the folder, progress to the board, failures to the collector."""

        def on_candidate(candidate: ArticleCandidate) -> None:
            self.folder.write_candidate(
                candidate.article_id, candidate.preset, candidate.text
            )

        def on_failed(stage: str, name: str, error: Exception) -> None:
            self.board.note_failed(stage, name)
            self.errors.add_error(name, error)
            self.line.message(f"{name} failed: {error}")

        return Watch(
            on_started=self.board.note_started,
            on_done=self.board.note_done,
            on_failed=on_failed,
            on_more=self.board.note_more,
            on_candidate=on_candidate,
        )

    @property
    def was_answered(self) -> bool:
        """Whether there is anything that was asked, or paid, for."""
        total = self.metrics.snapshot().total
        return total.prompt_tokens + total.completion_tokens > 0

    def failed(self) -> list[FailedItem]:
        """What was given up so far, in item order."""
        return [
            FailedItem(item=str(error.item_id), reason=error.reason)
            for error in self.errors.get_errors()
        ]

    def attend(self, work: Callable[[], T], *, resume: str) -> T:
        """The result of `work`, on a thread of its own; a signal ends it resumable."""

        def on_first_signal() -> None:
            self.stop.set()
            self.limiter.stop()
            self.line.message(
                f"stopping: calls under way have {GRACE_S:.0f} s to finish;"
                " once more ends at once"
            )

        def on_abandon() -> NoReturn:
            try:
                self.line.close()
                # Also when quiet.
                write_above_bar(f"interrupted; to finish the run: {resume}")
                self.journal.sync()
            finally:
                # Also when the disk or the terminal is gone: calls that nobody waits
                # for would hold the process.
                os._exit(INTERRUPTED)

        look = memory_watch(self.limiter, self.settings, say=self.line.message)

        def on_tick() -> None:
            self.line.tick()
            look()
            self.journal.sync_if_due()

        return attend(
            work,
            on_tick=on_tick,
            on_first_signal=on_first_signal,
            on_abandon=on_abandon,
            grace_s=GRACE_S,
        )

    def metrics_record(self) -> dict[str, Any]:
        """What `NAME_metrics.json` holds."""
        snapshot = self.metrics.snapshot()
        return {
            "total": snapshot.total.as_dict(),
            "speedup": snapshot.total.speedup and round(snapshot.total.speedup, 2),
            "in_flight_limit": self.settings.in_flight_limit,
            "in_flight_peak": self.limiter.peak_in_flight,
            "stages": {n: s.as_dict() for n, s in snapshot.stages.items()},
            "models": {n: s.as_dict() for n, s in snapshot.models.items()},
            **self.findings,
            "endpoints": {
                endpoint.name: endpoint.as_dict(since_s=self.began_s)
                for endpoint in self.limiter.snapshots()
            },
        }


@contextmanager
def open_session(
    settings: Settings,
    choice: Choice,
    folder: RunFolder,
    *,
    env: Mapping[str, str],
    quiet: bool = False,
    verbose: bool = False,
) -> Iterator[Session]:
    """The session of one run; the metrics are written however it ends."""
    secrets = secrets_of(choice.all(), env)
    metrics, waits = PipelineMetrics(), Waits()
    board = ProgressBoard(
        planned_calls(settings),
        lost_with=partial(remaining_after_failure, settings=settings),
        verbose=verbose,
    )
    limiter = Limiter(
        settings.in_flight_limit,
        stage_limits=settings.stage_limits,
        max_outage_s=settings.longest_outage_s,
        max_absence_s=settings.longest_absence_s,
        calls_left=board.items_left,
        on_event=lambda event: line.message(_event_line(event)) if verbose else None,
    )
    line = ProgressLine(
        board,
        live=lambda: live(limiter, client, waits),
        weights=expected_tokens(settings, choice),
        quiet=quiet,
    )
    with ExitStack() as closing:
        journal = Journal.open(folder.journal_path, redact=redactor(secrets))
        closing.callback(journal.close)
        folder.sweep()  # the journal's lock says that nobody else is writing
        for text in journal_lines(journal):
            line.message(text)
        how = Opening(
            env=env,
            make_limit=partial(limit_for, limiter, timeout_s=settings.timeout_s),
            allow_insecure=settings.allow_insecure,
            max_in_flight=settings.in_flight_limit,
            timeout_s=settings.timeout_s,
            say=line.message,
        )
        connections = open_connections(choice.all(), how, closing=closing)
        client = ChatClient(
            connections,
            ledger=Ledger(journal=journal, metrics=metrics, max_cost=settings.max_cost),
            policy=RetryPolicy(
                delay_s=settings.retry_delay_s,
                reasks=settings.retry_count,
                longest_outage_s=settings.longest_outage_s,
            ),
            run_seed=settings.seed,
            filter_think=settings.filter_think,
            on_wait=lambda call, why, seconds: waits.note(call.name, why, seconds),
        )
        session = Session(
            settings=settings,
            folder=folder,
            journal=journal,
            limiter=limiter,
            metrics=metrics,
            client=client,
            board=board,
            line=line,
        )
        try:
            yield session
        finally:
            line.close()
            folder.write_json("metrics", session.metrics_record())


def live(limiter: Limiter, client: ChatClient, waits: Waits) -> Live:
    """What the screen shows of the calls under way."""
    endpoints = limiter.snapshots()
    in_flight = sum(endpoint.in_flight for endpoint in endpoints)
    several = len(endpoints) > 1
    held = (
        f"{each.name} {each.held_by}" if several else each.held_by
        for each in endpoints
        if each.held_by
    )
    return Live(
        in_flight=in_flight,
        tokens=client.tokens_received(),
        spent=client.ledger.spent,
        # Of a call that waits alone, only while nothing else goes on.
        waits=next(held, "") or ("" if in_flight else waits.next()),
    )


def _event_line(event: LimiterEvent) -> str:
    return f"{event.endpoint}: {event.kind}, limit {event.limit} ({event.reason})"
