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
from typing import Any, NoReturn, TypeVar

from parallel.attend import GRACE_S, Attendance, attend
from parallel.concurrency import Concurrency
from parallel.errors import ThreadSafeErrorCollector
from parallel.lane_gate import gate_for
from parallel.limiter import Limiter, LimiterEvent
from parallel.memory import MemoryWatch, default_floor_bytes, total_bytes
from parallel.progress_line import ProgressLine
from parallel.run_board import RunBoard
from parallel.stage import say
from pipeline.estimate import planned_calls, remaining_after_failure
from pipeline.items import Watch
from pipeline.llm.choice import Choice
from pipeline.llm.client import ChatClient
from pipeline.llm.endpoints import Opening, open_connections
from pipeline.llm.journal import Journal
from pipeline.llm.ledger import Ledger
from pipeline.llm.retry import RetryPolicy
from pipeline.metrics import PipelineMetrics
from pipeline.records import ArticleCandidate, FailedItem
from pipeline.resume import journal_lines
from pipeline.run_folder import RunFolder
from pipeline.settings import Settings
from pipeline.text_safety import redactor

T = TypeVar("T")
INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What the user wants to see."""

    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything that one run shares; made by `open_session`."""

    settings: Settings
    folder: RunFolder
    journal: Journal
    limiter: Limiter
    metrics: PipelineMetrics
    client: ChatClient
    board: RunBoard
    line: ProgressLine
    errors: ThreadSafeErrorCollector = field(default_factory=ThreadSafeErrorCollector)
    stop: threading.Event = field(default_factory=threading.Event)
    began_s: float = field(default_factory=time.monotonic)
    # What the metrics hold of the run's result.
    findings: dict[str, Any] = field(default_factory=dict)

    @property
    def concurrency(self) -> Concurrency:
        """How many calls may go at once."""
        return Concurrency(
            max_in_flight=self.settings.in_flight_limit,
            stage_limits=self.settings.stage_limits,
            limiter=self.limiter,
            stop=self.stop,
        )

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
                say(f"interrupted; to finish the run: {resume}")  # also when quiet
                self.journal.sync()
            finally:
                # Also when the disk or the terminal is gone: calls that nobody waits
                # for would hold the process.
                os._exit(INTERRUPTED)

        floor = self.settings.min_free_bytes(total=total_bytes())
        memory = MemoryWatch(
            limiter=self.limiter,
            floor_bytes=default_floor_bytes() if floor is None else floor,
            say=self.line.message,
        )

        def on_tick() -> None:
            self.line.tick()
            memory.look()

        how = Attendance(
            on_tick=on_tick,
            on_first_signal=on_first_signal,
            on_abandon=on_abandon,
            grace_s=GRACE_S,
        )
        return attend(work, how)

    def metrics_record(self) -> dict[str, Any]:
        """What `NAME_metrics.json` holds."""
        snapshot, limits = self.metrics.snapshot(), self.limiter.snapshot()
        speedup = snapshot.speedup
        return {
            "total": snapshot.total.as_dict(),
            "speedup": None if speedup is None else round(speedup, 2),
            "in_flight_limit": self.settings.in_flight_limit,
            "in_flight_peak": limits.peak_in_flight,
            "stages": {n: s.as_dict() for n, s in snapshot.stages.items()},
            "models": {n: s.as_dict() for n, s in snapshot.models.items()},
            **self.findings,
            "lanes": {
                name: {
                    "limit": lane.limit,
                    "peak_in_flight": lane.peak_in_flight,
                    "refused": lane.refused,
                    "cuts": lane.cuts,
                    "pauses": lane.pauses,
                    "breaker_openings": lane.breaker_openings,
                    "waited_s": round(lane.waited_s, 3),
                    "limit_over_time": [
                        [round(at_s - self.began_s, 3), limit]
                        for at_s, limit in lane.history
                    ],
                }
                for name, lane in limits.lanes.items()
            },
        }


@contextmanager
def open_session(
    settings: Settings,
    choice: Choice,
    folder: RunFolder,
    *,
    env: Mapping[str, str],
    showing: Showing,
) -> Iterator[Session]:
    """The session of one run; the metrics are written however it ends."""
    secrets = [env[p.key_env] for p in choice.all() if p.key_env and env.get(p.key_env)]
    limiter = Limiter(
        settings.in_flight_limit,
        group_limits=settings.stage_limits,
        max_outage_s=settings.max_outage_s,
        on_event=lambda event: (
            line.message(_event_line(event)) if showing.verbose else None
        ),
    )
    metrics = PipelineMetrics()
    board = RunBoard(
        planned_calls(settings),
        lambda stage: remaining_after_failure(stage, settings),
        verbose=showing.verbose,
    )
    line = ProgressLine(board.board, in_flight=limiter.in_flight, quiet=showing.quiet)
    with ExitStack() as closing:
        journal = Journal.open(folder.journal_path, redact=redactor(secrets))
        closing.callback(journal.close)
        folder.sweep()  # the journal's lock says that nobody else is writing
        for text in journal_lines(journal):
            line.message(text)
        opening = Opening(
            env=env,
            make_gate=lambda preset: gate_for(limiter, preset),
            allow_insecure=settings.allow_insecure,
            max_in_flight=settings.in_flight_limit,
            timeout_s=settings.timeout_s,
            say=line.message,
        )
        client = ChatClient(
            open_connections(choice.all(), opening, closing=closing),
            ledger=Ledger(journal=journal, metrics=metrics, max_cost=settings.max_cost),
            policy=RetryPolicy(
                delay_s=settings.retry_delay_s,
                reasks=settings.retry_count,
                longest_hint_s=settings.max_outage_s,
            ),
            run_seed=settings.seed,
            filter_think=settings.filter_think,
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


def _event_line(event: LimiterEvent) -> str:
    return f"{event.lane}: {event.kind}, limit {event.limit} ({event.reason})"
