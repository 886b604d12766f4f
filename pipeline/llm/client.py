"""
The only place that talks to servers: one call, made safely.

In order: look in the journal; check the money; take a place at the gate; send; judge
the outcome; give the place back before any wait; repeat, ask again or raise; write the
journal; count. Stages hand in messages and get text or a validated reply.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pipeline.errors import UnreadableReply
from pipeline.llm.call import (
    Call,
    CallOptions,
    Reply,
    Request,
    record_name,
    strict_schema,
)
from pipeline.llm.call_record import call_key
from pipeline.llm.connection import Connection
from pipeline.llm.ledger import Answer, Finished, Ledger, Work
from pipeline.llm.outcome import Kind
from pipeline.llm.presets import Preset
from pipeline.llm.reading import TextReply, form_in, text_in
from pipeline.llm.retry import AttemptFailed, CallRetry, RetryPolicy
from pipeline.metrics import estimated_usage
from pipeline.prompting import Message
from pipeline.seeds import derived_seed

T = TypeVar("T")
R = TypeVar("R", bound=Reply)


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
    ) -> None:
        """Use the first connection wherever a call names no preset."""
        self._connections = dict(connections)
        self._main = next(iter(self._connections))
        self._ledger = ledger or Ledger()
        self._policy = policy or RetryPolicy()
        self.run_seed = run_seed
        self._filter_think = filter_think

    def preset(self, name: str | None = None) -> Preset:
        """The named preset of this run, or its main one."""
        return self._connections[name or self._main].preset

    def model(self, name: str | None = None) -> str:
        """The model that the preset asks for."""
        return self._connections[name or self._main].model

    def lane(self, name: str | None = None) -> str:
        """The name of the gate that the preset's calls go through."""
        return self._connections[name or self._main].gate.name

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

        def read(answer: Answer) -> TextReply:
            model = self.model(options.preset)
            return text_in(answer, model=model, filter_think=self._filter_think)

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

        return self._ask(
            call, lambda answer: form_in(answer, record, context=options.context)
        )

    def _ask(self, call: Call, read: Callable[[Answer], T]) -> T:
        connection = self._connections[call.options.preset or self._main]
        request = self._first_request(connection, call)
        key = self._key(connection, request)
        if (record := self._ledger.lookup(key)) is not None:
            try:
                value = read(Answer(record.content or "", record.finish_reason))
            except UnreadableReply:
                pass  # of an earlier form of this reply: ask anew
            else:
                self._ledger.note_replayed(record)
                return value
        return self._ask_server(connection, request, key=key, read=read)

    def _ask_server(
        self,
        connection: Connection,
        request: Request,
        *,
        key: str,
        read: Callable[[Answer], T],
    ) -> T:
        self._ledger.check_budget()
        work = Work()
        policy, asked = self._policy, request.call.options.reasks
        retry = CallRetry(
            policy,
            reasks=policy.reasks if asked is None else asked,
            rng=random.Random(  # noqa: S311 - jitter is no secret
                derived_seed(request.seed, "jitter")
            ),
        )
        error: Exception | None = None
        try:
            return retry.run(
                lambda: self._attempt(connection, request, work, read=read),
                sleep=connection.gate.sleep,
            )
        except Exception as raised:
            error = raised
            raise
        finally:
            self._ledger.note_finished(
                Finished(
                    key=key,
                    stage=request.call.stage,
                    item_id=request.call.item_id,
                    model=connection.model,
                    price=connection.preset.price,
                    error=error,
                ),
                work,
            )

    def _attempt(
        self,
        connection: Connection,
        request: Request,
        work: Work,
        *,
        read: Callable[[Answer], T],
    ) -> T:
        outcome, seconds, wait_s = connection.attempt(request)
        usage = outcome.usage
        if outcome.kind in (Kind.OK, Kind.CUT_OFF):
            usage = usage or estimated_usage(request.prompt_text(), outcome.text)
        work.add(usage, seconds=seconds)
        is_longer_asked = outcome.kind is Kind.CUT_OFF and request.enlarge_once()
        if is_longer_asked or outcome.kind not in (Kind.OK, Kind.CUT_OFF):
            raise AttemptFailed.from_outcome(
                outcome, wait_s=wait_s, is_outage=connection.gate.is_out
            )
        answer = Answer(outcome.text, outcome.finish_reason)
        try:
            value = read(answer)
        except UnreadableReply as error:
            # A cut-off form stays cut off: it is given up, not asked for again.
            kind = Kind.FATAL_ITEM if outcome.kind is Kind.CUT_OFF else None
            request.complain(str(error))
            raise AttemptFailed(error, kind=kind) from error.__cause__
        work.answer = answer
        return value

    def _first_request(self, connection: Connection, call: Call) -> Request:
        preset, options = connection.preset, call.options
        temperature = options.temperature
        return Request(
            call=call,
            seed=call.seed(self.run_seed),
            temperature=preset.temperature if temperature is None else temperature,
            max_tokens=options.max_tokens
            or (None if call.schema else preset.max_tokens),
            extra_body={
                **preset.extra_body,
                **(preset.json_body if call.schema else preset.text_body),
                **options.extra_body,
            },
        )

    def _key(self, connection: Connection, request: Request) -> str:
        call, options = request.call, request.call.options
        return call_key(
            base_url=connection.preset.base_url,
            model=connection.model,
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
