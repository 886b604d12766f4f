"""
Opens the endpoints of a run: keys, the built-in model, the model's name.

Everything that can be wrong with an endpoint before the first call is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from pipeline.llm.connection import Connection, Endpoint
from pipeline.llm.gate import Gate
from pipeline.llm.presets import Preset, key_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How endpoints are opened; `say` gets a line where the user must wait."""

    env: Mapping[str, str] = field(repr=False)  # holds keys
    make_gate: Callable[[Preset], Gate]
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
    keys = {
        preset.name: key_of(preset, how.env, allow_insecure=how.allow_insecure)
        for preset in presets
    }
    connections = {}
    for preset in presets:
        base_url = preset.base_url
        if preset.is_builtin:
            from pipeline.llm.builtin_model import start_builtin_model

            server = start_builtin_model(slots=how.max_in_flight, say=how.say)
            closing.callback(server.close)
            base_url = server.base_url
        endpoint = Endpoint(
            preset=preset,
            base_url=base_url,
            api_key=keys[preset.name],
            secrets=tuple(keys.values()),
            max_in_flight=how.max_in_flight,
            timeout_s=how.timeout_s or preset.timeout_s,
        )
        connection = Connection(endpoint, how.make_gate(preset))
        closing.callback(connection.close)
        connection.find_model()
        connections[preset.name] = connection
    return connections
