"""Runs that are resumed: what is kept, what is asked again, and what the user is told."""

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SettingsError
from pipeline.flag import Flag
from pipeline.flags import FLAGS
from pipeline.front.resume import changes_line, reopened, run_record
from pipeline.models.presets import BUILTIN_PRESET
from pipeline.models.run_models import Choice
from pipeline.settings import Settings
from pipeline.store.run_folder import RunFolder
from tests.cli_fakes import Cli
from tests.loopback_llm import LoopbackLLM
from tests.process_runs import FILES, SMALL, outputs, resumed

DRAFTS = ("--iterations", 3)
PARALLEL = (*SMALL, *DRAFTS, "--parallel", "--max-concurrent", 4)
SEQUENTIAL = (*SMALL, *DRAFTS, "--enable-synthesis")
CALLS = 3 + 3 + 9 + 3 + 1 + 3 + 4
DAY = date(2026, 1, 31)
ENV = Choice(main=BUILTIN_PRESET, why="test")


@pytest.mark.parametrize("flags", [SEQUENTIAL, PARALLEL], ids=["one", "many"])
@pytest.mark.parametrize("again", [(), ("--parallel",)], ids=["as it was", "parallel"])
def test_a_finished_run_makes_no_call_and_rebuilds_its_outputs(
    cli: Cli,
    even_server: LoopbackLLM,
    flags: tuple[object, ...],
    again: tuple[object, ...],
) -> None:
    assert cli(*flags).code == 0
    before = outputs(cli)
    for name in FILES:
        (cli.run_of("bar") / f"bar_{name}").unlink()
    shutil.rmtree(cli.run_of("bar") / "candidates")
    ran = resumed(cli, *again)
    assert ran.code == 0
    assert outputs(cli) == before
    assert len(list((cli.run_of("bar") / "candidates").iterdir())) == 3
    assert even_server.state().hits == CALLS
    assert f"kept from before: {CALLS} finished calls" in ran.err


def test_a_draft_that_was_changed_on_disk_is_written_anew(
    cli: Cli, even_server: LoopbackLLM
) -> None:
    cli(*PARALLEL)
    first, second, _ = sorted((cli.run_of("bar") / "candidates").iterdir())
    before = first.read_bytes()
    first.write_bytes(before[:-1])
    second.unlink()
    assert resumed(cli).code == 0
    assert first.read_bytes() == before
    assert second.exists()
    assert even_server.state().hits == CALLS


def test_what_a_killed_process_left_half_written_is_removed(
    cli: Cli, even_server: LoopbackLLM
) -> None:
    cli(*PARALLEL)
    folder = cli.run_of("bar")
    parts = [folder / ".bar_FINAL.md.0f0f0f0f.tmp", folder / ".run.json.12345678.tmp"]
    parts.append(folder / "candidates" / ".bar_candidate_01_env.md.abcdef00.tmp")
    mine = [folder / "mine.tmp", folder / ".mine.tmp", folder / ".x.0f0f0f0g.tmp"]
    for path in (*parts, *mine):
        path.write_text("half")
    assert resumed(cli).code == 0
    assert not any(path.exists() for path in parts)
    assert all(path.exists() for path in mine)
    assert even_server.state().hits == CALLS


@pytest.mark.parametrize(
    ("flags", "named", "hits"),
    [
        (["--max-concurrent", 2, "--timeout", 9], None, 0),
        (["--no-filter-think"], "filter_think from True to False", 0),
        (["--synthesis-votes", 4], "votes from 3 to 4", 3 + 3 + 1),
        (["--seed", 5], "seed from 0 to 5", CALLS),
        (
            ["--topic", "Another brief"],
            "topic from 'Why keep a log' to 'Another",
            CALLS,
        ),
    ],
)
def test_a_changed_setting_is_named_and_only_its_calls_are_made(
    cli: Cli,
    even_server: LoopbackLLM,
    flags: list[object],
    named: str | None,
    hits: int,
) -> None:
    cli(*PARALLEL)
    ran = resumed(cli, *flags)
    assert ran.code == 0
    told = [line for line in ran.err.splitlines() if line.startswith("changed: ")]
    assert len(told) == (named is not None)
    assert not named or named in told[0]
    made = even_server.state().hits - CALLS
    # A choice of other scores may be another article, so that it is written anew.
    assert made == hits or (named == "votes from 3 to 4" and made >= hits)
    assert not [line for line in resumed(cli).err.splitlines() if "changed" in line]


def test_another_model_is_named_and_asked_anew(
    cli: Cli, even_server: LoopbackLLM
) -> None:
    cli(*PARALLEL)
    ran = resumed(cli, "--model", "another")
    assert "changed: model from None to 'another'; model of env from 'loopback'" in (
        ran.err
    )
    assert f"planned: {CALLS} calls, about" in ran.err
    assert even_server.state().hits == 2 * CALLS


def test_a_long_setting_is_named_in_one_line(
    cli: Cli, even_server: LoopbackLLM
) -> None:
    cli(*PARALLEL)
    ran = resumed(cli, "--topic", "A brief\nof many lines " * 50)
    (line,) = [line for line in ran.err.splitlines() if line.startswith("changed: ")]
    assert len(line) < 200
    assert even_server.state().hits > CALLS


def test_settings_come_from_the_run_and_a_run_without_any_is_refused(
    cli: Cli, even_server: LoopbackLLM
) -> None:
    cli(*PARALLEL, "--temperature", 0.4)
    folder, settings = reopened(cli.run_of("bar"), {"votes": 5})
    assert (settings.temperature, settings.votes, settings.iterations) == (0.4, 5, 3)
    folder.write_run({})
    with pytest.raises(SettingsError, match="holds no settings; start a new run"):
        reopened(cli.run_of("bar"), {})
    assert even_server.state().hits == CALLS


@pytest.mark.parametrize(
    "flag",
    [f for f in FLAGS if f.asks_the_same],
    ids=lambda flag: flag.name,
)
def test_how_a_run_is_made_is_no_change_of_what_it_asks(
    tmp_path: Path, flag: Flag
) -> None:
    before = Settings(topic="t")
    folder = RunFolder.create(tmp_path, "bar", today=DAY, data=run_record(before, ENV))
    texts: dict[str, Any] = {"min_free_memory": "512M", "models_file": "m.yaml"}
    changed = replace(before, **{flag.field: texts.get(flag.field, 7)})
    assert getattr(changed, flag.field) != getattr(before, flag.field)
    assert changes_line(folder, changed, ENV) is None
    asked = changes_line(folder, replace(changed, seed=1, context=("c",)), ENV)
    assert asked is not None
    assert asked.startswith("changed: context from () to ('c',); seed from 0 to 1: ")


def test_a_value_that_breaks_a_rule_is_refused_on_a_resume_too(tmp_path: Path) -> None:
    data = run_record(Settings(topic="t"), ENV)
    folder = RunFolder.create(tmp_path, "bar", today=DAY, data=data)
    with pytest.raises(SettingsError, match="max_concurrent must be at least 1"):
        reopened(folder.path, {"max_concurrent": 0})
