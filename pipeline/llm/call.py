"""
One call as a stage asks it, and the request that is sent for it.

The request changes from attempt to attempt (a larger limit, the error of the last
reply); the call, and with it the key in the journal, does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline.prompting import Message
from pipeline.seeds import LARGEST_SEED, derived_seed
from pipeline.text_safety import whole_characters


class Reply(BaseModel):
    """What a model is asked to fill in; keys that nobody asked for are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How a call is asked; None leaves a value to the preset, then to the server.

    `sample` tells independent answers to one question apart, `attempt` the tries of a
    stage. `schema` is a narrower form of the reply's own, `context` goes to its
    validators. `reasks` is how often an answer in the wrong form is asked for again; None is what the
    run's policy says.
    """

    sample: int = 0
    attempt: int = 0
    preset: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    reasks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One question of one stage about one item."""

    stage: str
    item_id: str
    messages: Sequence[Message]
    options: CallOptions
    record_name: str | None = None
    schema: Mapping[str, Any] | None = None

    def seed(self, run_seed: int) -> int:
        """The seed that the first request carries."""
        return derived_seed(
            run_seed,
            self.stage,
            self.item_id,
            self.options.sample,
            self.options.attempt,
        )


@dataclass(slots=True, kw_only=True)
class Request:
    """The next request of a call; one thread works on it."""

    call: Call
    seed: int
    temperature: float | None
    max_tokens: int | None
    extra_body: Mapping[str, Any]
    complaint: str = ""
    reasks: int = 0
    is_enlarged: bool = False

    def enlarge_once(self) -> bool:
        """Allow twice the tokens; False when that was done, or no limit was set."""
        if self.max_tokens is None or self.is_enlarged:
            return False
        self.max_tokens *= 2
        self.is_enlarged = True
        return True

    def complain(self, error: str) -> None:
        """Ask again: the last error only, and a seed that may answer differently."""
        if self.call.schema is not None:
            self.complaint = (
                f"\n\nYour last reply could not be used: {error}.\n"
                "Answer again, with the complete JSON object only."
            )
        self.reasks += 1

    def prompt_text(self) -> str:
        """All that the model reads, for an estimate of its tokens."""
        return " ".join(message["content"] for message in self.call.messages)

    def messages(self, *, schema_in_prompt: bool) -> list[Message]:
        """The call's messages, the complaint and, where needed, the schema."""
        *before, last = self.call.messages
        content = last["content"] + self.complaint
        if schema_in_prompt and self.call.schema is not None:
            content += (
                "\n\nAnswer with one JSON object and nothing else.\n"
                f"JSON schema {self.call.record_name}:\n{json.dumps(self.call.schema)}"
            )
        # Half a character, as models make them, cannot be sent.
        return [
            {"role": message["role"], "content": whole_characters(message["content"])}
            for message in (*before, {"role": last["role"], "content": content})
        ]

    def request_seed(self) -> int:
        """The seed of this request."""
        return (self.seed + self.reasks) % LARGEST_SEED


def record_name(record: type[Reply]) -> str:
    """The record's snake-case name, without the words that tell its forms apart."""
    name = record.__name__.removeprefix("Short").removesuffix("Reply")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def strict_schema(record: type[Reply]) -> dict[str, Any]:
    """The record's JSON schema as strict servers want it.

    Every property is required and no other allowed; titles and defaults, which those
    servers refuse, are gone. Each call makes a schema of its own, to be narrowed.
    """
    schema: dict[str, Any] = _strict(_plain_schema(record))
    return schema


@lru_cache(maxsize=64)
def _plain_schema(record: type[Reply]) -> dict[str, Any]:
    """Kept, as making one takes longer than replaying a call."""
    return record.model_json_schema()


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: {name: _strict(value) for name, value in inner.items()}
        if key in ("properties", "$defs")
        else _strict(inner)
        for key, inner in node.items()
        if key not in ("default", "description")
        and not (key == "title" and isinstance(inner, str))
    }
    if "properties" in kept:
        kept["required"] = list(kept["properties"])
        kept["additionalProperties"] = False
    return kept
