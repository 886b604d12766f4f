"""
The small model that serves when there is no key: llama.cpp in a process of its own.

It speaks the same protocol over loopback as any other endpoint, so the rest of the
program does not know it from one. It does not choose the endpoint, and the model file
is found elsewhere.

The server could run inside this process, but then a call in flight at the end of the
program crashes it or hangs it beyond Ctrl-C. As a child it ends when this process does,
however that ends, and its log cannot reach the terminal.
"""

import http.client
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from pipeline.errors import SettingsError
from pipeline.models.builtin_fetch import REAL_ENDPOINT, find_model

ALIAS = "smollm2-135m-instruct"
CONTEXT_TOKENS = 4096
MAX_SLOTS = 4  # more share the same cores, and each takes memory
NOTICE = (
    f"the built-in model ({ALIAS}) is a small one that shows the program working; "
    f"{REAL_ENDPOINT}"
)

_SERVER_FILE = Path(__file__).with_name("builtin_server.py")
_START_TIMEOUT_S = 120.0
_CLOSE_TIMEOUT_S = 5.0
_MAX_THREADS = 4

Find = Callable[..., Path]


class BuiltinServer:
    """A running server. Closing twice is fine; so is never closing."""

    model = ALIAS

    def __init__(self, process: subprocess.Popen[str], base_url: str) -> None:
        """Take over the child, which serves at `base_url`."""
        self.base_url = base_url
        self._process = process

    def close(self) -> None:
        """End the server at once; calls in flight fail. At most about 5 seconds."""
        _end(self._process)


def start_builtin_model(
    *,
    slots: int,
    threads: int | None = None,
    say: Callable[[str], None],
    find: Find = find_model,
    server_file: Path = _SERVER_FILE,
    find_spec: Callable[[str], Any] = importlib.util.find_spec,
) -> BuiltinServer:
    """
    Return the built-in model, ready to answer `slots` calls at once (1 to MAX_SLOTS).

    `say` is told only when the model has to be fetched first. `threads` is by default
    one core fewer than there are. Raises SettingsError where it cannot run, naming
    what to set for a real endpoint.
    """
    if find_spec("xllamacpp") is None:
        message = (
            "the built-in model needs the package xllamacpp, which is not installed "
            f"(it has no wheel for every platform); {REAL_ENDPOINT}"
        )
        raise SettingsError(message)
    model = find(say=say)
    flags = {
        "--model": model,
        "--alias": ALIAS,
        "--slots": min(MAX_SLOTS, max(1, slots)),
        "--context": CONTEXT_TOKENS,
        "--threads": threads or default_threads(_cores()),
    }
    command = [sys.executable, "-P", str(server_file)]
    command += [f"{flag}={value}" for flag, value in flags.items()]
    process = subprocess.Popen(  # noqa: S603 -- our own file, no shell
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # Ctrl-C is for this process to answer; the server ends with it.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    try:
        address = _address(process)
        _check_ready(address)
    except BaseException:
        _end(process)
        raise
    return BuiltinServer(process, f"{address}/v1")


def default_threads(cores: int) -> int:
    """
    Return how many threads to compute with on a machine of so many cores.

    One core is left to everything else. Threads that wait for each other on a busy
    machine are slower than one alone: 5 instead of 59 tokens a second on two cores.
    """
    return max(1, min(_MAX_THREADS, cores - 1))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _address(process: subprocess.Popen[str]) -> str:
    """Wait for the child's one line and return the address in it."""
    watchdog = threading.Timer(_START_TIMEOUT_S, process.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        for line in _pipe(process.stdout):
            if line.startswith("http://"):
                return line.strip()
            if line.startswith("error: "):
                raise _not_started(line.removeprefix("error: ").strip())
        why = f"its process ended with code {process.wait()}"
        raise _not_started(why)
    finally:
        watchdog.cancel()
        watchdog.join()


def _check_ready(address: str) -> None:
    """Ask the server itself, past any proxy that the environment names."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=_START_TIMEOUT_S
    )
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise _not_started(str(error)) from error
    finally:
        connection.close()
    if status != http.client.OK:
        why = f"it answers {status}"
        raise _not_started(why)


def _end(process: subprocess.Popen[str]) -> None:
    """Close the child's stdin, which ends it, and collect it."""
    _pipe(process.stdin).close()
    try:
        process.wait(_CLOSE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _pipe(process.stdout).close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # noqa: S101 -- both pipes were asked for
    return stream


def _not_started(why: str) -> SettingsError:
    return SettingsError(f"the built-in model did not start: {why}; {REAL_ENDPOINT}")
