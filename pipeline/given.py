"""
What the user gave on the command line, as the settings of a run.

It reads the files that flags name and makes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import SettingsError
from pipeline.settings import Settings, read_text, topic_from_file
from pipeline.text_safety import clean_text

EXAMPLE_TOPIC = Path(__file__).parent / "prompts" / "example_topic.md"

# Flags whose name in Settings is another.
_RENAMED = {
    "enable_synthesis": "synthesis",
    "synthesis_votes": "votes",
    "retry_delay": "retry_delay_s",
    "timeout": "timeout_s",
    "max_outage": "max_outage_s",
}
# Flags that say what to do with a run, not what the run asks.
_NOT_SETTINGS = {
    "topic_file",
    "context_file",
    "candidates_dir",
    "output",
    "output_root",
    "resume",
    "cleanup_old",
    "yes",
    "list_models",
    "dry_run",
    "verbose",
    "quiet",
}


def settings_from(given: Mapping[str, Any]) -> Settings:
    """The settings of a new run; without a topic, that of the example.

    Raises SettingsError for a file that cannot be read or a value that breaks a rule.
    """
    values = changed_settings(given)
    if "topic" not in values:
        values["topic"] = EXAMPLE_TOPIC.read_text(encoding="utf-8")
    values.setdefault("synthesis", values.get("parallel", False))
    values.setdefault("iterations", 5 if values["synthesis"] else 1)
    return Settings(**values)


def check_resumable(given: Mapping[str, Any]) -> None:
    """SettingsError for a flag that a resumed run cannot follow."""
    for name in ("output", "output_root", "candidates_dir"):
        if name in given:
            flag = "--" + name.replace("_", "-")
            message = (
                f"{flag} {given[name]} cannot be changed with --resume, which keeps the"
                " folder and the drafts of the run; leave it out, or start a new run"
            )
            raise SettingsError(message)


def changed_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the given flags state, files read."""
    values = {
        _RENAMED.get(name, name): value
        for name, value in given.items()
        if name not in _NOT_SETTINGS
    }
    if "topic_file" in given:
        if "topic" in given:
            message = "--topic and --topic-file are both given; use one"
            raise SettingsError(message)
        values["topic"] = topic_from_file(given["topic_file"])
    if "topic" in values:
        values["topic"] = clean_text(values["topic"])
    if "context_file" in given:
        values["context"] = tuple(
            clean_text(read_text(path, what="context file", remedy="mend the path"))
            for path in given["context_file"]
        )
    return values
