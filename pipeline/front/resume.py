"""
What a run keeps for the one that resumes it, and what the user has changed since.

A run is bound to its model: it goes on with another only where the user names one. Of all
else it only says what differs: which calls a change affects follows from the journal, where
a call that is asked otherwise is another call.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pipeline.errors import SettingsError
from pipeline.flags import FLAGS
from pipeline.front.estimate import estimate, left_of
from pipeline.front.report import estimate_line
from pipeline.models.models_file import ModelsFile
from pipeline.models.presets import Preset
from pipeline.models.run_models import ENVIRONMENT, Choice, choose_presets
from pipeline.settings import Settings
from pipeline.store.journal import Journal
from pipeline.store.run_folder import RunFolder

_SHOWN_CHARS = 40


def run_record(settings: Settings, choice: Choice) -> dict[str, Any]:
    """What `run.json` keeps of a run, so that it can be resumed: no key."""
    return {"settings": settings.as_dict(), "endpoint": choice.record()}


def reopened(path: Path, changed: Mapping[str, Any]) -> tuple[RunFolder, Settings]:
    """The folder of an earlier run and its settings, with what the user gave anew.

    SettingsError when it is no run folder of ours, or its settings are of no use.
    """
    folder = RunFolder.reopen(path)
    return folder, replace(_settings_before(folder), **changed)


def _settings_before(folder: RunFolder) -> Settings:
    kept = folder.read_run().get("settings")
    if not isinstance(kept, dict):
        message = f"{folder.path}/run.json holds no settings; start a new run"
        raise SettingsError(message)
    return Settings.from_dict(kept)


def chosen(
    settings: Settings,
    models: ModelsFile,
    env: Mapping[str, str],
    *,
    folder: RunFolder | None,
    named: Container[str],
) -> Choice:
    """The presets of a new run, or of the run in the folder.

    That goes on with its own main model, unless `named`, the flags given, has "preset" or
    "model". Raises SettingsError where the environment or the file names another by now.
    """
    if folder is None or "preset" in named:
        return choose_presets(settings, models, env)
    of_run = _main_of(folder)
    name = of_run.get("name")
    by_name = None if name == ENVIRONMENT else name
    choice = choose_presets(settings, models, env, of_run=by_name)
    _check_bound(of_run, choice.main, named)
    return choice


@contextmanager
def keeping_state(
    folder: RunFolder, settings: Settings, choice: Choice, *, named: Container[str]
) -> Iterator[None]:
    """Keep in run.json what the run asks, and whether it is finished.

    `choice` has the models that were found at the endpoints: SettingsError where the only
    one there is another than before, as in `chosen`.
    """
    _check_bound(_main_of(folder), choice.main, named)
    record = run_record(settings, choice)
    folder.write_run({**record, "state": "unfinished"})
    yield
    folder.write_run({**record, "state": "finished"})


def _main_of(folder: RunFolder) -> Mapping[str, Any]:
    """Name of its preset, base_url and model, as they were."""
    return next(iter(_presets(folder.read_run().get("endpoint"))), {})


def _check_bound(before: Mapping[str, Any], now: Preset, named: Container[str]) -> None:
    """A model that was not known before, or is not yet now, is none other."""
    url, model = before.get("base_url"), before.get("model")
    is_same_model = "model" in named or model in (None, now.model or model)
    if "preset" in named or (url in (None, now.base_url) and is_same_model):
        return
    if before.get("name") == ENVIRONMENT:
        variables = f"OPENAI_BASE_URL={url}" + f" OPENAI_MODEL={model}" * bool(model)
        remedy = f"set {variables} and, where it needs one, OPENAI_API_KEY"
    else:
        remedy = "let models.yaml name it again"
    message = (
        f"the run was made with {model or 'the only model'} at {url}, not with"
        f" {now.label}; {remedy}, or name another model by --model or --preset"
        f" (--preset {ENVIRONMENT}: what the environment names now)"
    )
    raise SettingsError(message)


def plan_lines(
    folder: RunFolder,
    settings: Settings,
    choice: Choice,
    *,
    answered: Mapping[str, int],
) -> Iterator[str]:
    """What was changed, and what is left to ask after so many answers by stage."""
    rows = estimate(settings, choice)
    if changes := changes_line(folder, settings, choice):
        yield changes
        yield estimate_line(rows)
    else:
        yield estimate_line(left_of(rows, answered), left_of_a_run=True)


def changes_line(folder: RunFolder, settings: Settings, choice: Choice) -> str | None:
    """Which settings change calls, from what to what, in one line; None when none do."""
    before = _settings_before(folder)
    asks_the_same = {flag.field for flag in FLAGS if flag.asks_the_same}
    changes = [
        _change(field.name, getattr(before, field.name), getattr(settings, field.name))
        for field in fields(Settings)
        if field.name not in asks_the_same
    ]
    endpoint = folder.read_run().get("endpoint")
    changes += _endpoint_changes(endpoint, choice.record())
    told = [change for change in changes if change]
    if not told:
        return None
    return f"changed: {'; '.join(told)}: calls that this affects are made again"


def journal_lines(journal: Journal) -> Iterator[str]:
    """What a journal of before holds, and what of it cannot be used."""
    if journal.replayable:
        yield f"kept from before: {journal.replayable} finished calls"
    if journal.torn_bytes:
        yield (
            "calls.jsonl ended in half a line, now in calls.jsonl.torn;"
            " that call is made again"
        )
    if journal.damaged:
        yield (
            f"calls.jsonl holds {journal.damaged} damaged line"
            f"{'s' * (journal.damaged != 1)}; what they kept is asked again"
        )


def _endpoint_changes(before: Any, now: Mapping[str, Any]) -> Iterator[str]:
    """How the same preset now stands for other calls."""
    earlier = {preset["name"]: preset for preset in _presets(before)}
    for preset in _presets(now):
        kept = earlier.get(preset["name"], preset)
        for part, new in preset.items():
            if part == "model" and new is None:  # the only one there: not yet known
                continue
            yield _change(f"{part} of {preset['name']}", kept.get(part), new)
    if earlier and not earlier.keys() & {preset["name"] for preset in _presets(now)}:
        yield _change("endpoint", [*earlier], [p["name"] for p in _presets(now)])


def _presets(record: Any) -> list[dict[str, Any]]:
    listed = record.get("presets") if isinstance(record, dict) else None
    found = listed if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, dict) and "name" in each]


def _change(name: str, before: object, now: object) -> str:
    return "" if before == now else f"{name} from {_short(before)} to {_short(now)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
