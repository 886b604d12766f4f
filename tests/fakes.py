"""
Shared doubles: a limit that never waits, a clock, clients of a simulated server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import Field

from pipeline.llm.call import Call, Reply, Request
from pipeline.llm.client import ChatClient
from pipeline.llm.connection import Attempt, Connection
from pipeline.llm.ledger import Ledger
from pipeline.llm.limiting import EndpointLimit, Observation
from pipeline.llm.retry import RetryPolicy
from pipeline.metrics import PipelineMetrics
from pipeline.models.presets import Preset
from pipeline.prompts.templates import Message
from tests.loopback_llm import LoopbackLLM

FAILSAFE_S = 5.0  # reached only by a failing test
KEY = "sk-test-0123456789"


class Verdict(Reply):
    """A small form to ask for."""

    word: str
    mark: int = Field(ge=1, le=10)


def asking(text: str = "Write an article of 60 words.") -> list[Message]:
    """The messages of a call."""
    return [
        {"role": "system", "content": "You write."},
        {"role": "user", "content": text},
    ]


class OpenLimit:
    """Lets everyone in, keeps what it is told, and sleeps by writing it down."""

    name = "open"

    def __init__(self, *, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        self.seen: list[Observation] = []
        self.first_pieces: list[float] = []
        self.naps: list[float] = []

    @contextmanager
    def permit(self, _stage: str, /) -> Iterator[OpenLimit]:
        yield self

    def note_first_piece(self, at_s: float, /) -> None:
        self.first_pieces.append(at_s)

    def note(self, observation: Observation, /) -> float:
        self.seen.append(observation)
        return self.wait_s

    def sleep(self, seconds: float, /) -> None:
        self.naps.append(seconds)


class FakeClock:
    """Seconds that pass when a test says so."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def connection_to(
    server: LoopbackLLM | str,
    *,
    limit: EndpointLimit | None = None,
    timeout_s: float = FAILSAFE_S,
    key: str = KEY,
    say: Callable[[str], None] = lambda _line: None,
    clock: Callable[[], float] = time.monotonic,
    **preset: Any,
) -> Connection:
    """A connection to the simulated server; further names are the preset's."""
    base_url = server if isinstance(server, str) else server.base_url
    stated: dict[str, Any] = {"name": "test", "base_url": base_url, "model": "m"}
    return Connection(
        Preset(**{**stated, **preset}),
        base_url=base_url,
        api_key=key,
        limit=limit or OpenLimit(),
        max_in_flight=8,
        timeout_s=timeout_s,
        say=say,
        clock=clock,
    )


class Clients:
    """Makes chat clients, and closes them."""

    def __init__(self) -> None:
        self._made: list[ChatClient] = []

    def __call__(
        self,
        server: LoopbackLLM | str,
        *,
        ledger: Ledger | None = None,
        policy: RetryPolicy | None = None,
        filter_think: bool = True,
        run_seed: int = 0,
        on_wait: Callable[[Call, str, float], None] = lambda _call, _why, _s: None,
        **connection: Any,
    ) -> ChatClient:
        client = ChatClient(
            {"test": connection_to(server, **connection)},
            ledger=ledger or Ledger(metrics=PipelineMetrics()),
            policy=policy,
            run_seed=run_seed,
            filter_think=filter_think,
            on_wait=on_wait,
        )
        self._made.append(client)
        return client

    def close(self) -> None:
        for client in self._made:
            client.close()


def attempted(connection: Connection, request: Request) -> Attempt:
    """One attempt, its permit given back."""
    with connection.attempt(request) as attempt:
        return attempt
