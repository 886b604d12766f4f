"""
Which presets a run uses, and why.

Flags come first, then the environment, then the models file. All that can be wrong is one
line, said before a folder is made. It opens no connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dotenv import dotenv_values

from pipeline.errors import SettingsError
from pipeline.models.models_file import ModelsFile
from pipeline.models.presets import (
    BUILTIN_PRESET,
    Preset,
    checked_url,
    headers_of,
    key_of,
)
from pipeline.settings import Settings

ENVIRONMENT = "env"  # the name of the preset that the variables make

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

    def with_models(self, models: Mapping[str, str]) -> Choice:
        """With the models that the endpoints were found to have, by preset."""

        def found(preset: Preset) -> Preset:
            return replace(preset, model=models[preset.name]).priced()

        return replace(
            self,
            main=found(self.main),
            writers=tuple(map(found, self.writers)),
            judges=tuple(map(found, self.judges)),
        )

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
    settings: Settings,
    models: ModelsFile,
    env: Mapping[str, str],
    *,
    of_run: str | None = None,
) -> Choice:
    """Which presets the settings and the environment name; `of_run` is a resumed run's.

    Raises SettingsError for an unknown one, and for a limit on cost that could not be
    kept because a price is not stated.
    """
    main, why = choose_preset(settings.preset or of_run, models, env)
    if not settings.preset and of_run:
        why = "as the run was begun"
    if settings.model is not None:
        main, why = with_model(main, settings.model, models), f"{why}; --model"
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
    is_environment = named == ENVIRONMENT and named not in models.presets
    if named is not None and not is_environment:
        return models.preset(named), f"--preset {named}"
    given = [v for v in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if env.get(v)]
    if given:
        found = _from_environment(models, env).priced()
        return found, f"{' and '.join(given)} set"
    if is_environment:
        message = (
            "nothing in the environment names an endpoint; set OPENAI_BASE_URL,"
            " OPENAI_MODEL and OPENAI_API_KEY"
        )
        raise SettingsError(message)
    if models.default_preset:
        return models.preset(models.default_preset), "default_preset of the models file"
    return BUILTIN_PRESET, "no --preset, no OPENAI_API_KEY, no default_preset"


def with_model(preset: Preset, model: str, models: ModelsFile) -> Preset:
    """Another model at the preset's endpoint, with the price that is known of it.

    SettingsError for the built-in model, which is one only.
    """
    if preset.is_builtin:
        message = (
            f"--model {model} needs an endpoint that has it: set OPENAI_BASE_URL or"
            " OPENAI_API_KEY, or name one by --preset"
        )
        raise SettingsError(message)
    if model == preset.model:
        return preset
    listed = [models.stated(name) for name in models.presets]
    known = [each for each in listed if each.model == model]
    price = next((p.price for p in known if p.base_url == preset.base_url), None)
    family = next((each.family for each in known if each.family), None)
    return replace(preset, model=model, price=price, family=family).priced()


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
    provider = next(here, None)
    return Preset(
        name=ENVIRONMENT,
        base_url=base_url,
        model=model,
        family=next((known.family for known in same_model if known.family), None),
        key_env="OPENAI_API_KEY",
        price=provider.price if provider else None,
        headers=provider.headers if provider else {},
    )
