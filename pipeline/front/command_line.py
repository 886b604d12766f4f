"""
The command line: what was given, and the settings that follow from it.

Only flags that were given are in the answer, so that a resumed run knows what the user
changed. Which flags there are is declared in `pipeline/flags.py`; this file, run as a
module, prints README's table of them. It reads the files that flags name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import SettingsError
from pipeline.flag import Flag
from pipeline.flags import FLAGS, GROUPS
from pipeline.settings import Settings, read_text
from pipeline.text.safety import clean_text, for_terminal

EXAMPLE_TOPIC = Path(__file__).parents[1] / "prompts" / "example_topic.md"
_EXAMPLES = """examples:
  python post_generator.py --parallel --max-concurrent 8
      all six stages on the example topic; without a key, on the built-in model
  python post_generator.py --topic-file brief.md --context-file voice.md --parallel
      your article, five drafts
  python post_generator.py --topic-file brief.md --iterations 15 --parallel --dry-run
      what that would ask and cost
  python post_generator.py --resume outputs/2026-01-31/my-article
      finish a run that was stopped; no finished call is made again
"""


def parse(argv: Sequence[str] | None) -> dict[str, Any]:
    """The flags that were given; exits with 2 where one cannot be read."""
    parser = _Parser(
        prog="post_generator.py",
        description="One good article out of many drafts: write N candidates, extract"
        " a card from each, have the cards judged, choose the best elements, write"
        " one article from them and check it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for title, flags in GROUPS.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            shown = meaning(flag).replace("%", "%%")  # argparse fills in %(...)s
            group.add_argument(flag.name, help=shown, **_takes(flag))
    return vars(parser.parse_args(argv))


class _Parser(argparse.ArgumentParser):
    """One line for a wrong flag, as for every other wrong setting."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, for_terminal(f"error: {message}; --help lists the flags\n"))


def _takes(flag: Flag) -> dict[str, Any]:
    if not flag.metavar:
        is_two = flag.can_be_off
        return {"action": argparse.BooleanOptionalAction if is_two else "store_true"}

    def read(text: str) -> object:
        try:
            return flag.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    action = "append" if flag.is_repeatable else "store"
    takes = {"metavar": flag.metavar, "type": read, "action": action}
    is_one_of_words = flag.words and flag.at_least is None
    return {**takes, "choices": flag.words} if is_one_of_words else takes


def meaning(flag: Flag) -> str:
    """What the flag does, with its default."""
    default = flag.default or _DEFAULTS.get(flag.field, "")
    return f"{flag.help} ({default})" if default else flag.help


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, int | float):
        return f"{value:g}"
    return value if isinstance(value, str) else ""


# Every setting, with its default as it is shown.
_DEFAULTS = {field.name: _shown(field.default) for field in fields(Settings)}


def flags_table() -> str:
    """README's table of all flags, in Markdown."""
    rows = ["| flag | meaning (default) |", "|---|---|"]
    for title, flags in GROUPS.items():
        rows.append(f"| *{title}* | |")
        for flag in flags:
            usages = [flag.usage.replace("|", "\\|"), *flag.names[1:]]
            shown = ", ".join(f"`{usage}`" for usage in usages)
            rows.append(f"| {shown} | {meaning(flag)} |")
    return "\n".join(rows) + "\n"


def settings_from(given: Mapping[str, Any]) -> Settings:
    """The settings of a new run; without a topic, that of the example.

    Raises SettingsError for a file that cannot be read or a value that breaks a rule.
    """
    values = changed_settings(given)
    if "topic" not in values:
        values["topic"] = EXAMPLE_TOPIC.read_text(encoding="utf-8")
    is_whole = values.get("parallel", False) or "check" in given
    values.setdefault("synthesis", is_whole)
    values.setdefault("iterations", 5 if values["synthesis"] else 1)
    settings = Settings(**values)
    if "candidates_dir" not in given:
        return settings
    from pipeline.generate import read_candidates  # takes time that --help has not

    texts = read_candidates(given["candidates_dir"])
    return replace(settings, candidates=texts, iterations=len(texts))


def changed_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the given flags state, files read.

    Raises SettingsError for a file that cannot be read, and with --resume for a flag
    that a resumed run cannot follow.
    """
    for flag in FLAGS:
        if flag.is_fixed and flag.keyword in given and "resume" in given:
            message = (
                f"{flag.name} {given[flag.keyword]} cannot be changed with --resume,"
                " which keeps the folder and the drafts of the run; leave it out, or"
                " start a new run"
            )
            raise SettingsError(message)
    values = {
        flag.field: given[flag.keyword]
        for flag in FLAGS
        if flag.field in _DEFAULTS and flag.keyword in given
    }
    if "topic_file" in given:
        if "topic" in given:
            message = "--topic and --topic-file are both given; use one"
            raise SettingsError(message)
        remedy = "name a file with --topic-file"
        values["topic"] = read_text(
            given["topic_file"], what="topic file", remedy=remedy
        )
    if "topic" in values:
        values["topic"] = clean_text(values["topic"])
    if "context_file" in given:
        values["context"] = tuple(
            clean_text(read_text(path, what="context file", remedy="mend the path"))
            for path in given["context_file"]
        )
    return values


if __name__ == "__main__":
    sys.stdout.write(flags_table())
