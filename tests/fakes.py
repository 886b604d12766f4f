"""
Shared doubles: a gate that never waits, a clock, clients of a simulated server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import Field

from pipeline.llm.call import Reply
from pipeline.llm.client import ChatClient
from pipeline.llm.connection import Connection, Endpoint
from pipeline.llm.gate import Gate, Observation
from pipeline.llm.ledger import Ledger
from pipeline.llm.presets import Preset
from pipeline.llm.retry import RetryPolicy
from pipeline.metrics import PipelineMetrics
from pipeline.prompting import Message
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


class OpenGate:
    """Lets everyone in, keeps what it is told, and sleeps by writing it down."""

    def __init__(self, *, wait_s: float = 0.0, is_out: bool = False) -> None:
        self.name = "open"
        self.wait_s = wait_s
        self.is_out = is_out
        self.seen: list[Observation] = []
        self.naps: list[float] = []

    @contextmanager
    def admit(self, _group: str = "", /) -> Iterator[None]:
        yield

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
    gate: Gate | None = None,
    timeout_s: float = FAILSAFE_S,
    key: str = KEY,
    **preset: Any,
) -> Connection:
    """A connection to the simulated server; further names are the preset's."""
    base_url = server if isinstance(server, str) else server.base_url
    stated: dict[str, Any] = {"name": "test", "base_url": base_url, "model": "m"}
    endpoint = Endpoint(
        preset=Preset(**{**stated, **preset}),
        base_url=base_url,
        api_key=key,
        max_in_flight=8,
        timeout_s=timeout_s,
    )
    return Connection(endpoint, gate or OpenGate())


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
        **connection: Any,
    ) -> ChatClient:
        client = ChatClient(
            {"test": connection_to(server, **connection)},
            ledger=ledger or Ledger(metrics=PipelineMetrics()),
            policy=policy,
            run_seed=run_seed,
            filter_think=filter_think,
        )
        self._made.append(client)
        return client

    def close(self) -> None:
        for client in self._made:
            client.close()
