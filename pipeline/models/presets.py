"""
Presets: one model at one endpoint each, and which of them a run uses.

It reads the variables that it is handed; it opens no file and no connection. A key
never enters a preset: `key_of` fetches it when a client is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from pipeline.errors import SettingsError
from pipeline.settings import DEFAULT_TIMEOUT_S, DEFAULT_WORDS

BUILTIN = "builtin"
SHORT_CONTEXT = 8192
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars for so many tokens."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One model at one endpoint, and how it likes to be asked."""

    name: str
    base_url: str
    model: str | None = None
    family: str | None = None
    key_env: str | None = None
    context: int | None = None
    words: int = DEFAULT_WORDS
    temperature: float | None = None
    max_tokens: int | None = None
    price: Price | None = None
    max_concurrent: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    has_grammars: bool = False
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    text_body: Mapping[str, Any] = field(default_factory=dict)  # with texts only
    json_body: Mapping[str, Any] = field(default_factory=dict)  # with forms only

    @property
    def label(self) -> str:
        """Model and place, as a user knows them."""
        if self.is_builtin:
            return f"{self.model}, built in"
        place = urlsplit(self.base_url).netloc
        return f"{self.model or 'the only model'} at {place}"

    @property
    def kin(self) -> str:
        """Whose taste its answers share; where none is stated, that of its model."""
        return self.family or self.model or self.name

    @property
    def is_builtin(self) -> bool:
        """Whether the program serves this model itself."""
        return self.base_url == BUILTIN

    @property
    def is_short(self) -> bool:
        """Whether prompts and schemas must fit a small context."""
        return self.context is not None and self.context <= SHORT_CONTEXT

    @property
    def is_on_this_machine(self) -> bool:
        """Whether its requests stay on loopback."""
        return self.is_builtin or urlsplit(self.base_url).hostname in _LOOPBACK

    @property
    def is_readable_on_its_way(self) -> bool:
        """Whether others on the network can read what is sent, the key with it."""
        is_plain = not self.base_url.lower().startswith("https://")
        return is_plain and not self.is_on_this_machine


BUILTIN_PRESET = Preset(
    name="builtin",
    base_url=BUILTIN,
    model="smollm2-135m-instruct",
    context=4096,
    words=220,
    price=Price(input=0, output=0),
    has_grammars=True,
    temperature=0.6,
    max_tokens=600,
    max_concurrent=4,  # its slots; more would only wait there
    timeout_s=600.0,  # on a busy machine it is slow, never stuck
    text_body={
        "min_p": 0.1,
        "top_p": 1.0,
        "top_k": 0,
        "repeat_penalty": 1.05,
        "repeat_last_n": 256,
        "dry_multiplier": 0.8,
        "dry_allowed_length": 6,
        "dry_penalty_last_n": 400,
    },
    # Line breaks and tabs inside JSON are all that it ever gets wrong.
    json_body={
        "min_p": 0.05,
        "logit_bias": [
            [text, False]
            for text in ("\n", "\n\n", "\t", "\n ", "\n  ", "\n   ", "\n    ", "\n\t")
        ],
    },
)


def checked_url(text: str) -> str:
    """The URL; ValueError with the rule where it names no server."""
    example = "for example http://127.0.0.1:8080/v1"
    if not text.startswith(("http://", "https://")) or set(text) & set(" \t\r\n"):
        message = f"must start with http:// or https://, got {text}; {example}"
        raise ValueError(message)
    if "@" in text:  # not shown: what stands before it is a secret
        message = f"must hold no user name or password; {example}"
        raise ValueError(message)
    try:
        parts = urlsplit(text)
        has_server = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_server = False
    if not has_server:
        message = (
            f"must name a server, and a port from 1 to 65535, got {text}; {example}"
        )
        raise ValueError(message)
    return text


def key_of(
    preset: Preset, env: Mapping[str, str], *, allow_insecure: bool = False
) -> str:
    """The preset's key; a server on this machine needs none.

    Raises SettingsError that names the variable, and for a key that anyone on its way
    could read.
    """
    key = env.get(preset.key_env, "") if preset.key_env else ""
    if key.strip():
        if preset.is_readable_on_its_way and not allow_insecure:
            message = (
                f"the key of {preset.key_env} would go to {preset.base_url} unencrypted;"
                f" use https, unset {preset.key_env}, or say --allow-insecure"
            )
            raise SettingsError(message)
        return key.strip()
    if preset.key_env and not preset.is_on_this_machine:
        message = (
            f"preset {preset.name} needs a key: set {preset.key_env} in the environment"
            " or in .env"
        )
        raise SettingsError(message)
    return "none"
