"""
models.yaml, read and checked: providers, presets, and which is the default.

All that can be wrong is one line that names the place. It opens no connection.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
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
from pipeline.models.presets import BUILTIN_PRESET, Preset, checked_url
from pipeline.models.prices import Price
from pipeline.settings import DEFAULT_WORDS, read_text

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
