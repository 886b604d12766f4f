"""
The client of callers who bring none, built once from the environment.

The command line builds its own; this one has no run folder, no limiter that adapts and
no journal.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from dotenv import dotenv_values

from pipeline.llm.choice import choose_preset
from pipeline.llm.client import ChatClient
from pipeline.llm.endpoints import Opening, open_connections
from pipeline.llm.gate import Gate, OneAtATime
from pipeline.llm.models_file import load_models
from pipeline.llm.presets import Preset

DEFAULT_MODELS_FILE = Path(__file__).parents[2] / "models.yaml"


def environment() -> Mapping[str, str]:
    """The variables of `.env` in the working folder, under those that are set."""
    from_file = {k: v for k, v in dotenv_values(".env").items() if v is not None}
    return {**from_file, **os.environ}


class _Once:
    """One value, built by the first thread that asks."""

    def __init__(self) -> None:
        # Guards _client, also while it is built: two would be two models in memory.
        self._lock = threading.Lock()
        self._client: ChatClient | None = None

    def get(self) -> ChatClient:
        with self._lock:
            if self._client is None:
                self._client = client_from_environment(lambda _preset: OneAtATime())
            return self._client


_once = _Once()


def default_client() -> ChatClient:
    """The process's client; SettingsError when the environment names no usable one."""
    return _once.get()


def client_or_default(client: ChatClient | None) -> ChatClient:
    """The client given, or else the process's."""
    return default_client() if client is None else client


def client_from_environment(
    make_gate: Callable[[Preset], Gate], *, max_in_flight: int = 1
) -> ChatClient:
    """A client for what the environment and `models.yaml` name, with that gate.

    SettingsError when they name no usable endpoint.
    """
    env = environment()
    preset, _ = choose_preset(None, load_models(DEFAULT_MODELS_FILE), env)
    how = Opening(env=env, make_gate=make_gate, max_in_flight=max_in_flight)
    closing = ExitStack()
    atexit.register(closing.close)
    return ChatClient(open_connections([preset], how, closing=closing))
