"""
An OpenAI-compatible server on this machine's loopback, simulated for tests.

It answers every schema of the pipeline, takes times drawn from a seed per work item,
fails on request and logs what it was asked. It generates nothing: its texts have the
shape of articles and records, not their sense.

    with LoopbackLLM(seed=1, service=Lognormal(median_s=0.2), keep_bodies=True) as server:
        client = OpenAI(base_url=server.base_url, api_key="any", max_retries=0)
"""

import argparse
import contextlib
import http.client
import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from types import TracebackType
from typing import Self, get_args

from tests.loopback_behaviour import Answer, Behaviour, Habit
from tests.loopback_caps import Cap, InFlightCap, RateCap, Slots
from tests.loopback_faults import RATES, Fault, Faults, RawReply
from tests.loopback_host import Host, ProcessHost, ThreadHost
from tests.loopback_log import Served, State, load_log
from tests.loopback_request import ChatRequest
from tests.loopback_service import Fixed, Lognormal, Service, Uniform
from tests.loopback_stream import Streams

__all__ = [
    "Answer",
    "Behaviour",
    "Cap",
    "ChatRequest",
    "Fault",
    "Faults",
    "Fixed",
    "Habit",
    "InFlightCap",
    "Lognormal",
    "LoopbackLLM",
    "RateCap",
    "RawReply",
    "Served",
    "Service",
    "Slots",
    "State",
    "Streams",
    "Uniform",
]
FAILSAFE_S = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LoopbackLLM(Behaviour):
    """
    The server as a context manager; it starts on entry, or when first asked anything.

    With `process` it runs in a process of its own; an `answer` must then be a function
    of an importable module. Ask nothing of it from inside an `answer`.
    """

    process: bool = False
    port: int = 0  # 0: any free one

    def __enter__(self) -> Self:
        _ = self._host
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """What a client is given."""
        return f"http://127.0.0.1:{self._host.port}/v1"

    @property
    def pid(self) -> int:
        """The process that serves; this one without `process`."""
        return self._host.pid

    def log(self) -> list[Served]:
        """Every chat request that has ended, by its end; also after `close`."""
        if self._last_log:
            return list(self._last_log[0])
        return load_log(self._get("/_log", timeout_s=30.0))

    def state(self) -> State:
        """How many have arrived, ended, are in flight at this moment."""
        return State(**json.loads(self._get("/_state")))

    def wait_for(
        self,
        *,
        hits: int | None = None,
        finished: int | None = None,
        in_flight: int | None = None,
        timeout_s: float = FAILSAFE_S,
    ) -> State:
        """
        Returns once at least so many chat requests have arrived, ended, or are in flight.

        One of the three; raises TimeoutError after `timeout_s`.
        """
        wanted = {"hits": hits, "finished": finished, "in_flight": in_flight}
        ((name, least),) = ((n, v) for n, v in wanted.items() if v is not None)
        path = f"/_state?name={name}&least={least}"
        return State(**json.loads(self._get(path, timeout_s=timeout_s)))

    def close(self) -> None:
        """Ends all connections at once; the log stays."""
        if self._last_log:
            return
        try:
            self._last_log.append(self.log())
        finally:
            self._host.stop()

    # Frozen like its settings; what is started later lives in these two.
    @cached_property
    def _host(self) -> Host:
        own = {field.name: getattr(self, field.name) for field in fields(Behaviour)}
        host = ProcessHost if self.process else ThreadHost
        return host(Behaviour(**own), port=self.port)

    @cached_property
    def _last_log(self) -> list[list[Served]]:
        return []

    def _get(self, path: str, *, timeout_s: float = FAILSAFE_S) -> bytes:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._host.port, timeout=timeout_s
        )
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until interrupted; the first line is the base URL."""
    flags = _parser().parse_args(argv)
    # The address is told inside: who reads it may interrupt at once.
    with _server(flags) as server, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        threading.Event().wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.loopback_llm",
        description="A simulated OpenAI-compatible server; Ctrl-C ends it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 takes any free one")
    add("--seed", type=int, default=0, help="of the service times")
    add("--median-s", type=float, default=0.0, help="median service time")
    add("--sigma", type=float, default=0.5, help="spread of the service times")
    add("--habit", choices=get_args(Habit), default="json_schema")
    add("--refuse", nargs="*", default=[], metavar="PARAMETER")
    add("--streams", choices=get_args(Streams), default="as_asked")
    add("--pieces", type=int, default=8, help="of a streamed answer")
    add("--first-piece-s", type=float, help="median silence before the first of them")
    add("--proxy-silence-s", type=float, help="a proxy cuts what is silent so long")
    add("--cap-in-flight", type=int, help="429 above so many")
    add("--cap-per-s", type=float, help="429 above such a rate")
    add("--burst", type=int, default=1, help="of --cap-per-s")
    add("--slots", type=int, help="work on so many, let the rest wait")
    add("--retry-after", help="sent with every 429")
    add("--fault-seed", type=int, default=0)
    add("--always", choices=get_args(Fault), metavar="FAULT", help="for every request")
    add("--outage", type=float, nargs=2, metavar="S", help="503 from S to S seconds")
    for name in RATES:
        add(f"--{name.replace('_', '-')}", type=float, default=0.0, metavar="SHARE")
    return parser


def _server(flags: argparse.Namespace) -> LoopbackLLM:
    rates = {name: getattr(flags, name) for name in RATES}
    faults = Faults(
        seed=flags.fault_seed,
        retry_after=flags.retry_after,
        always=flags.always,
        outage=tuple(flags.outage) if flags.outage else None,
        **rates,
    )
    return LoopbackLLM(
        port=flags.port,
        seed=flags.seed,
        service=Lognormal(flags.median_s, flags.sigma),
        habit=flags.habit,
        refuses=frozenset(flags.refuse),
        caps=_caps(flags),
        faults=faults,
        streams=flags.streams,
        pieces=flags.pieces,
        first_piece=flags.first_piece_s and Lognormal(flags.first_piece_s, flags.sigma),
        proxy_silence_s=flags.proxy_silence_s,
    )


def _caps(flags: argparse.Namespace) -> list[Cap]:
    caps: list[Cap] = []
    if flags.cap_in_flight:
        caps.append(InFlightCap(flags.cap_in_flight, flags.retry_after))
    if flags.cap_per_s:
        hint = flags.retry_after
        caps.append(RateCap(per_s=flags.cap_per_s, burst=flags.burst, retry_after=hint))
    if flags.slots:
        caps.append(Slots(flags.slots))
    return caps


if __name__ == "__main__":
    sys.exit(main())
