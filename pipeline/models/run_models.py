"""
models.yaml, read and checked; which presets a run uses, and why.

Flags come first, then the environment, then the file. All that can be wrong is one line
that names the place, said before a folder is made. It opens no connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    ValidationError,
)

from pipeline.errors import SettingsError
from pipeline.models.checks import (
    checked_headers,
    line_of,
    place_in,
    plain_json,
    rule,
)
from pipeline.models.presets import (
    BUILTIN_PRESET,
    Preset,
    checked_url,
    headers_of,
    key_of,
)
from pipeline.models.prices import Price
from pipeline.settings import DEFAULT_WORDS, Settings, read_text

DEFAULT_MODELS_FILE = Path(__file__).parents[2] / "models.yaml"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    price: Price | None = None
    max_concurrent: int | None = Field(default=None, ge=1)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    timeout_s: float | None = Field(default=None, gt=0)
    extra_body: Annotated[dict[str, Any], BeforeValidator(plain_json)] = {}
    headers: Annotated[dict[str, StrictStr], AfterValidator(checked_headers)] = {}


class _Provider(_Entry):
    base_url: Annotated[str, AfterValidator(checked_url)]
    key_env: str | None = None


class _Preset(_Entry):
    provider: str
    model: str | None = None
    family: str | None = Field(default=None, min_length=1)
    context: int | None = Field(default=None, ge=1024)
    words: int = Field(default=DEFAULT_WORDS, ge=20)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    has_grammars: bool = False


class ModelsFile(BaseModel):
    """What models.yaml may hold."""

    model_config = ConfigDict(extra="forbid")

    default_preset: str | None = None
    providers: dict[str, _Provider] = {}
    presets: dict[str, _Preset] = {}

    def names(self) -> list[str]:
        """Every preset that can be asked for, the built-in one last."""
        return [*self.presets, BUILTIN_PRESET.name]

    def preset(self, name: str) -> Preset:
        """The preset of that name, with what its provider states, and a price if known."""
        return self.stated(name).priced()

    def stated(self, name: str) -> Preset:
        """The preset of that name as the file has it; no price is looked up."""
        if name == BUILTIN_PRESET.name:
            return BUILTIN_PRESET
        entry = self.presets.get(name)
        if entry is None:
            message = (
                f"preset {name} is not in the models file; use one of"
                f" {', '.join(self.names())} (--list-models shows them)"
            )
            raise SettingsError(message)
        provider = self.providers.get(entry.provider)
        if provider is None:
            message = (
                f"preset {name} names the provider {entry.provider}, which the models"
                " file does not have; add it under providers"
            )
            raise SettingsError(message)
        return _joined(name, entry, provider)


def _joined(name: str, entry: _Preset, provider: _Provider) -> Preset:
    joined = {"price", "provider", "extra_body", "headers"}
    stated = {
        **provider.model_dump(exclude_none=True, exclude=joined),
        **entry.model_dump(exclude_none=True, exclude=joined),
    }
    own = {name.lower() for name in entry.headers}
    shared = {k: v for k, v in provider.headers.items() if k.lower() not in own}
    return Preset(
        name=name,
        price=entry.price or provider.price,
        extra_body={**provider.extra_body, **entry.extra_body},
        headers={**shared, **entry.headers},
        **stated,
    )


def load_models(path: str | Path) -> ModelsFile:
    """The models file, or one line that names the place where it is wrong."""
    text = read_text(str(path), what="models file", remedy="name one by --models-file")
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error) or "it is no YAML"
        message = f"models file {path} cannot be read{place} ({problem}); mend it"
        raise SettingsError(message) from error
    try:
        return ModelsFile.model_validate({} if data is None else data)
    except ValidationError as error:
        first = error.errors()[0]
        keys = [str(key) for key in (*first["loc"], *place_in(first))]
        message = (
            f"models file {path}, line {line_of(text, keys)},"
            f" {'.'.join(keys) or 'top level'}: {rule(first)}; mend it"
        )
        raise SettingsError(message) from error


# What of a preset changes the calls that are made with it.
_DECIDES_CALLS = (
    "name",
    "model",
    "family",
    "base_url",
    "context",
    "words",
    "temperature",
    "max_tokens",
    "extra_body",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The presets of a run; `writers` or `judges` is empty when the main one does it."""

    main: Preset
    why: str
    writers: tuple[Preset, ...] = ()
    judges: tuple[Preset, ...] = ()

    def all(self) -> list[Preset]:
        """Each preset once, the main one first."""
        named = {
            preset.name: preset for preset in (self.main, *self.writers, *self.judges)
        }
        return list(named.values())

    def record(self) -> dict[str, Any]:
        """What `run.json` keeps of the endpoints, for a resume to compare: no key."""
        return {
            "presets": [
                {name: getattr(preset, name) for name in _DECIDES_CALLS}
                for preset in self.all()
            ],
            "chosen_by": self.why,
        }


def choose_presets(
    settings: Settings, models: ModelsFile, env: Mapping[str, str]
) -> Choice:
    """Which presets the settings and the environment name.

    Raises SettingsError for an unknown one, and for a limit on cost that could not be
    kept because a price is not stated.
    """
    main, why = choose_preset(settings.preset, models, env)
    writers = tuple(models.preset(name) for name in settings.candidate_presets)
    is_judged = settings.synthesis and not settings.candidates_only
    judges = tuple(models.preset(name) for name in settings.judge_presets)
    choice = Choice(
        main=main, why=why, writers=writers, judges=judges if is_judged else ()
    )
    if settings.max_cost is not None:
        for preset in choice.all():
            if preset.price is None:
                message = (
                    f"--max-cost needs a price, and that of {preset.label}"
                    f" (preset {preset.name}) is not known;"
                    " add price: {input: ..., output: ...} to models.yaml"
                )
                raise SettingsError(message)
    return choice


def environment() -> Mapping[str, str]:
    """The variables of `.env` in the working folder, under those that are set."""
    from_file = {k: v for k, v in dotenv_values(".env").items() if v is not None}
    return {**from_file, **os.environ}


def check_keys(
    choice: Choice, env: Mapping[str, str], *, allow_insecure: bool = False
) -> None:
    """SettingsError that names the variable when a key or header cannot be sent."""
    for preset in choice.all():
        key_of(preset, env, allow_insecure=allow_insecure)
        headers_of(preset, env, allow_insecure=allow_insecure)


def choose_preset(
    named: str | None, models: ModelsFile, env: Mapping[str, str]
) -> tuple[Preset, str]:
    """The run's main preset, and in a few words why it is that one."""
    if named is not None:
        return models.preset(named), f"--preset {named}"
    given = [v for v in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if env.get(v)]
    if given:
        found = _from_environment(models, env).priced()
        return found, f"{' and '.join(given)} set"
    if models.default_preset:
        return models.preset(models.default_preset), "default_preset of the models file"
    return BUILTIN_PRESET, "no --preset, no OPENAI_API_KEY, no default_preset"


def _from_environment(models: ModelsFile, env: Mapping[str, str]) -> Preset:
    base_url = env.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    try:
        base_url = checked_url(base_url)
    except ValueError as error:
        message = f"OPENAI_BASE_URL {error}"
        raise SettingsError(message) from error
    model = env.get("OPENAI_MODEL") or None
    listed = [models.stated(name) for name in models.presets]
    same_model = [preset for preset in listed if model and preset.model == model]
    for known in same_model:
        # The user may have stated prices and limits for this very model.
        if base_url == known.base_url:
            return known
    here = (p for p in models.providers.values() if p.base_url == base_url)
    provider = next(here, _Provider(base_url=base_url))
    return Preset(
        name="env",
        base_url=base_url,
        model=model,
        family=next((known.family for known in same_model if known.family), None),
        key_env="OPENAI_API_KEY",
        price=provider.price,
        headers=provider.headers,
    )
