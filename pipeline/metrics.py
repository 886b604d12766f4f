"""
What the calls of a run cost: calls, requests, tokens, money and seconds.

It counts; it limits nothing and knows no server. A call is one question answered (or
given up), a request is one HTTP attempt of it. A cost that is not known stays None and
makes every sum it enters a lower bound that says so.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

_MOST_SPANS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call over all its requests; estimated where no server counted."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt's
    is_estimate: bool = False
    told_cost: float | None = None  # dollars of one request, as the server says

    def __add__(self, other: Usage) -> Usage:
        """Add the tokens of another request of the same call."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            is_estimate=self.is_estimate or other.is_estimate,
        )


NO_USAGE = Usage(prompt_tokens=0, completion_tokens=0)


def estimated_usage(input_text: str, output_text: str) -> Usage:
    """A guess from the number of words, four tokens to three words."""
    read, written = map(estimated_tokens, (input_text, output_text))
    return Usage(prompt_tokens=read, completion_tokens=written, is_estimate=True)


def estimated_tokens(text: str) -> int:
    """Tokens of a text, guessed as four for three words."""
    return (len(text.split()) * 4 + 2) // 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMeasure:
    """One finished call. `seconds` spans its requests, without the waits between.

    `waited_s` is the part of them before the first piece of streamed answers.
    """

    stage: str
    usage: Usage
    seconds: float
    waited_s: float = 0.0
    model: str = ""
    cost: float | None = None
    cost_source: str = ""
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
    cached_tokens: int = 0
    tokens_estimated: bool = False
    cost: float = 0.0
    cost_sources: frozenset[str] = frozenset()
    cost_unknown_calls: int = 0
    call_seconds: float = 0.0
    waited_seconds: float = 0.0
    wall_seconds: float = 0.0

    def add(self, call: CallMeasure) -> None:
        """Count one call; a replayed one costs no request and no seconds now."""
        self.calls += 1
        self.failed += not call.is_ok
        self.replayed += call.is_replayed
        self.prompt_tokens += call.usage.prompt_tokens
        self.completion_tokens += call.usage.completion_tokens
        self.cached_tokens += call.usage.cached_tokens
        self.tokens_estimated |= call.usage.is_estimate
        self.cost += call.cost or 0.0
        self.cost_unknown_calls += call.cost is None
        self.cost_sources |= {"unknown" if call.cost is None else call.cost_source} - {
            ""
        }
        if not call.is_replayed:
            self.requests += call.requests
            self.retries += max(0, call.requests - 1)
            self.call_seconds += call.seconds
            self.waited_seconds += call.waited_s

    @property
    def known_cost(self) -> float | None:
        """The whole cost, or None when the price of any call is not known."""
        return None if self.cost_unknown_calls else self.cost

    @property
    def speedup(self) -> float | None:
        """Seconds that calls were answered in over the seconds in which any was.

        What they waited for their first piece is left out: calls that queue at a server
        are no faster for being many.
        """
        if self.wall_seconds <= 0:
            return None
        return (self.call_seconds - self.waited_seconds) / self.wall_seconds

    def as_dict(self) -> dict[str, Any]:
        """The sums as they are written to disk; an unknown cost is 'unknown'."""
        sums = asdict(self)
        del sums["name"], sums["cost_unknown_calls"]
        sums["cost"] = "unknown" if self.cost_unknown_calls else round(self.cost, 6)
        sums["cost_sources"] = sorted(self.cost_sources)
        seconds = ("call_seconds", "waited_seconds", "wall_seconds")
        return sums | {name: round(sums[name], 3) for name in seconds}


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """All sums at one moment; stages in the order of their first call."""

    stages: dict[str, StageMetrics]
    models: dict[str, StageMetrics]
    total: StageMetrics


class _Covered:
    """Seconds in which at least one call was under way, from the calls' spans.

    Of spans that lie apart the last 512 are kept: what began before those counts from there.
    """

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []  # apart, in order
        self._folded_s = 0.0
        self._folded_to = float("-inf")

    def add(self, start: float, end: float) -> None:
        """Cover a span; they come in any order."""
        start = max(start, self._folded_to)
        if end <= start:
            return
        spans = self._spans
        first = bisect_left(spans, start, key=lambda span: span[1])
        last = bisect_right(spans, end, key=lambda span: span[0])
        if first < last:
            start, end = min(start, spans[first][0]), max(end, spans[last - 1][1])
        spans[first:last] = [(start, end)]
        if len(spans) > _MOST_SPANS:
            begun, self._folded_to = spans.pop(0)
            self._folded_s += self._folded_to - begun

    @property
    def seconds(self) -> float:
        return self._folded_s + sum(end - start for start, end in self._spans)


class _Sums:
    """The sums of one stage or model, and the time that its calls cover."""

    def __init__(self, name: str) -> None:
        self._sums = StageMetrics(name=name)
        self._covered = _Covered()

    def add(self, call: CallMeasure) -> None:
        self._sums.add(call)
        if not call.is_replayed:
            self._covered.add(call.ended_s - call.seconds, call.ended_s)

    def copy(self) -> StageMetrics:
        return replace(self._sums, wall_seconds=self._covered.seconds)


class PipelineMetrics:
    """Sums over the calls of a run, however many; safe to use from any number of threads."""

    def __init__(self) -> None:
        """Nothing was called."""
        # Guards all below; nothing is called while it is held.
        self._lock = threading.Lock()
        self._stages: dict[str, _Sums] = {}
        self._models: dict[str, _Sums] = {}
        self._total = _Sums("total")

    def record_call(self, call: CallMeasure) -> None:
        """Add one finished call."""
        model = call.model or "unnamed"
        with self._lock:
            self._stages.setdefault(call.stage, _Sums(call.stage)).add(call)
            self._models.setdefault(model, _Sums(model)).add(call)
            self._total.add(call)

    def snapshot(self) -> MetricsSnapshot:
        """Sums by stage, by model and over all."""
        with self._lock:
            return MetricsSnapshot(
                stages={name: sums.copy() for name, sums in self._stages.items()},
                models={name: sums.copy() for name, sums in self._models.items()},
                total=self._total.copy(),
            )


class Arriving(Protocol):
    """An answer that is coming."""

    @property
    def tokens(self) -> int:
        """Tokens so far; an estimate, until the server counts them."""


class Arrivals:
    """Tokens received by stage, of answers under way too, for the screen.

    Safe for any thread, and it holds nobody up: an answer counts for itself on its own
    thread, and is looked at from another. What money is counted by stands in the metrics.
    """

    def __init__(self) -> None:
        """Nothing has come."""
        # Guards both; taken when an answer begins and ends, never for a piece of it.
        self._lock = threading.Lock()
        self._coming: dict[Arriving, str] = {}
        self._ended: Counter[str] = Counter()

    @contextmanager
    def coming(self, stage: str, answer: Arriving) -> Iterator[None]:
        """Count the answer while it comes in the block, and its last count for good."""
        with self._lock:
            self._coming[answer] = stage
        try:
            yield
        finally:
            with self._lock:
                del self._coming[answer]
                self._ended[stage] += answer.tokens

    def tokens(self) -> dict[str, int]:
        """By stage, at this moment."""
        with self._lock:
            sums = Counter(self._ended)
            for answer, stage in self._coming.items():
                sums[stage] += answer.tokens
        return dict(sums)


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

    For callers with a client of their own: tokens are estimated from words, the cost is
    unknown. `ChatClient` counts its calls itself, by the server's usage.
    """
    (metrics or process_metrics()).record_call(
        CallMeasure(
            stage=stage,
            usage=estimated_usage(input_text, output_text),
            seconds=execution_time,
            ended_s=time.monotonic(),
        )
    )
