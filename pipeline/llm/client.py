"""
The only place that talks to servers: one call, made safely.

In order: look in the journal; check the money; take a permit; send, read and judge; write
the journal and count; give the permit back before any wait; repeat, ask again or raise.
Stages hand in messages and get text or a validated reply.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from pipeline.errors import (
    EndpointDown,
    EndpointLost,
    EndpointRejected,
    LLMError,
    PipelineError,
    UnreadableReply,
)
from pipeline.llm.call import (
    Call,
    CallOptions,
    Reply,
    Request,
    derived_seed,
    first_request,
    record_name,
    strict_schema,
)
from pipeline.llm.capabilities import UNHEEDED
from pipeline.llm.connection import Connection
from pipeline.llm.ledger import Ledger, Work, key_of
from pipeline.llm.limiting import EndpointLimit
from pipeline.llm.outcome import Kind, Outcome
from pipeline.llm.reading import TextReply, form_in, text_in
from pipeline.llm.retry import (
    CUT_FORM,
    AttemptFailed,
    CallRetry,
    RetryPolicy,
    after_a_cut,
)
from pipeline.models.presets import Preset
from pipeline.prompts.templates import Message

T = TypeVar("T")
Value = TypeVar("Value", covariant=True)
R = TypeVar("R", bound=Reply)


class _Read(Protocol[Value]):
    """Reads the text of an answer; UnreadableReply when it is of no use."""

    def __call__(self, text: str, *, is_cut_off: bool) -> Value: ...


def _nobody(_call: Call, _reason: str, _seconds: float) -> None:
    """Hear of a wait, and do nothing."""


class ChatClient:
    """Calls of a run over all its endpoints; safe to use from any number of threads.

    Errors: ItemRejected, Unreachable, UnreadableReply for this call alone;
    EndpointRejected for every call; RunStopped when the run ends before the call did.
    """

    def __init__(
        self,
        connections: Mapping[str, Connection],
        *,
        ledger: Ledger | None = None,
        policy: RetryPolicy | None = None,
        run_seed: int = 0,
        filter_think: bool = True,
        on_wait: Callable[[Call, str, float], None] = _nobody,
    ) -> None:
        """Use the first connection wherever a call names no preset.

        `on_wait` hears, on the call's thread, why it waits before it asks again, and for
        how many seconds.
        """
        self._connections = dict(connections)
        self._main = next(iter(self._connections))
        self.ledger = ledger or Ledger()
        self._policy = policy or RetryPolicy()
        self.run_seed = run_seed
        self._filter_think = filter_think
        self._on_wait = on_wait
        self._lock = threading.Lock()  # guards _lost
        self._lost: dict[str, str] = {}

    def preset(self, name: str | None = None) -> Preset:
        """The named preset of this run, or its main one."""
        return self._connections[name or self._main].preset

    def model(self, name: str | None = None) -> str:
        """The model that the preset asks for."""
        return self._connections[name or self._main].model

    def endpoint(self, name: str | None = None) -> str:
        """The name of the limit that the preset's calls are under."""
        return self._connections[name or self._main].limit.name

    def models(self) -> dict[str, str]:
        """The model of each preset, also where it was found to be the only one there."""
        return {name: each.model for name, each in self._connections.items()}

    def lost(self) -> dict[str, str]:
        """The presets that are out of use, with the reason; never the main one."""
        with self._lock:
            return dict(self._lost)

    def cut_prompts(self) -> dict[str, int]:
        """The presets that read only so many tokens of longer prompts."""
        cut = {name: each.prompts.cut_at() for name, each in self._connections.items()}
        return {name: tokens for name, tokens in cut.items() if tokens is not None}

    def limit_by(self, make_limit: Callable[[Preset], EndpointLimit]) -> None:
        """Put every endpoint under a new limit, for the calls that start from now on."""
        for connection in self._connections.values():
            connection.limit = make_limit(connection.preset)

    def tokens_received(self) -> dict[str, int]:
        """Tokens by stage, of answers that are still coming too; partly estimates."""
        sums: Counter[str] = Counter()
        for connection in self._connections.values():
            sums.update(connection.arrivals.tokens())
        return dict(sums)

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.close()

    def complete(
        self,
        messages: Sequence[Message],
        *,
        stage: str,
        item_id: str,
        options: CallOptions | None = None,
    ) -> TextReply:
        """The text of the answer, without thoughts and fences; never empty."""
        options = options or CallOptions()
        call = Call(stage=stage, item_id=item_id, messages=messages, options=options)

        def read(text: str, *, is_cut_off: bool) -> TextReply:
            model = self.model(options.preset)
            return text_in(
                text,
                model=model,
                is_cut_off=is_cut_off,
                filter_think=self._filter_think,
            )

        return self._ask(call, read)

    def complete_as(
        self,
        record: type[R],
        messages: Sequence[Message],
        *,
        stage: str,
        item_id: str,
        options: CallOptions | None = None,
    ) -> R:
        """The answer as the reply record, validated; asked again while it is not."""
        options = options or CallOptions()
        call = Call(
            stage=stage,
            item_id=item_id,
            messages=messages,
            options=options,
            record_name=record_name(record),
            schema=options.schema or strict_schema(record),
        )

        def read(text: str, *, is_cut_off: bool) -> R:
            if is_cut_off:  # however whole it looks
                raise UnreadableReply(CUT_FORM)
            return form_in(text, record, context=options.context)

        return self._ask(call, read)

    def _ask(self, call: Call, read: _Read[T]) -> T:
        connection = self._connections[call.options.preset or self._main]
        request = first_request(
            call,
            connection.preset,
            run_seed=self.run_seed,
            longest_wait_s=self._policy.longest_outage_s,
        )
        work = Work(
            key=key_of(request, connection.preset, connection.model),
            stage=call.stage,
            item_id=call.item_id,
            model=connection.model,
            price=connection.preset.price,
        )
        if (record := self.ledger.lookup(work.key)) is not None:
            is_cut_off = record.finish_reason == "length"
            try:
                value = read(record.content or "", is_cut_off=is_cut_off)
            except UnreadableReply:
                pass  # of an earlier form of this reply: ask anew
            else:
                self.ledger.note_replayed(record)
                connection.prompts.note_replayed(record, len(request.prompt_text()))
                return value
        try:
            return self._ask_server(connection, request, work, read=read)
        except LLMError as error:
            error.args = (f"{connection.address}: {error}",)
            if isinstance(error, EndpointRejected):
                self._lose(connection, error)
            raise
        except EndpointDown as error:
            self._lose(connection, error)
            raise

    def _lose(self, connection: Connection, error: PipelineError) -> None:
        """Go on without an endpoint, by EndpointLost, that is not the run's main one."""
        if connection.address == self._connections[self._main].address:
            return
        name = connection.preset.name
        with self._lock:
            reason = self._lost.setdefault(name, str(error))
        message = f"preset {name} is out of use: {reason}"
        raise EndpointLost(message) from error

    def _ask_server(
        self, connection: Connection, request: Request, work: Work, *, read: _Read[T]
    ) -> T:
        self.ledger.check_open()
        asked = request.call.options.reasks
        retry = CallRetry(
            self._policy,
            reasks=self._policy.reasks if asked is None else asked,
            rng=random.Random(  # noqa: S311 - jitter is no secret
                derived_seed(request.seed, "jitter")
            ),
        )
        try:
            return retry.run(
                lambda: self._attempt(connection, request, work, read=read),
                sleep=connection.limit.sleep,
                on_wait=partial(self._on_wait, request.call),
            )
        except Exception as error:
            if work.answer is None:  # else it was noted already
                work.error = error
                self.ledger.note_finished(work)
            raise

    def _attempt(
        self, connection: Connection, request: Request, work: Work, *, read: _Read[T]
    ) -> T:
        with connection.attempt(request) as attempt:
            work.add(attempt)
            outcome = attempt.outcome
            if outcome.kind is Kind.CUT_OFF:
                outcome = after_a_cut(outcome, request)
            if outcome.kind is Kind.REASK:
                request.complain(str(outcome.error))
            if outcome.kind not in (Kind.OK, Kind.CUT_OFF):
                raise AttemptFailed(outcome, wait_s=attempt.wait_s)
            value = self._read(outcome, request, read=read)
            connection.learn(request, is_whole=outcome.kind is Kind.OK)
            work.answer = outcome
            # Before the permit is given back: no more answers than are allowed in
            # flight can be lost, whatever happens.
            self.ledger.note_finished(work)
            return value

    def _read(self, outcome: Outcome, request: Request, *, read: _Read[T]) -> T:
        is_cut_off = outcome.kind is Kind.CUT_OFF
        try:
            return read(outcome.text, is_cut_off=is_cut_off)
        except UnreadableReply as error:
            request.complain(str(error))
            if request.call.schema is not None and "{" not in outcome.text:
                request.refused.add(UNHEEDED)
            # With twice the room, a form that is cut off stays cut off: it is given up.
            kind = Kind.FATAL_ITEM if is_cut_off else Kind.REASK
            failed = replace(outcome, kind=kind, error=error)
            raise AttemptFailed(failed) from error.__cause__
