"""
One call as a stage asks it, and the request that is sent for it.

The request changes from attempt to attempt (a larger limit, the error of the last
reply); the call, and with it the key in the journal, does not. Every seed of a run is
derived from the run's own: the same run seed and the same names give the same number on
every machine and in every order of work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline.models.presets import Preset
from pipeline.prompts.templates import Message
from pipeline.text.safety import whole_characters

LARGEST_SEED = 2**31 - 1  # servers keep seeds in a signed 32-bit integer


def derived_seed(run_seed: int, *names: object) -> int:
    """A seed from 0 to 2^31 - 1 for what the names say."""
    text = "/".join([str(run_seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % LARGEST_SEED


class Reply(BaseModel):
    """What a model is asked to fill in; keys that nobody asked for are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How a call is asked; None leaves a value to the preset, then to the server.

    `sample` tells independent answers to one question apart, `attempt` the tries of a
    stage. `schema` is a narrower form of the reply's own, `context` goes to its
    validators. `words` is about how many were asked for: reading ends at several times as
    many. `reasks` is how often an answer that is of no use is asked for again; None is what
    the run's policy says.
    """

    sample: int = 0
    attempt: int = 0
    preset: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    words: int | None = None
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

    @property
    def name(self) -> str:
        """What tells it from other calls of the run."""
        options = self.options
        return f"{self.stage} {self.item_id} {options.sample} {options.attempt}"


@dataclass(slots=True, kw_only=True)
class Request:
    """The next request of a call; one thread works on it.

    `refused` is what this call had to do without, as `capabilities.py` names it, and
    `longest_wait_s` the longest wait that a server may ask for.
    """

    call: Call
    seed: int
    temperature: float | None
    max_tokens: int | None
    extra_body: Mapping[str, Any]
    complaint: str = ""
    reasks: int = 0
    faults: int = 0
    longest_wait_s: float = 900.0
    is_enlarged: bool = False
    is_fitted: bool = False
    refused: set[str] = field(default_factory=set)

    def enlarge_once(self) -> bool:
        """Allow twice the tokens; False when that was done, or no limit was set."""
        if self.max_tokens is None or self.is_enlarged or self.is_fitted:
            return False
        self.max_tokens *= 2
        self.is_enlarged = True
        return True

    def fit_into(self, room: int) -> None:
        """Allow as many tokens as there is room for, and no more later."""
        self.max_tokens = room
        self.is_fitted = True

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

    def messages(
        self, *, schema_in_prompt: bool, has_system: bool = True
    ) -> list[Message]:
        """The call's messages, the complaint and, where needed, the schema.

        Without `has_system` the system's text stands at the head of the user's.
        """
        *before, last = self.call.messages
        content = last["content"] + self.complaint
        if schema_in_prompt and self.call.schema is not None:
            content += (
                "\n\nAnswer with one JSON object and nothing else.\n"
                f"JSON schema {self.call.record_name}:\n{json.dumps(self.call.schema)}"
            )
        asked = [*before, {"role": last["role"], "content": content}]
        if not has_system and asked[0]["role"] == "system" and len(asked) > 1:
            system, user, *after = asked
            both = f"{system['content']}\n\n{user['content']}"
            asked = [{"role": user["role"], "content": both}, *after]
        # Half a character, as models make them, cannot be sent.
        return [
            {"role": each["role"], "content": whole_characters(each["content"])}
            for each in asked
        ]

    def request_seed(self) -> int:
        """The seed of this request."""
        return (self.seed + self.reasks) % LARGEST_SEED


def first_request(
    call: Call, preset: Preset, *, run_seed: int, longest_wait_s: float
) -> Request:
    """The request that a call begins with, with what the preset states."""
    options = call.options
    temperature = options.temperature
    return Request(
        call=call,
        seed=call.seed(run_seed),
        temperature=preset.temperature if temperature is None else temperature,
        max_tokens=options.max_tokens or (None if call.schema else preset.max_tokens),
        extra_body={
            **preset.extra_body,
            **(preset.json_body if call.schema else preset.text_body),
            **options.extra_body,
        },
        longest_wait_s=longest_wait_s,
    )


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
