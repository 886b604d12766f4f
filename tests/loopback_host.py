"""
Where the simulated server runs: a thread of this process, or a process of its own.

A process of its own takes no turn of this one's interpreter lock, which benchmarks
want; it ends with its parent. Both are asked for their log over HTTP.
"""

import asyncio
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

from tests.loopback_behaviour import Behaviour
from tests.loopback_core import LoopbackCore
from tests.loopback_http import HttpConnection

_START_LIMIT_S = 30.0
_ROOT = Path(__file__).resolve().parent.parent
_CHILD = "from tests.loopback_host import serve_pickled; serve_pickled()"


class Host(Protocol):
    """A running server."""

    port: int
    pid: int

    def stop(self) -> None: ...


class ThreadHost:
    """Serves from a thread of this process until stopped."""

    def __init__(self, behaviour: Behaviour, *, port: int = 0) -> None:
        self.pid = os.getpid()
        self.port = port
        self._behaviour = behaviour
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self._failure: OSError | None = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="loopback", daemon=True
        )
        self._thread.start()
        if not self._is_up.wait(_START_LIMIT_S):
            raise TimeoutError("the simulated server did not start")
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Ends all connections; requests in flight get no answer."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        core = LoopbackCore(self._behaviour, self._loop)
        connections: set[HttpConnection] = set()
        try:
            server = await self._loop.create_server(
                lambda: HttpConnection(core.on_request, connections),
                "127.0.0.1",
                self.port,
                backlog=1024,
            )
        except OSError as error:
            self._failure = error
            self._is_up.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._is_up.set()
        await self._stopped.wait()
        server.close()
        while connections:
            for connection in tuple(connections):
                connection.abort()
            await asyncio.sleep(0)  # lets each hear that it is lost
        await server.wait_closed()


class ProcessHost:
    """Serves from a new process, which ends when stopped or when this one ends."""

    def __init__(self, behaviour: Behaviour, *, port: int = 0) -> None:
        # In a session of its own: Ctrl-C in the terminal is for the client under test.
        self._process = subprocess.Popen(  # noqa: S603  (our own code)
            [sys.executable, "-c", _CHILD],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((behaviour, port), self._process.stdin)
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise ChildProcessError("the simulated server did not start")
        self.port = int(line)

    def stop(self) -> None:
        """Ends the process; requests in flight get no answer."""
        process = self._process
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def serve_pickled() -> None:
    """The child's work: serve as standard input says, until that is closed."""
    behaviour, port = pickle.load(sys.stdin.buffer)  # noqa: S301  (our own parent's)
    host = ThreadHost(behaviour, port=port)
    sys.stdout.write(f"{host.port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    host.stop()
