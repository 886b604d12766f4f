"""The declarations of flags: with Settings, with README, and with each other."""

from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.flag import Flag
from pipeline.flags import FLAGS
from pipeline.front.command_line import flags_table, meaning
from pipeline.settings import Settings

README = Path(__file__).parents[1] / "README.md"
FIELDS = {field.name: field for field in fields(Settings)}
BY_NAME = {flag.name: flag for flag in FLAGS}
EXAMPLE = {"N": "3", "DAYS": "3", "N|auto": "3", "S": "3", "X": "3", "T": "1"}


def test_the_table_of_the_readme_is_the_one_that_the_declarations_make() -> None:
    assert f"\n{flags_table()}\n" in README.read_text(encoding="utf-8"), (
        "the flags have changed: replace the table under 'Flags' in README.md by what"
        " this prints: python -m pipeline.front.command_line"
    )


def test_every_field_has_its_flag_but_texts_of_files_that_flags_name() -> None:
    fields_of_flags = {flag.field for flag in FLAGS}
    assert FIELDS.keys() - fields_of_flags == {"context", "candidates"}


def test_a_flag_is_declared_once() -> None:
    names = [name for flag in FLAGS for name in flag.names]
    assert len(names) == len(set(names))


def test_only_these_change_how_a_run_is_made_and_nothing_that_it_asks() -> None:
    assert {flag.keyword for flag in FLAGS if flag.asks_the_same} == {
        *("parallel", "max_concurrent", "extract_concurrent", "score_concurrent"),
        *("models_file", "allow_insecure", "retry_count", "retry_delay", "timeout"),
        *("max_outage", "min_free_memory", "max_cost"),
    }


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_a_declaration_does_not_contradict_itself(flag: Flag) -> None:
    assert flag.name.startswith("--")
    is_setting = flag.field in FIELDS
    assert is_setting or not (flag.asks_the_same or flag.setting or flag.at_least)
    assert not (flag.is_fixed and is_setting)
    assert not (flag.can_be_off and flag.metavar)
    assert flag.at_least is None or flag.read(EXAMPLE[flag.metavar])
    flag.check(None)
    for word in flag.words:
        flag.check(flag.read(word))
        assert word in flag.usage


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_what_a_field_has_by_default_keeps_the_rule(flag: Flag) -> None:
    if flag.field in FIELDS and flag.field != "topic":
        flag.check(FIELDS[flag.field].default)


@pytest.mark.parametrize("flag", [f for f in FLAGS if f.at_least], ids=lambda f: f.name)
def test_a_remedy_is_a_value_that_would_do(flag: Flag) -> None:
    assert flag.at_least is not None
    least, remedy = flag.at_least
    value = flag.read(remedy.split()[0].rstrip(","))
    flag.check(value)
    flag.check(least)
    with pytest.raises(SettingsError, match=f"got .*; use {flag.name} {remedy}"):
        flag.check(least - 1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("--max-concurrent", "calls in flight of the whole run (5)"),
        ("--retry-delay", "base of the growing wait after a fault, seconds (1)"),
        (
            "--max-outage",
            "longest outage of an endpoint to wait out, seconds"
            " (900; 30 while nobody was ever there)",
        ),
        ("--gate", "compare the article with the best draft, deliver the better (on)"),
        ("--topic", "the brief itself"),
        ("--candidates-only", "stop when the drafts are there"),
        ("--output-root", "where run folders go (outputs)"),
    ],
)
def test_a_default_is_that_of_the_field_unless_more_is_to_say(
    name: str, shown: str
) -> None:
    assert meaning(BY_NAME[name]) == shown


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("--iterations", "7", 7),
        ("--timeout", "1e2", 100.0),
        ("--synthesis-votes", "auto", "auto"),
        ("--synthesis-votes", "4", 4),
        ("--judge-presets", " a,b ,,c", ("a", "b", "c")),
        ("--topic", "7", "7"),
    ],
)
def test_the_name_of_a_value_says_how_it_is_read(
    name: str, text: str, value: object
) -> None:
    read = BY_NAME[name].read(text)
    assert (read, type(read)) == (value, type(value))
