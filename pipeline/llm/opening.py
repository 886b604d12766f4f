"""
Opens endpoints: keys, the built-in model, the model's name; and the client of callers
who bring none, opened once from the environment.

Everything that can be wrong with an endpoint before the first call is said here. The
client of the environment has no run folder and no journal.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from pipeline.llm.client import ChatClient
from pipeline.llm.connection import Connection
from pipeline.llm.limiting import EndpointLimit, OneAtATime
from pipeline.models.models_file import DEFAULT_MODELS_FILE, load_models
from pipeline.models.presets import Preset, headers_of, key_of, secrets_of
from pipeline.models.run_models import choose_preset, environment

MakeLimit = Callable[[Preset], EndpointLimit]
MOST_OF_A_PROCESS = 256  # calls in flight of all who share the process's client


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How endpoints are opened; `say` gets a line where the user should know something."""

    env: Mapping[str, str] = field(repr=False)  # holds keys
    make_limit: MakeLimit
    allow_insecure: bool = False
    max_in_flight: int = 1
    timeout_s: float | None = None  # None: each preset's own
    say: Callable[[str], None] = lambda _line: None


def open_connections(
    presets: Sequence[Preset], how: Opening, *, closing: ExitStack
) -> dict[str, Connection]:
    """Connections by preset name, in the order given; `closing` will close them.

    Raises SettingsError that names the variable to set, or what is wrong.
    """
    for preset in presets:
        key_of(preset, how.env, allow_insecure=how.allow_insecure)
    secrets = secrets_of(presets, how.env)
    connections = {}
    for preset in presets:
        connection = open_connection(preset, how, secrets=secrets, closing=closing)
        connection.find_model()
        connections[preset.name] = connection
    return connections


def open_connection(
    preset: Preset, how: Opening, *, secrets: tuple[str, ...], closing: ExitStack
) -> Connection:
    """One of them, whose model may not be known yet."""
    base_url = preset.base_url
    if preset.is_builtin:
        from pipeline.models.builtin_model import start_builtin_model

        server = start_builtin_model(slots=how.max_in_flight, say=how.say)
        closing.callback(server.close)
        base_url = server.base_url
    connection = Connection(
        preset,
        base_url=base_url,
        api_key=key_of(preset, how.env, allow_insecure=how.allow_insecure),
        limit=how.make_limit(preset),
        headers=headers_of(preset, how.env, allow_insecure=how.allow_insecure),
        secrets=secrets,
        max_in_flight=how.max_in_flight,
        timeout_s=how.timeout_s or preset.timeout_s,
        say=how.say,
    )
    closing.callback(connection.close)
    return connection


class _OfTheProcess:
    """The process's client, built by the first thread that asks."""

    def __init__(self) -> None:
        # Guards both below, also while a client is built: two would be two models.
        self._lock = threading.Lock()
        self._client: ChatClient | None = None
        self._is_shared = False

    def get(self, make_limit: MakeLimit | None) -> ChatClient:
        with self._lock:
            if self._client is None:
                self._client = client_from_environment(make_limit or _one_at_a_time)
            elif make_limit is not None and not self._is_shared:
                self._client.limit_by(make_limit)
            self._is_shared = self._is_shared or make_limit is not None
            return self._client


def _one_at_a_time(_preset: Preset) -> EndpointLimit:
    return OneAtATime()


_of_the_process = _OfTheProcess()


def default_client(make_limit: MakeLimit | None = None) -> ChatClient:
    """The process's client; SettingsError when the environment names no usable one.

    One call at a time goes through it, until somebody brings `make_limit`: from then on
    that limits the calls of all who share the client.
    """
    return _of_the_process.get(make_limit)


def client_or_default(client: ChatClient | None) -> ChatClient:
    """The client given, or else the process's."""
    return default_client() if client is None else client


def client_from_environment(make_limit: MakeLimit) -> ChatClient:
    """A client for what the environment and `models.yaml` name, so limited.

    SettingsError when they name no usable endpoint.
    """
    env = environment()
    preset, _ = choose_preset(None, load_models(DEFAULT_MODELS_FILE), env)
    how = Opening(env=env, make_limit=make_limit, max_in_flight=MOST_OF_A_PROCESS)
    closing = ExitStack()
    atexit.register(closing.close)
    return ChatClient(open_connections([preset], how, closing=closing))
