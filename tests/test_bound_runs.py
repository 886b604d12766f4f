"""A run is bound to its model, loses no draft, and leaves nothing where none answered."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli_fakes import Cli
from tests.loopback_llm import Faults, LoopbackLLM
from tests.process_runs import SMALL, even_marks, resumed

PARALLEL = (*SMALL, "--iterations", 3, "--parallel", "--max-concurrent", 4)
CALLS = 3 + 3 + 9 + 3 + 1 + 3 + 4


def folders(cli: Cli) -> list[Path]:
    return [path for path in cli.folder.rglob("*") if path.is_dir()]


@pytest.mark.parametrize("reason", ["stop", "eos", "eos_token", "end_turn", "weird"])
def test_a_finished_run_is_resumed_without_a_request_whatever_ended_its_answers(
    cli: Cli, reason: str
) -> None:
    with LoopbackLLM(answer=even_marks, finish_reason=reason) as server:
        cli.use(server.base_url)
        assert cli(*PARALLEL).code == 0
        hits = server.state().hits
        ran = resumed(cli)
        assert ran.code == 0
        assert server.state().hits == hits
    assert "planned: nothing is left to ask" in ran.err


def test_drafts_that_were_cut_off_are_replayed_too(cli: Cli) -> None:
    with LoopbackLLM(answer=even_marks, obeys_max_tokens=True) as server:
        cli.use(server.base_url)
        assert cli(*PARALLEL, "--max-tokens", 40).code == 0
        hits = server.state().hits
        drafts = cli.artifacts("bar")["candidates"]
        assert all(draft["cut_off"] for draft in drafts)
        assert resumed(cli).code == 0
        assert server.state().hits == hits


def test_what_is_left_is_planned(cli: Cli, even_server: LoopbackLLM) -> None:
    assert cli(*PARALLEL).code == 0
    journal = cli.run_of("bar") / "calls.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-6]))
    ran = resumed(cli)
    assert "planned: 6 calls left, about " in ran.err
    assert even_server.state().hits == CALLS + 6


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"OPENAI_BASE_URL": ""}, "OPENAI_BASE_URL="),
        ({"OPENAI_MODEL": "another"}, "OPENAI_MODEL=loopback"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "OPENAI_BASE_URL="),
    ],
)
def test_without_its_variables_a_run_stops_and_names_them(
    cli: Cli,
    even_server: LoopbackLLM,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    named: str,
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "loopback")
    assert cli(*PARALLEL).code == 0
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    ran = resumed(cli)
    assert ran.code == 2
    assert f"the run was made with loopback at {even_server.base_url}, not with" in (
        ran.err
    )
    assert named in ran.err
    assert "--model or --preset" in ran.err
    assert even_server.state().hits == CALLS
    assert "state" in (cli.run_of("bar") / "run.json").read_text()


def test_the_only_model_of_a_server_may_not_become_another(cli: Cli) -> None:
    with LoopbackLLM(answer=even_marks, models=("one",)) as server:
        cli.use(server.base_url)
        assert cli(*PARALLEL).code == 0
        port = server.base_url.split(":")[2].split("/")[0]
    with LoopbackLLM(answer=even_marks, models=("two",), port=int(port)) as server:
        ran = resumed(cli)
        assert ran.code == 2
        assert "the run was made with one at " in ran.err
        assert "not with two at " in ran.err
        assert server.state().hits == 0
        assert resumed(cli, "--model", "two").code == 0
        assert server.state().hits == CALLS


def test_a_run_goes_on_with_its_own_preset_whatever_the_environment_names_now(
    cli: Cli, even_server: LoopbackLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("models.yaml").write_text(
        f'default_preset: mine\nproviders: {{here: {{base_url: "{even_server.base_url}"'
        "}}\npresets: {mine: {provider: here, model: loopback}}\n"
    )
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert cli(*PARALLEL, "--models-file", "models.yaml").code == 0
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    ran = resumed(cli)
    assert ran.code == 0
    assert "(as the run was begun)" in ran.err
    assert even_server.state().hits == CALLS


@pytest.mark.usefixtures("even_server")
def test_the_drafts_of_another_preset_are_moved_and_never_deleted(cli: Cli) -> None:
    assert cli(*PARALLEL).code == 0
    drafts = cli.run_of("bar") / "candidates"
    before = {path.name: path.read_bytes() for path in drafts.iterdir()}
    (drafts / next(iter(before))).write_bytes(b"edited by hand")
    assert resumed(cli, "--model", "another", "--seed", 8).code == 0
    earlier = {path.name: path.read_bytes() for path in (drafts / "earlier").iterdir()}
    assert earlier == {**before, next(iter(before)): b"edited by hand"}
    assert len([path for path in drafts.iterdir() if path.is_file()]) == 3
    assert resumed(cli, "--model", "loopback", "--seed", 0).code == 0
    assert len(list((drafts / "earlier").iterdir())) == 6


@pytest.mark.parametrize("way", [("--parallel",), ("--enable-synthesis",)])
def test_a_run_that_was_never_answered_leaves_no_folder_and_says_how_to_start_again(
    cli: Cli, way: tuple[str, ...]
) -> None:
    with LoopbackLLM(faults=Faults(always="401")) as server:
        cli.use(server.base_url)
        ran = cli(*SMALL, *way)
    assert ran.code == 1
    assert folders(cli) == []
    (again,) = re.findall(r"nothing was answered; to start again: (.*)", ran.err)
    assert shlex.split(again)[2:] == [str(flag) for flag in (*SMALL, *way)]
    assert "--resume" not in ran.err


def test_a_server_with_several_models_is_told_which(cli: Cli) -> None:
    with LoopbackLLM(answer=even_marks, models=("one", "two")) as server:
        cli.use(server.base_url)
        ran = cli(*PARALLEL)
        assert ran.code == 2
        assert "offers 2 models (one, two); name the one to use by --model" in ran.err
        assert folders(cli) == []
        assert cli(*PARALLEL, "--model", "two").code == 0
        assert {served.model for served in server.log()} == {"two"}
