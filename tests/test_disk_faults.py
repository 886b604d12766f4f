"""What the disk or another process does to a run, end to end: a line, and no loss."""

import datetime as real_time
import errno
import os
import shutil
from contextlib import suppress
from typing import Any

import pytest

import post_generator
from pipeline.llm import ledger
from pipeline.store.journal import Journal
from pipeline.store.journal_file import write_all
from tests.cli_fakes import Cli
from tests.loopback_llm import ChatRequest, LoopbackLLM
from tests.process_runs import SMALL, outputs, repeated, resumed

PARALLEL = (*SMALL, "--iterations", "3", "--parallel", "--max-concurrent", "4")
SEQUENTIAL = (*SMALL, "--iterations", "3", "--enable-synthesis")
CALLS = 3 + 3 + 9 + 3 + 1 + 3 + 4


def test_a_torn_and_a_damaged_journal_cost_their_own_calls_alone(
    cli: Cli, even_server: LoopbackLLM
) -> None:
    cli(*PARALLEL)
    before = outputs(cli)
    journal = cli.run_of("bar") / "calls.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"content":"', b'"content":"Not ')
    journal.write_bytes(b"".join(lines)[:-9])
    ran = resumed(cli)
    assert ran.code == 0
    assert outputs(cli) == before
    assert "ended in half a line" in ran.err
    assert "holds 1 damaged line" in ran.err
    assert even_server.state().hits == CALLS + 2
    assert resumed(cli).code == 0  # what was asked again is whole
    assert even_server.state().hits == CALLS + 2


def test_a_second_process_is_refused_and_changes_nothing(
    cli: Cli, even_server: LoopbackLLM
) -> None:
    cli(*PARALLEL)
    folder = cli.run_of("bar")
    with Journal.open(folder / "calls.jsonl"):
        (folder / ".bar_FINAL.md.0f0f0f0f.tmp").write_text("of the other process")
        before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        ran = resumed(cli, "--seed", 9, "--quiet")
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert ran.code == 1
    first, second = ran.err.splitlines()
    assert first.startswith("error: ")
    assert "in use by another run" in first
    assert second.startswith("to finish the run: ")
    assert even_server.state().hits == CALLS


def refused_after(count: int, code: int, real: Any) -> Any:
    """The function, which the disk refuses after so many times."""
    calls = iter(range(count))

    def refuse(*args: Any, **how: Any) -> Any:
        if next(calls, None) is None:
            raise OSError(code, os.strerror(code))
        return real(*args, **how)

    return refuse


WRITES = {"pipeline.store.journal.write_all": write_all, "os.fsync": os.fsync}


@pytest.mark.parametrize("flags", [SEQUENTIAL, PARALLEL], ids=["one", "many"])
@pytest.mark.parametrize("room", [0, 2, 5, CALLS - 2])
@pytest.mark.parametrize("place", WRITES)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_ends_the_run_in_a_line_and_keeps_what_is_finished(
    cli: Cli,
    even_server: LoopbackLLM,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[object, ...],
    room: int,
    place: str,
    code: int,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(place, refused_after(room, code, WRITES[place]))
        ran = cli(*flags, "--quiet")
    assert ran.code == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert os.strerror(code) in errors[0]
    assert "Traceback" not in ran.err
    if "to finish the run" not in ran.err:  # nothing was asked yet
        assert even_server.state().hits == 0
        assert (room <= 2, place) == (True, "os.fsync")
        return
    assert cli(*ran.resume).code == 0
    lost = even_server.state().hits - CALLS
    assert 0 <= lost <= 4, "more than what was in flight"
    assert repeated(even_server.log()) == lost


def test_a_folder_deleted_under_the_run_ends_it_in_a_line(cli: Cli) -> None:
    def deletes(request: ChatRequest) -> None:
        if request.stage == "extract":
            with suppress(OSError):
                shutil.rmtree(cli.folder / "outputs")

    with LoopbackLLM(answer=deletes) as server:
        cli.use(server.base_url)
        ran = cli(*PARALLEL, "--quiet")
        assert server.state().hits < CALLS
    assert ran.code == 1
    assert "was the folder deleted or renamed?" in ran.err.splitlines()[0]
    assert "Traceback" not in ran.err
    assert not (cli.folder / "outputs").exists()


class EarlierClock(real_time.datetime):
    """A wall clock that was set back by years."""

    @classmethod
    def now(cls, tz: real_time.tzinfo | None = None) -> "EarlierClock":
        return cls(1999, 1, 2, tzinfo=tz)


def test_a_clock_that_is_set_back_changes_no_result(
    cli: Cli, even_server: LoopbackLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli(*PARALLEL)
    before = outputs(cli)
    journal = cli.run_of("bar") / "calls.jsonl"
    half = journal.read_bytes().splitlines(keepends=True)[: CALLS // 2]
    journal.write_bytes(b"".join(half))
    monkeypatch.setattr(ledger, "datetime", EarlierClock)
    monkeypatch.setattr(post_generator, "datetime", EarlierClock)
    assert resumed(cli).code == 0
    assert outputs(cli) == before
    assert even_server.state().hits == CALLS + CALLS - CALLS // 2
