"""
The books of a run: what calls answered before, what they cost, what may be spent.

One entry a call, good or bad, goes to the journal, to the metrics and to the money. It
decides nothing about how a call is made. What a call had cost that was killed in the
midst of a request is not known: the server had not said it yet.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.errors import BudgetSpent, PipelineError, StorageError
from pipeline.llm.call import Request
from pipeline.llm.connection import Attempt
from pipeline.llm.outcome import Outcome
from pipeline.metrics import (
    NO_USAGE,
    CallMeasure,
    PipelineMetrics,
    Usage,
    process_metrics,
)
from pipeline.models.presets import Preset
from pipeline.models.prices import BY_SERVER, UNKNOWN, ListedPrice, Price
from pipeline.store.journal import Journal, NoJournal
from pipeline.store.journal_file import CallRecord, call_key


@dataclass(slots=True, kw_only=True)
class Work:
    """What one call has cost so far, and the answer or the error that it ended with."""

    key: str
    stage: str
    item_id: str
    model: str
    price: Price | ListedPrice | None = None
    usage: Usage = NO_USAGE
    seconds: float = 0.0
    waited_s: float = 0.0
    requests: int = 0
    cost: float | None = 0.0  # dollars; None where the price is not known
    cost_source: str = ""
    answer: Outcome | None = None
    error: Exception | None = None

    def add(self, attempt: Attempt) -> None:
        """Count one request, with the cost that the server says, else by the price."""
        if (usage := attempt.outcome.usage) is not None:
            self.usage += usage
            self._pay(usage)
        self.seconds += attempt.seconds
        self.waited_s += attempt.waited_s
        self.requests += 1

    def _pay(self, usage: Usage) -> None:
        """Requests one by one: what a token costs may hang on the length of the prompt."""
        cost, source = usage.told_cost, BY_SERVER
        if cost is None and self.price is None:
            source = UNKNOWN
        elif cost is None and self.price is not None:
            source = self.price.source
            cost = self.price.cost(
                usage.prompt_tokens, usage.completion_tokens, cached=usage.cached_tokens
            )
        is_known = cost is not None and self.cost is not None
        self.cost = (self.cost or 0.0) + (cost or 0.0) if is_known else None
        self.cost_source = source


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
        # Guards all below.
        self._lock = threading.Lock()
        self._spent = self._journal.cost_before  # dollars; unknown prices add nothing
        self._has_unknown = self._journal.has_unknown_cost
        self._answered = Counter(self._journal.answered)  # by stage
        self._broken: StorageError | None = None  # the journal takes no more

    def lookup(self, key: str) -> CallRecord | None:
        """The answer that an earlier process got to this very call."""
        return self._journal.lookup(key)

    @property
    def spent(self) -> float | None:
        """Dollars so far, those of before included; None when a price is not known."""
        with self._lock:
            return None if self._has_unknown else self._spent

    @property
    def answered(self) -> dict[str, int]:
        """Answers so far by stage, those of before included."""
        with self._lock:
            return dict(self._answered)

    def check_open(self) -> None:
        """Raise BudgetSpent when no further call may be paid for.

        Also StorageError when an answer could not be written down: neither could more.
        """
        with self._lock:
            spent, broken = self._spent, self._broken
        if broken is not None:
            raise StorageError(str(broken))
        if self._max_cost is not None and spent >= self._max_cost:
            message = (
                f"--max-cost {self._max_cost:g} is spent;"
                " resume with a higher --max-cost"
            )
            raise BudgetSpent(message)

    def note_finished(self, work: Work) -> None:
        """Enter one call; one that never sent a request leaves no trace.

        Also one that the end of the run interrupted between two requests: what those
        before had cost counts when the run is resumed.
        """
        if not work.requests:
            return
        with self._lock:
            self._spent += work.cost or 0.0
            self._has_unknown |= work.cost is None
            self._answered[work.stage] += work.answer is not None
        self._metrics.record_call(
            CallMeasure(
                stage=work.stage,
                model=work.model,
                usage=work.usage,
                seconds=work.seconds,
                waited_s=work.waited_s,
                cost=work.cost,
                cost_source=work.cost_source,
                requests=work.requests,
                is_ok=work.answer is not None,
                ended_s=time.monotonic(),
            )
        )
        if isinstance(work.error, PipelineError | None):
            try:
                self._journal.record(_record(work))
            except StorageError as error:
                with self._lock:
                    self._broken = error
                raise

    def note_replayed(self, record: CallRecord) -> None:
        """Count a call that an earlier process paid for."""
        self._metrics.record_call(
            CallMeasure(
                stage=record.stage,
                model=record.model,
                usage=record.usage,
                seconds=0.0,
                cost=record.cost,
                cost_source=record.cost_source,
                requests=0,
                is_replayed=True,
            )
        )


def _record(work: Work) -> CallRecord:
    answer, error = work.answer, work.error
    return CallRecord(
        key=work.key,
        ok=answer is not None,
        stage=work.stage,
        item_id=work.item_id,
        model=work.model,
        content=answer.text if answer else None,
        error=None if error is None else str(error),
        error_kind=None if error is None else type(error).__name__,
        finish_reason=answer.finish_reason if answer else None,
        prompt_tokens=work.usage.prompt_tokens,
        completion_tokens=work.usage.completion_tokens,
        cached_tokens=work.usage.cached_tokens,
        tokens_estimated=work.usage.is_estimate,
        requests=work.requests,
        seconds=round(work.seconds, 3),
        cost=work.cost,
        cost_source=work.cost_source,
        ended_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def key_of(request: Request, preset: Preset, model: str) -> str:
    """The journal's key of a call: of all that its first request asks."""
    call, options = request.call, request.call.options
    return call_key(
        base_url=preset.base_url,
        model=model,
        stage=call.stage,
        item_id=call.item_id,
        sample=options.sample,
        attempt=options.attempt,
        messages=call.messages,
        record_name=call.record_name,
        sampling={
            "seed": request.seed,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "extra_body": dict(request.extra_body),
            "schema": call.schema,
        },
    )
