"""
The least of HTTP/1.1 that an OpenAI client needs, on asyncio's raw protocol.

It reads requests with a Content-Length, keeps connections alive and writes responses
in one piece or in chunks. No pipelining, no chunked requests, no TLS; it knows nothing of chat.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_MAX_HEAD = 65_536
_MAX_BODY = 256 * 1024 * 1024
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class HttpConnection(asyncio.Protocol):
    """One client's connection: a request, its response, the next request."""

    def __init__(
        self,
        on_request: "Callable[[HttpConnection, HttpRequest], None]",
        connections: "set[HttpConnection]",
    ) -> None:
        self._on_request = on_request
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._is_busy = False
        self._closes = False
        self.on_lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's)
        self._transport = None
        self._connections.discard(self)
        if self.on_lost is not None:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_busy:
            self._next_request()

    def respond(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """The whole response; the connection is then ready for the next request."""
        self.write(response_head(status, len(body), headers or {}) + body)
        self.end_response()

    def begin_stream(self, headers: Mapping[str, str]) -> None:
        """The head of a response in chunks; `write_chunk` and `end_stream` follow."""
        fields = {"content-type": "text/event-stream", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 200 OK\r\n{lines}transfer-encoding: chunked\r\n\r\n"
        self.write(head.encode("latin-1", "replace"))

    def write_chunk(self, data: bytes) -> None:
        """One chunk of a response in chunks."""
        if data:
            self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        """The response in chunks is complete."""
        self.write(b"0\r\n\r\n")
        self.end_response()

    def write(self, data: bytes) -> None:
        """A piece of a response."""
        if self._transport is not None:
            self._transport.write(data)

    def end_response(self) -> None:
        """The response is complete."""
        self.on_lost = None
        self._is_busy = False
        if self._closes and self._transport is not None:
            self._transport.close()
        elif self._buffer:
            asyncio.get_running_loop().call_soon(self._next_request)

    def close(self) -> None:
        """After what was written."""
        self.on_lost = None
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """At once."""
        if self._transport is not None:
            self._transport.abort()

    def _next_request(self) -> None:
        if self._is_busy or self._transport is None:
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEAD:
                self._refuse(431)
            return
        try:
            method, target, headers = _parse_head(bytes(self._buffer[:end]))
            length = int(headers.get("content-length", "0"))
        except ValueError:
            self._refuse(400)
            return
        if not 0 <= length <= _MAX_BODY or "transfer-encoding" in headers:
            self._refuse(411 if "transfer-encoding" in headers else 413)
        elif len(self._buffer) >= end + 4 + length:
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._is_busy = True
            self._closes = headers.get("connection", "").lower() == "close"
            self._on_request(self, HttpRequest(method, target, headers, body))

    def _refuse(self, status: int) -> None:
        """Nothing after a malformed head can be trusted: answer and close."""
        self._buffer.clear()
        self._is_busy = True
        self._closes = True
        self.respond(status, b'{"error":{"message":"malformed HTTP request"}}')


def response_head(status: int, length: int, headers: Mapping[str, str]) -> bytes:
    """Status line and headers, up to the body."""
    fields = {"content-type": "application/json", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    reason = _REASONS.get(status, "Status")
    return (
        f"HTTP/1.1 {status} {reason}\r\n{lines}content-length: {length}\r\n\r\n"
    ).encode("latin-1", "replace")


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    start, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = start.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(line)
        headers[name.strip().lower()] = value.strip()
    return method, target, headers
