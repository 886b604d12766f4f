"""
What a run keeps for the one that resumes it, and what the user has changed since.

It only says what differs: which calls a change affects follows from the journal, where
a call that is asked otherwise is another call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pipeline.errors import SettingsError
from pipeline.flags import FLAGS
from pipeline.models.run_models import Choice
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
