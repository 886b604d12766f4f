"""
What the simulated server does with a request: refuse, wait, answer, write it down.

It runs on one event loop and is touched by nothing else; sockets and threads are
elsewhere. Waiting is the loop's timers, so that hundreds in flight cost no thread.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from urllib.parse import parse_qs

from tests.loopback_behaviour import Behaviour
from tests.loopback_caps import CapBook, Refusal
from tests.loopback_errors import (
    AT_ONCE,
    PROXY_TIMEOUT,
    Wire,
    error_wire,
    fault_at_once,
)
from tests.loopback_faults import FaultPlan, RawReply
from tests.loopback_http import HttpConnection, HttpRequest, response_head
from tests.loopback_log import Served, State, Tally, dump_log
from tests.loopback_prose import coined_name
from tests.loopback_request import BadRequestError, ChatRequest, parse_chat_request
from tests.loopback_stream import Pace, Step, script

_TRICKLED_PIECES = 50


@dataclass(slots=True, eq=False)
class _Exchange:
    """One chat request under way."""

    connection: HttpConnection
    raw: HttpRequest
    arrived_s: float
    in_flight: int
    request: ChatRequest | None = None
    fault: str = "ok"
    attempt: int = 0
    service_s: float = 0.0
    started_s: float | None = None
    timer: asyncio.TimerHandle | None = None
    alarms: list[asyncio.TimerHandle] = field(default_factory=list)
    is_admitted: bool = False
    is_streamed: bool = False
    has_head: bool = False
    sent_s: float = 0.0
    first_piece_s: float | None = None
    tokens: int = 0


class LoopbackCore:
    """All state of one simulated server."""

    def __init__(self, behaviour: Behaviour, loop: asyncio.AbstractEventLoop) -> None:
        self._behaviour = behaviour
        self._loop = loop
        caps = behaviour.caps
        self._caps = CapBook(caps if isinstance(caps, Sequence) else [caps])
        self._plan = FaultPlan(behaviour.faults)
        self._queue: deque[_Exchange] = deque()  # admitted, without a place yet
        self._working = 0
        self._tally = Tally()

    def on_request(self, connection: HttpConnection, raw: HttpRequest) -> None:
        """Answers now or later."""
        path, _, query = raw.target.partition("?")
        route = f"{raw.method} {path}"
        refusal = self._behaviour.refused_client(raw.headers)
        if refusal is not None and path.startswith("/v1"):
            _send(connection, refusal)
        elif route == "POST /v1/chat/completions":
            self._on_chat(connection, raw)
        elif route == "GET /v1/models":
            _send(connection, self._behaviour.models_wire(raw.bearer))
        elif route == "GET /_log":
            _send(connection, Wire(200, dump_log(self._tally.log)))
        elif route == "GET /_state":
            self._on_state(connection, parse_qs(query))
        else:
            _send(connection, error_wire(404, f"no route {route}"))

    def _on_state(
        self, connection: HttpConnection, asked: dict[str, list[str]]
    ) -> None:
        """The state, once the number it names is high enough."""
        name, least = asked.get("name", ["hits"])[0], asked.get("least", ["0"])[0]

        def tell(state: State) -> None:
            _send(connection, Wire(200, json.dumps(asdict(state)).encode()))

        self._tally.when(name, int(least), tell)

    def _on_chat(self, connection: HttpConnection, raw: HttpRequest) -> None:
        self._tally.note_arrival()
        in_flight = self._tally.in_flight + 1
        exchange = _Exchange(connection, raw, self._loop.time(), in_flight)
        at_once = self._refusal(exchange)
        if at_once is not None:
            self._end(exchange, at_once)
        else:
            self._admit(exchange)

    def _refusal(self, exchange: _Exchange) -> Wire | None:
        """The answer that needs no work; None admits the request."""
        exchange.fault = "refused"
        if (wire := self._behaviour.refused_key(exchange.raw.bearer)) is not None:
            return wire
        try:
            request = exchange.request = parse_chat_request(exchange.raw.body)
        except BadRequestError as error:
            exchange.fault = "invalid"
            return error_wire(400, str(error))
        if (wire := self._behaviour.refused_request(request)) is not None:
            return wire
        capped = self._caps.refuse(exchange.arrived_s, in_flight=self._tally.in_flight)
        if capped is not None:
            exchange.fault = "cap"
            return _capped_wire(capped)
        return self._fated(exchange, request)

    def _fated(self, exchange: _Exchange, request: ChatRequest) -> Wire | None:
        fate, exchange.attempt = self._plan.decide(request, exchange.arrived_s)
        if isinstance(fate, RawReply):
            exchange.fault = "raw"
            return Wire(fate.status, fate.body.encode(), fate.headers)
        exchange.fault = fate
        if fate not in AT_ONCE:
            return None
        hint = self._behaviour.faults.retry_after
        key = exchange.raw.bearer
        return fault_at_once(fate, model=request.model, key=key, retry_after=hint)

    def _admit(self, exchange: _Exchange) -> None:
        request = exchange.request
        assert request is not None
        exchange.is_admitted = True
        self._tally.note_admission()
        exchange.connection.on_lost = lambda: self._abandon(exchange)
        exchange.is_streamed = self._behaviour.is_streamed(request)
        exchange.service_s = self._behaviour.service_time_s(
            request.item, stage=request.stage
        ) + self._behaviour.silence_s(request.item, stage=request.stage)
        exchange.sent_s = self._loop.time()
        self._watch_silence(exchange)
        self._queue.append(exchange)
        self._start_queued()

    def _start_queued(self) -> None:
        while self._queue and self._has_place():
            exchange = self._queue.popleft()
            exchange.started_s = self._loop.time()
            self._working += 1
            self._start(exchange)

    def _has_place(self) -> bool:
        return self._caps.slots is None or self._working < self._caps.slots

    def _start(self, exchange: _Exchange) -> None:
        delay_s = exchange.service_s
        if exchange.fault == "hang":
            hang_s = self._behaviour.faults.hang_s
            if hang_s is None:
                return  # until the client leaves
            delay_s += hang_s
        if exchange.is_streamed and self._begin_stream(exchange):
            return
        if exchange.fault in {"endless", "endless_space"}:
            return  # what does not end is never sent whole
        # Through the loop also while others wait: each end starts the next, and a
        # chain of calls would grow as deep as the queue.
        if delay_s > 0 or self._queue:
            exchange.timer = self._loop.call_later(delay_s, self._finish, exchange)
        else:
            self._finish(exchange)

    def _finish(self, exchange: _Exchange) -> None:
        """The work is done: answer, or fail to."""
        assert exchange.request is not None
        fault = exchange.fault
        wire = self._behaviour.answer_to(exchange.request, fault=fault)
        if fault == "trickle":
            self._trickle(exchange, wire, sent=0)
        elif fault in {"dropped", "dropped_partial"}:
            self._end(exchange, None)
            if fault == "dropped_partial":
                head = response_head(wire.status, len(wire.body), wire.headers)
                exchange.connection.write(head + wire.body[: len(wire.body) // 2])
            exchange.connection.close()
        else:
            self._end(exchange, wire)

    def _begin_stream(self, exchange: _Exchange) -> bool:
        """Play the answer's script; False where it is sent whole after all."""
        request, behaviour = exchange.request, self._behaviour
        assert request is not None
        if exchange.fault == "dropped":
            return False
        faults = behaviour.faults
        silence_s = behaviour.silence_s(request.item, stage=request.stage)
        pace = Pace(
            silence_s=silence_s,
            service_s=exchange.service_s - silence_s,
            pieces=behaviour.pieces,
            thoughts=behaviour.thoughts,
            gap_s=faults.gap_s,
            trickle_s=faults.trickle_s,
        )
        wire = behaviour.answer_to(request, fault=exchange.fault)
        steps = script(wire, exchange.fault, pace, has_usage=request.wants_usage)
        first = next(steps, None)
        if first is None:
            return False
        exchange.tokens = wire.completion_tokens
        self._keep_alive(exchange)
        self._play(exchange, first, steps)
        return True

    def _keep_alive(self, exchange: _Exchange) -> None:
        """A comment now and then, as long as there is nothing else to send."""
        every_s = self._behaviour.keepalive_s
        if every_s is None or exchange.first_piece_s is not None:
            return

        def comment() -> None:
            if exchange.first_piece_s is None:
                self._write(exchange, b": keep-alive\n\n")
                self._keep_alive(exchange)

        exchange.alarms.append(self._loop.call_later(every_s, comment))

    def _play(self, exchange: _Exchange, step: Step, steps: Iterator[Step]) -> None:
        """Write each step when its time has come."""
        assert exchange.started_s is not None
        while step.at_s <= self._loop.time() - exchange.started_s:
            if step.body is None:
                self._end(exchange, None)
                exchange.connection.close()
                return
            if step.is_text and exchange.first_piece_s is None:
                exchange.first_piece_s = self._loop.time()
            if step.is_last:
                self._write_head(exchange)
                self._end(exchange, Wire(200, b""), unsent=step.body)
                return
            self._write(exchange, step.body)
            step = next(steps)
        exchange.timer = self._loop.call_at(
            exchange.started_s + step.at_s, self._play, exchange, step, steps
        )

    def _write(self, exchange: _Exchange, body: bytes) -> None:
        self._write_head(exchange)
        exchange.connection.write_chunk(body)
        exchange.sent_s = self._loop.time()

    def _write_head(self, exchange: _Exchange) -> None:
        if not exchange.has_head:
            exchange.has_head = True
            exchange.connection.begin_stream(self._caps.headers(self._loop.time()))

    def _watch_silence(self, exchange: _Exchange) -> None:
        """The proxy in front: it cuts who has been silent for too long."""
        longest_s = self._behaviour.proxy_silence_s
        if longest_s is None:
            return

        def look() -> None:
            if self._loop.time() - exchange.sent_s < longest_s - 0.001:
                self._watch_silence(exchange)
                return
            self._stop_work(exchange)
            exchange.fault = "proxy"
            if exchange.has_head:
                self._end(exchange, None)
                exchange.connection.close()
            else:
                self._end(exchange, PROXY_TIMEOUT)

        at_s = exchange.sent_s + longest_s
        exchange.alarms.append(self._loop.call_at(at_s, look))

    def _stop_work(self, exchange: _Exchange) -> None:
        if exchange.timer is not None:
            exchange.timer.cancel()
        if exchange.started_s is None:
            self._queue.remove(exchange)

    def _trickle(self, exchange: _Exchange, wire: Wire, *, sent: int) -> None:
        """The body in pieces, so that no single read takes long."""
        if sent == 0:
            head = response_head(wire.status, len(wire.body), wire.headers)
            exchange.connection.write(head)
        piece = len(wire.body) // _TRICKLED_PIECES + 1
        left = sent + piece
        if left >= len(wire.body):
            self._end(exchange, wire, unsent=wire.body[sent:])
            return
        exchange.connection.write(wire.body[sent:left])
        gap_s = self._behaviour.faults.trickle_s / _TRICKLED_PIECES
        exchange.timer = self._loop.call_later(
            gap_s, lambda: self._trickle(exchange, wire, sent=left)
        )

    def _abandon(self, exchange: _Exchange) -> None:
        """The client left: its work stops, as with vLLM and llama.cpp."""
        self._stop_work(exchange)
        exchange.fault = "abandoned"
        self._end(exchange, None)

    def _end(
        self, exchange: _Exchange, wire: Wire | None, *, unsent: bytes | None = None
    ) -> None:
        """
        Writes the log, then the response, so that who reads the one finds the other.

        `unsent` is what is left of a response that has begun.
        """
        for alarm in exchange.alarms:
            alarm.cancel()
        if exchange.is_admitted:
            self._working -= exchange.started_s is not None
        served = self._served(exchange, wire)
        self._tally.note_end(served, was_admitted=exchange.is_admitted)
        if unsent is not None and exchange.has_head:
            exchange.connection.write_chunk(unsent)
            exchange.connection.end_stream()
        elif unsent is not None:
            exchange.connection.write(unsent)
            exchange.connection.end_response()
        elif wire is not None:
            headers = {**wire.headers, **self._caps.headers(self._loop.time())}
            exchange.connection.respond(wire.status, wire.body, headers)
        self._start_queued()

    def _served(self, exchange: _Exchange, wire: Wire | None) -> Served:
        request, now_s = exchange.request, self._loop.time()
        started_s = exchange.started_s
        return Served(
            stage=request.stage if request else "",
            item=request.item if request else "",
            arrived_s=exchange.arrived_s,
            started_s=exchange.arrived_s if started_s is None else started_s,
            finished_s=now_s,
            status=wire.status if wire else 0,
            fault=exchange.fault,
            attempt=exchange.attempt,
            in_flight=exchange.in_flight,
            service_s=exchange.service_s,
            model=request.model if request else "",
            name=coined_name(request.item) if request else "",
            body_digest=blake2b(exchange.raw.body, digest_size=8).hexdigest(),
            prompt_tokens=request.prompt_tokens if request else 0,
            completion_tokens=(wire.completion_tokens or exchange.tokens)
            if wire
            else 0,
            streamed=exchange.has_head,
            first_piece_s=exchange.first_piece_s,
            body=request.body if request and self._behaviour.keep_bodies else None,
        )


def _send(connection: HttpConnection, wire: Wire) -> None:
    connection.respond(wire.status, wire.body, wire.headers)


def _capped_wire(refusal: Refusal) -> Wire:
    return fault_at_once("429", model="", retry_after=refusal.retry_after)
