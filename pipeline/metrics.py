"""
What the calls of a run cost: calls, requests, tokens, money and seconds.

It counts; it limits nothing and knows no server. A call is one question answered (or
given up), a request is one HTTP attempt of it. A cost that is not known stays None and
makes every sum it enters a lower bound that says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call over all its requests; estimated where no server counted."""

    prompt_tokens: int
    completion_tokens: int
    is_estimate: bool = False

    def __add__(self, other: Usage) -> Usage:
        """Add the tokens of another request of the same call."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            is_estimate=self.is_estimate or other.is_estimate,
        )


NO_USAGE = Usage(prompt_tokens=0, completion_tokens=0)


def estimated_usage(input_text: str, output_text: str) -> Usage:
    """A guess from the number of words, four tokens to three words."""
    return Usage(
        prompt_tokens=estimated_tokens(input_text),
        completion_tokens=estimated_tokens(output_text),
        is_estimate=True,
    )


def estimated_tokens(text: str) -> int:
    """Tokens of a text, guessed as four for three words."""
    return (len(text.split()) * 4 + 2) // 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMeasure:
    """One finished call. `seconds` spans its requests, without the waits between."""

    stage: str
    usage: Usage
    seconds: float
    model: str = ""
    cost: float | None = None
    requests: int = 1
    is_ok: bool = True
    is_replayed: bool = False
    ended_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class StageMetrics:
    """Sums over the calls of one stage or of one model."""

    name: str
    calls: int = 0
    failed: int = 0
    replayed: int = 0
    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens_estimated: bool = False
    cost: float = 0.0
    cost_unknown_calls: int = 0
    call_seconds: float = 0.0
    wall_seconds: float = 0.0

    def add(self, call: CallMeasure) -> None:
        """Count one call; a replayed one costs no request and no seconds now."""
        self.calls += 1
        self.failed += not call.is_ok
        self.replayed += call.is_replayed
        self.prompt_tokens += call.usage.prompt_tokens
        self.completion_tokens += call.usage.completion_tokens
        self.tokens_estimated |= call.usage.is_estimate
        self.cost += call.cost or 0.0
        self.cost_unknown_calls += call.cost is None
        if not call.is_replayed:
            self.requests += call.requests
            self.retries += max(0, call.requests - 1)
            self.call_seconds += call.seconds

    @property
    def known_cost(self) -> float | None:
        """The whole cost, or None when the price of any call is not known."""
        return None if self.cost_unknown_calls else self.cost

    def as_dict(self) -> dict[str, Any]:
        """The sums as they are written to disk; an unknown cost is 'unknown'."""
        cost = self.known_cost
        return {
            "calls": self.calls,
            "failed": self.failed,
            "replayed": self.replayed,
            "requests": self.requests,
            "retries": self.retries,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "tokens_estimated": self.tokens_estimated,
            "cost": "unknown" if cost is None else round(cost, 6),
            "call_seconds": round(self.call_seconds, 3),
            "wall_seconds": round(self.wall_seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """All sums at one moment; stages in the order of their first call."""

    stages: dict[str, StageMetrics]
    models: dict[str, StageMetrics]
    total: StageMetrics

    @property
    def speedup(self) -> float | None:
        """Seconds of all calls over the seconds in which any was under way."""
        if self.total.wall_seconds <= 0:
            return None
        return self.total.call_seconds / self.total.wall_seconds


@dataclass(slots=True)
class PipelineMetrics:
    """Every call of a run; safe to use from any number of threads."""

    # Guards _calls; nothing is called while it is held.
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _calls: list[CallMeasure] = field(default_factory=list)

    def record_call(self, call: CallMeasure) -> None:
        """Keep one finished call."""
        with self._lock:
            self._calls.append(call)

    def snapshot(self) -> MetricsSnapshot:
        """Sums by stage, by model and over all."""
        with self._lock:
            calls = list(self._calls)
        return MetricsSnapshot(
            stages=_sums_by(calls, [call.stage for call in calls]),
            models=_sums_by(calls, [call.model or "unnamed" for call in calls]),
            total=_sum("total", calls),
        )


def _sums_by(calls: list[CallMeasure], names: list[str]) -> dict[str, StageMetrics]:
    groups: dict[str, list[CallMeasure]] = {}
    for name, call in zip(names, calls, strict=True):
        groups.setdefault(name, []).append(call)
    return {name: _sum(name, group) for name, group in groups.items()}


def _sum(name: str, calls: list[CallMeasure]) -> StageMetrics:
    total = StageMetrics(name=name)
    for call in calls:
        total.add(call)
    total.wall_seconds = _covered_s(
        (call.ended_s - call.seconds, call.ended_s)
        for call in calls
        if not call.is_replayed
    )
    return total


def _covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds covered by at least one span."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


@lru_cache(maxsize=1)
def process_metrics() -> PipelineMetrics:
    """The metrics of callers who bring none: one for the whole process."""
    return PipelineMetrics()


def track_llm_call(  # noqa: PLR0917 - the signature that callers know
    stage: str,
    input_text: str,
    output_text: str,
    execution_time: float,
    *,
    metrics: PipelineMetrics | None = None,
) -> None:
    """Count one call by its texts, from any thread; `execution_time` in seconds.

    For callers with a client of their own: tokens are estimated from words and the
    cost is unknown. `ChatClient` counts its calls itself, by the server's usage.
    """
    (metrics or process_metrics()).record_call(
        CallMeasure(
            stage=stage,
            usage=estimated_usage(input_text, output_text),
            seconds=execution_time,
            ended_s=time.monotonic(),
        )
    )
