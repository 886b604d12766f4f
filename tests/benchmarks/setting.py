"""
The program's own engine, wired to a simulated server as a run wires it.

Limiter, retry, journal (in a folder that goes away) and metrics are on; there is no
progress line. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from parallel.limiter import Limiter
from parallel.stage import Concurrency, limit_for
from pipeline.llm.client import ChatClient
from pipeline.llm.connection import Connection
from pipeline.llm.ledger import Ledger
from pipeline.llm.retry import RetryPolicy
from pipeline.metrics import PipelineMetrics
from pipeline.models.presets import Preset
from pipeline.store.journal import Journal

MODEL = "loopback"
_STAGES = ("generate", "extract", "score")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a user sets."""

    max_in_flight: int = 1
    timeout_s: float = 120.0
    retry_delay_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One run's client and what stands around it."""

    client: ChatClient
    limiter: Limiter
    metrics: PipelineMetrics
    concurrency: Concurrency
    folder: Path


@contextmanager
def engine(base_url: str, tuning: Tuning) -> Iterator[Engine]:
    """Everything fresh: nothing learnt, nothing counted, no connection open."""
    most = tuning.max_in_flight
    limiter = Limiter(most, stage_limits=dict.fromkeys(_STAGES, most))
    metrics = PipelineMetrics()
    with ExitStack() as closing:
        folder = Path(closing.enter_context(TemporaryDirectory()))
        journal = closing.enter_context(Journal.open(folder / "calls.jsonl"))
        preset = Preset(name="loopback", base_url=base_url, model=MODEL)
        connection = Connection(
            preset,
            base_url=base_url,
            api_key="none",
            limit=limit_for(limiter, preset, timeout_s=tuning.timeout_s),
            max_in_flight=most,
            timeout_s=tuning.timeout_s,
        )
        closing.callback(connection.close)
        client = ChatClient(
            {preset.name: connection},
            ledger=Ledger(journal=journal, metrics=metrics),
            policy=RetryPolicy(delay_s=tuning.retry_delay_s),
        )
        yield Engine(
            client=client,
            limiter=limiter,
            metrics=metrics,
            concurrency=Concurrency(limiter=limiter),
            folder=folder,
        )
