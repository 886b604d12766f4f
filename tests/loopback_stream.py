"""
How an answer of the simulated server is streamed: which bytes, and when.

A script is drawn up from the answer as it would be sent whole, so that a habit or a fault
looks the same either way. It is plain data; the server's loop plays it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple

from tests.loopback_errors import Wire

_DONE = b"data: [DONE]\n\n"
_LEAST_GAP_S = 0.002
_LOST = {"dropped_partial", "cut_body"}
Streams = Literal["as_asked", "refuses", "refuses_options", "ignores", "always"]


class Step(NamedTuple):
    """What is written so many seconds after the work began.

    `body` None ends the connection in the middle, `is_last` the response in good order.
    """

    at_s: float
    body: bytes | None
    is_last: bool = False
    is_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Silence before the first piece, and the time in which the text is written."""

    silence_s: float
    service_s: float
    pieces: int
    thoughts: int = 0
    gap_s: float = 2.0
    trickle_s: float = 5.0


def script(wire: Wire, fault: str, pace: Pace, *, has_usage: bool) -> Iterator[Step]:
    """The steps of one streamed answer; endless where the fault says so."""
    start_s = pace.silence_s
    reply = _reply_in(wire)
    if reply is None:  # a page, an error, nothing: sent whole, as it stands
        return
    choice = reply["choices"][0]
    text, finish = choice["message"]["content"] or "", choice["finish_reason"]
    if fault in {"endless", "endless_space"}:
        yield from _endless(text, fault, pace)
        return
    chunk = _Chunks(reply)
    for number in range(pace.thoughts):
        at_s = start_s * number / pace.thoughts
        yield Step(at_s, chunk({"reasoning_content": "let me think "}), is_text=True)
    service_s = pace.trickle_s if fault == "trickle" else pace.service_s
    parts = _cut(text, pace.pieces)
    half, late_s = len(parts) // 2, 0.0
    for number, part in enumerate(parts):
        if number == half and fault in _LOST | {"error_in_stream"}:
            yield from _broken(fault, start_s + service_s * number / len(parts))
            return
        late_s += pace.gap_s if number == half and fault == "gap" else 0.0
        at_s = start_s + late_s + service_s * number / len(parts)
        yield Step(at_s, chunk({"content": part}), is_text=True)
    tail = b""
    if choice["message"].get("refusal"):
        tail += chunk({"refusal": choice["message"]["refusal"]})
    tail += chunk({}, finish=None if fault == "no_finish" else finish)
    if has_usage and "usage" in reply:
        tail += chunk.usage(reply["usage"])
    yield Step(start_s + late_s + service_s, tail + _DONE, is_last=True)


def _broken(fault: str, at_s: float) -> Iterator[Step]:
    if fault == "error_in_stream":
        error = {"message": "Upstream error from provider", "code": 500}
        told = b"data: " + json.dumps({"error": error}).encode() + b"\n\n"
        yield Step(at_s, told + _DONE, is_last=True)
    elif fault == "cut_body":
        yield Step(at_s, b"", is_last=True)
    else:
        yield Step(at_s, None)


def _endless(text: str, fault: str, pace: Pace) -> Iterator[Step]:
    part = " " * 40 if fault == "endless_space" else (text[:80] or "and so on ")
    body = b"data: " + json.dumps(_chunk({"content": part}, None)).encode() + b"\n\n"
    gap_s = max(_LEAST_GAP_S, pace.service_s / max(1, pace.pieces))
    for number in count():
        yield Step(pace.silence_s + gap_s * number, body, is_text=True)


def _reply_in(wire: Wire) -> dict[str, Any] | None:
    try:
        reply = json.loads(wire.body)
    except ValueError:
        return None
    has_choice = isinstance(reply, dict) and bool(reply.get("choices"))
    return reply if has_choice and wire.status == 200 else None


def _chunk(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


class _Chunks:
    """Pieces of one answer; what does not change is encoded once."""

    def __init__(self, reply: dict[str, Any]) -> None:
        self._head = {key: reply[key] for key in ("id", "created", "model")}
        empty = json.dumps({**self._head, **_chunk({"content": "\0"}, None)})
        before, _, after = empty.partition(json.dumps("\0"))
        self._before = b"data: " + before.encode()
        self._after = after.encode() + b"\n\n"

    def __call__(self, delta: dict[str, Any], *, finish: str | None = None) -> bytes:
        if finish is None and list(delta) == ["content"]:
            return self._before + json.dumps(delta["content"]).encode() + self._after
        event = {**self._head, **_chunk(delta, finish)}
        return b"data: " + json.dumps(event).encode() + b"\n\n"

    def usage(self, usage: dict[str, Any]) -> bytes:
        event = {**self._head, "choices": [], "usage": usage}
        return b"data: " + json.dumps(event).encode() + b"\n\n"


def _cut(text: str, pieces: int) -> list[str]:
    """The text in about so many parts of the same length."""
    length = max(1, -(-len(text) // max(1, pieces)))
    return [text[at : at + length] for at in range(0, len(text), length)]
