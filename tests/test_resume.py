"""Runs that are resumed: what is kept, what is asked again, and what the user is told."""

import shutil
from dataclasses import fields

import pytest

from pipeline.errors import SettingsError
from pipeline.resume import reopened
from pipeline.settings import Settings
from tests.cli_fakes import Cli
from tests.loopback_llm import LoopbackLLM
from tests.process_runs import FILES, SMALL, outputs, resumed

DRAFTS = ("--iterations", 3)
PARALLEL = (*SMALL, *DRAFTS, "--parallel", "--max-concurrent", 4)
SEQUENTIAL = (*SMALL, *DRAFTS, "--enable-synthesis")
CALLS = 3 + 3 + 9 + 3 + 1 + 3 + 4


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
    cli: Cli, even_server: LoopbackLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli(*PARALLEL)
    monkeypatch.setenv("OPENAI_MODEL", "another")
    ran = resumed(cli)
    assert "changed: model of env from 'loopback' to 'another'" in ran.err
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


def test_settings_that_ask_the_same_are_settings() -> None:
    from pipeline.resume import _ASKS_THE_SAME

    assert {field.name for field in fields(Settings)} > _ASKS_THE_SAME
