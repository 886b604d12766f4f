"""
A deadline for a whole HTTP exchange.

The timeouts of the HTTP library bound one socket operation each: a server that sends a
byte now and then holds a call for ever. Here every socket operation of a thread gets
what is left of the thread's deadline. Looking up a host name is not bounded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Deadlines:
    """The deadline of the call that a thread is in, if it is in one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Measure with `clock`, in seconds."""
        self._clock = clock
        self._local = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound every socket operation of this thread until the block is left."""
        self._local.ends_s = self._clock() + seconds
        try:
            yield
        finally:
            self._local.ends_s = None

    def bounded(self, timeout_s: float | None) -> float | None:
        """The timeout, or what is left where that is less.

        Raises the HTTP library's ReadTimeout when nothing is: a server that never
        stops sending keeps every timeout of a socket, however short.
        """
        ends_s: float | None = getattr(self._local, "ends_s", None)
        if ends_s is None:
            return timeout_s
        left_s = ends_s - self._clock()
        if left_s <= 0:
            from httpcore2 import ReadTimeout  # here: --help needs no HTTP

            raise ReadTimeout
        return left_s if timeout_s is None else min(timeout_s, left_s)


def bound_sockets(http_client: Any, deadlines: Deadlines) -> None:
    """Put every connection that the HTTP client will open under the deadlines.

    The library takes a network back end where it builds a pool, but not where it
    builds a client with the user's proxies; so the pools of the client are reached.
    """
    for transport in (http_client._transport, *http_client._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend, deadlines)


class _Backend:
    """A network back end whose streams keep the deadline."""

    def __init__(self, backend: Any, deadlines: Deadlines) -> None:
        self._backend = backend
        self._deadlines = deadlines

    def connect_tcp(self, *args: Any, **kwargs: Any) -> _Stream:
        kwargs["timeout"] = self._deadlines.bounded(kwargs.get("timeout"))
        return _Stream(self._backend.connect_tcp(*args, **kwargs), self._deadlines)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _Stream:
    """A connection whose reads and writes keep the deadline."""

    def __init__(self, stream: Any, deadlines: Deadlines) -> None:
        self._stream = stream
        self._deadlines = deadlines

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._stream.read(max_bytes, self._deadlines.bounded(timeout))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadlines.bounded(timeout))

    def start_tls(self, *args: Any, **kwargs: Any) -> _Stream:
        kwargs["timeout"] = self._deadlines.bounded(kwargs.get("timeout"))
        return _Stream(self._stream.start_tls(*args, **kwargs), self._deadlines)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
