"""
The books of a run: what calls answered before, what they cost, what may be spent.

One entry a call, good or bad, goes to the journal, to the metrics and to the money.
It decides nothing about how a call is made.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.errors import BudgetSpent, PipelineError, RunStopped
from pipeline.llm.call_record import CallRecord
from pipeline.llm.journal import Journal, NoJournal
from pipeline.llm.presets import Price
from pipeline.metrics import (
    NO_USAGE,
    CallMeasure,
    PipelineMetrics,
    Usage,
    process_metrics,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The text that a call ended on, as the server sent it."""

    text: str
    finish_reason: str | None


@dataclass(slots=True)
class Work:
    """What the requests of one call have cost so far, and the answer they led to."""

    usage: Usage = NO_USAGE
    seconds: float = 0.0
    requests: int = 0
    answer: Answer | None = None

    def add(self, usage: Usage | None, *, seconds: float) -> None:
        """Count one request."""
        self.usage += usage or NO_USAGE
        self.seconds += seconds
        self.requests += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Which call came to an end, and the error that it ended with."""

    key: str
    stage: str
    item_id: str
    model: str
    price: Price | None
    error: Exception | None


class Ledger:
    """Journal, metrics and money of one run; safe to use from any number of threads."""

    def __init__(
        self,
        *,
        journal: Journal | NoJournal | None = None,
        metrics: PipelineMetrics | None = None,
        max_cost: float | None = None,
    ) -> None:
        """Spend at most `max_cost` dollars, beyond what is in flight when it is spent.

        What the journal says was spent before counts from the start.
        """
        self._journal = journal or NoJournal()
        self._metrics = metrics or process_metrics()
        self._max_cost = max_cost
        # Guards _spent, in dollars; unknown prices add nothing.
        self._lock = threading.Lock()
        self._spent = self._journal.cost_before

    def lookup(self, key: str) -> CallRecord | None:
        """The answer that an earlier process got to this very call."""
        return self._journal.lookup(key)

    def check_budget(self) -> None:
        """Raise BudgetSpent when no further call may be paid for."""
        with self._lock:
            spent = self._spent
        if self._max_cost is not None and spent >= self._max_cost:
            message = (
                f"--max-cost {self._max_cost:g} is spent;"
                " resume with a higher --max-cost"
            )
            raise BudgetSpent(message)

    def note_finished(self, call: Finished, work: Work) -> None:
        """Enter one call; one that never sent a request leaves no trace."""
        if not work.requests:
            return
        usage = work.usage
        cost = None
        if call.price is not None:
            cost = call.price.cost(usage.prompt_tokens, usage.completion_tokens)
        with self._lock:
            self._spent += cost or 0.0
        self._metrics.record_call(
            CallMeasure(
                stage=call.stage,
                model=call.model,
                usage=usage,
                seconds=work.seconds,
                cost=cost,
                requests=work.requests,
                is_ok=work.answer is not None,
                ended_s=time.monotonic(),
            )
        )
        if isinstance(call.error, PipelineError | None) and not isinstance(
            call.error, RunStopped
        ):
            self._journal.record(_record(call, work, cost))

    def note_replayed(self, record: CallRecord) -> None:
        """Count a call that an earlier process paid for."""
        self._metrics.record_call(
            CallMeasure(
                stage=record.stage,
                model=record.model,
                usage=Usage(
                    prompt_tokens=record.prompt_tokens,
                    completion_tokens=record.completion_tokens,
                    is_estimate=record.tokens_estimated,
                ),
                seconds=0.0,
                cost=record.cost,
                requests=0,
                is_replayed=True,
            )
        )


def _record(call: Finished, work: Work, cost: float | None) -> CallRecord:
    answer = work.answer
    return CallRecord(
        key=call.key,
        ok=answer is not None,
        stage=call.stage,
        item_id=call.item_id,
        model=call.model,
        content=answer.text if answer else None,
        error=None if call.error is None else str(call.error),
        error_kind=None if call.error is None else type(call.error).__name__,
        finish_reason=answer.finish_reason if answer else None,
        prompt_tokens=work.usage.prompt_tokens,
        completion_tokens=work.usage.completion_tokens,
        tokens_estimated=work.usage.is_estimate,
        requests=work.requests,
        seconds=round(work.seconds, 3),
        cost=cost,
        ended_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
