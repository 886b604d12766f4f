"""
Presets: one model at one endpoint each, and which of them a run uses.

It reads the variables that it is handed; it opens no file and no connection. A key
never enters a preset: `key_of` fetches it when a client is built.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import SettingsError
from pipeline.models.checks import is_header_value
from pipeline.models.prices import (
    FREE_HERE,
    UNKNOWN,
    ListedPrice,
    Price,
    listed_price,
)
from pipeline.settings import DEFAULT_TIMEOUT_S, DEFAULT_WORDS

BUILTIN = "builtin"
SHORT_CONTEXT = 8192
_VARIABLE = re.compile(r"\$\{(\w+)\}")


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
    price: Price | ListedPrice | None = None
    max_concurrent: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    has_grammars: bool = False
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    text_body: Mapping[str, Any] = field(default_factory=dict)  # with texts only
    json_body: Mapping[str, Any] = field(default_factory=dict)  # with forms only
    headers: Mapping[str, str] = field(default_factory=dict)  # may hold ${NAME}

    def priced(self) -> Preset:
        """With the price of its model: the one stated, none here, or the library's."""
        if isinstance(self.price, Price):
            return self
        if self.is_on_this_machine:
            return replace(self, price=FREE_HERE)
        found = listed_price(self.base_url, self.model) if self.model else None
        return replace(self, price=found)

    @property
    def price_source(self) -> str:
        """Where the price is from, in the words that the user reads."""
        return self.price.source if self.price else UNKNOWN

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
        return self.is_builtin or is_loopback(urlsplit(self.base_url).hostname or "")

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
    price=FREE_HERE,
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


def is_loopback(host: str) -> bool:
    """Whether the name, or the address in any spelling, is this machine's own."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return bool(re.fullmatch(r"127(\.\d{1,3}){1,2}", name))  # 127.1
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def checked_url(text: str) -> str:
    """The URL, without a slash at its end; ValueError where it names no server."""
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
    return text.rstrip("/")


def key_of(
    preset: Preset, env: Mapping[str, str], *, allow_insecure: bool = False
) -> str:
    """The preset's key; a server on this machine needs none.

    Raises SettingsError that names the variable, and for a key that anyone on its way
    could read.
    """
    key = env.get(preset.key_env, "") if preset.key_env else ""
    if preset.key_env and key.strip():
        _check_way(preset, preset.key_env, allow_insecure=allow_insecure)
        return key.strip()
    if preset.key_env and not preset.is_on_this_machine:
        message = (
            f"preset {preset.name} needs a key: set {preset.key_env} in the environment"
            " or in .env"
        )
        raise SettingsError(message)
    return "none"


def headers_of(
    preset: Preset, env: Mapping[str, str], *, allow_insecure: bool = False
) -> dict[str, str]:
    """The preset's headers with the values of the variables that they name.

    Raises SettingsError as `key_of` does; never with a value.
    """
    filled = {}
    for name, text in preset.headers.items():
        for variable in _VARIABLE.findall(text):
            if not env.get(variable, "").strip():
                message = (
                    f"header {name} of preset {preset.name} needs {variable}: set it in"
                    " the environment or in .env"
                )
                raise SettingsError(message)
            _check_way(preset, variable, allow_insecure=allow_insecure)
        value = _VARIABLE.sub(lambda found: env[found[1]].strip(), text)
        if not is_header_value(value):
            message = (
                f"header {name} of preset {preset.name} holds what cannot be sent: set"
                " its variable to one line of plain ASCII text"
            )
            raise SettingsError(message)
        filled[name] = value
    return filled


def secrets_of(presets: Iterable[Preset], env: Mapping[str, str]) -> tuple[str, ...]:
    """What no file and no line may show: the keys, and what headers take from `env`."""
    names = (name for preset in presets for name in _secret_names(preset))
    return tuple(env[name].strip() for name in dict.fromkeys(names) if env.get(name))


def _secret_names(preset: Preset) -> Iterator[str]:
    if preset.key_env:
        yield preset.key_env
    for text in preset.headers.values():
        yield from _VARIABLE.findall(text)


def _check_way(preset: Preset, variable: str, *, allow_insecure: bool) -> None:
    if preset.is_readable_on_its_way and not allow_insecure:
        message = (
            f"the key of {variable} would go to {preset.base_url} unencrypted;"
            f" use https, unset {variable}, or say --allow-insecure"
        )
        raise SettingsError(message)
