"""
Which presets a run uses, and why: flags, then the environment, then models.yaml.

It opens no connection; what is wrong with the choice is said before a folder is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import SettingsError
from pipeline.llm.models_file import ModelsFile
from pipeline.llm.presets import BUILTIN_PRESET, Preset, checked_url, key_of
from pipeline.settings import Settings

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
                    f"--max-cost needs a price, and preset {preset.name} states none;"
                    " add price: {input: ..., output: ...} to models.yaml"
                )
                raise SettingsError(message)
    return choice


def check_keys(
    choice: Choice, env: Mapping[str, str], *, allow_insecure: bool = False
) -> None:
    """SettingsError that names the variable when a preset's key cannot be sent."""
    for preset in choice.all():
        key_of(preset, env, allow_insecure=allow_insecure)


def choose_preset(
    named: str | None, models: ModelsFile, env: Mapping[str, str]
) -> tuple[Preset, str]:
    """The run's main preset, and in a few words why it is that one."""
    if named is not None:
        return models.preset(named), f"--preset {named}"
    given = [v for v in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if env.get(v)]
    if given:
        return _from_environment(models, env), f"{' and '.join(given)} set"
    if models.default_preset:
        return models.preset(models.default_preset), "default_preset of the models file"
    return BUILTIN_PRESET, "no --preset, no OPENAI_API_KEY, no default_preset"


def _from_environment(models: ModelsFile, env: Mapping[str, str]) -> Preset:
    base_url = env.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    try:
        checked_url(base_url)
    except ValueError as error:
        message = f"OPENAI_BASE_URL {error}"
        raise SettingsError(message) from error
    model = env.get("OPENAI_MODEL") or None
    listed = [models.preset(name) for name in models.presets]
    same_model = [preset for preset in listed if model and preset.model == model]
    for known in same_model:
        # The user may have stated prices and limits for this very model.
        if base_url == known.base_url:
            return known
    return Preset(
        name="env",
        base_url=base_url,
        model=model,
        family=next((known.family for known in same_model if known.family), None),
        key_env="OPENAI_API_KEY",
    )
