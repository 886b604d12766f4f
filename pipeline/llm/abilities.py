"""
What one endpoint takes, learnt from what it refused.

It remembers; what a refusal names is read elsewhere. Every refusal leaves less to
send, so that stepping down ends.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

SCHEMA, OBJECT, PROMPT = "json_schema", "json_object", "prompt"


class Abilities:
    """What an endpoint takes, learnt from what it refused; for many threads."""

    def __init__(self) -> None:
        """Expect everything, until it is refused."""
        # Guards _renamed, _dropped and _form.
        self._lock = threading.Lock()
        self._dropped: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._form = SCHEMA

    @property
    def form(self) -> str:
        """How replies are held to a schema: json_schema, json_object or prompt."""
        with self._lock:
            return self._form

    def taken(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters without the refused ones, under the names that are taken."""
        with self._lock:
            return {
                self._renamed.get(name, name): value
                for name, value in parameters.items()
                if value is not None and name not in self._dropped
            }

    def give_up(self, parameter: str, *, form: str) -> None:
        """Never send the parameter again; `form` is the one that was refused."""
        with self._lock:
            if parameter == "response_format" and form != PROMPT:
                if form == self._form:
                    self._form = OBJECT if form == SCHEMA else PROMPT
            elif parameter == "max_tokens":
                # Also when many calls in flight are refused at once, for one reason.
                self._renamed[parameter] = "max_completion_tokens"
            elif parameter == "max_completion_tokens":
                self._dropped |= {"max_tokens", parameter}
            else:
                self._dropped.add(parameter)
