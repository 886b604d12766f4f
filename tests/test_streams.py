"""Streams that nobody reads: a run goes on to its end, and says nothing of it."""

import errno
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.front.streams import Forgiving, forgiving_streams
from post_generator import main
from tests.loopback_llm import ChatRequest, LoopbackLLM
from tests.process_runs import ROOT, SMALL, START_S, Runner, ended, even_marks

FLAGS = (*SMALL, "--iterations", "3", "--parallel", "--max-concurrent", "4")
CALLS = 3 + 3 + 9 + 3 + 1 + 3 + 4
FULL = Path("/dev/full")  # every write fails there
# Takes its stdin as the terminal that a hang-up is told to, then becomes the command.
ON_ITS_TERMINAL = (
    *(sys.executable, "-c"),
    "import fcntl, os, sys, termios;"
    " fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execv(sys.argv[1], sys.argv[1:])",
)


class Held:
    """Answers once the readers of the run are gone."""

    def __init__(self) -> None:
        self.asked, self.left = threading.Event(), threading.Event()

    def __call__(self, request: ChatRequest) -> dict[str, Any] | None:
        self.asked.set()
        assert self.left.wait(START_S)
        return even_marks(request)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def server(held: Held) -> Iterator[LoopbackLLM]:
    with LoopbackLLM(answer=held) as one:
        yield one
        held.left.set()


def runner_in(folder: Path, server: LoopbackLLM) -> Runner:
    # Buffered, as users have it, so that the interpreter has something to flush last.
    buffered = {"PYTHONUNBUFFERED": ""}
    return Runner(folder=folder, base_url=server.base_url, env=buffered)


def code_of(process: "subprocess.Popen[str]") -> int:
    """The exit code, with nobody at the other end of its streams."""
    try:
        return process.wait(START_S)
    finally:
        process.kill()


def assert_finished(runner: Runner, server: LoopbackLLM, code: int) -> None:
    assert code == 0
    assert server.state().hits == CALLS
    assert json.loads((runner.path / "run.json").read_text())["state"] == "finished"
    assert all(runner.outputs().values())
    lines = (runner.path / "calls.jsonl").read_bytes().splitlines()
    # Nothing else was written where a closed stream had left its number free.
    assert len(lines) == len(runner.journal()) == CALLS


def test_a_pipe_whose_reader_leaves_after_a_line_ends_no_run(
    tmp_path: Path, server: LoopbackLLM, held: Held
) -> None:
    runner = runner_in(tmp_path, server)
    process = runner.start(*FLAGS, "--verbose", stderr=subprocess.STDOUT)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    held.left.set()
    assert_finished(runner, server, code_of(process))


@pytest.mark.parametrize(
    "redirects",
    ["<&- >&- 2>&-", ">/dev/full 2>&1"],
)
def test_streams_that_are_closed_or_full_end_no_run(
    tmp_path: Path, server: LoopbackLLM, held: Held, redirects: str
) -> None:
    if "full" in redirects and not FULL.exists():
        pytest.skip("no /dev/full here")
    held.left.set()
    runner = runner_in(tmp_path, server)
    shell = ("sh", "-c", f'exec "$@" {redirects}', "sh")
    process = runner.start(*FLAGS, within=shell)
    run = ended(process)
    assert_finished(runner, server, run.code)
    assert "Error" not in run.out + run.err


def test_a_terminal_that_is_closed_ends_no_run(
    tmp_path: Path, server: LoopbackLLM, held: Held
) -> None:
    terminal, side = os.openpty()
    runner = runner_in(tmp_path, server)
    process = runner.start(*FLAGS, within=ON_ITS_TERMINAL, terminal=side)
    os.close(side)
    assert held.asked.wait(START_S)
    os.close(terminal)  # SIGHUP for the run, EIO for what it writes
    held.left.set()
    assert_finished(runner, server, code_of(process))


@pytest.mark.parametrize("redirects", [">/dev/full", ">&- 2>&-"])
def test_help_that_nobody_can_read_is_no_error(
    tmp_path: Path, server: LoopbackLLM, redirects: str
) -> None:
    shell = ("sh", "-c", f'exec "$@" {redirects}', "sh")
    run = ended(runner_in(tmp_path, server).start("--help", within=shell))
    assert (run.code, run.out, run.err) == (0, "", "")


OPENS_A_FILE = """
import sys
from pipeline.front.streams import forgiving_streams
with forgiving_streams():
    opened = open(sys.argv[1], "w")
    opened.write(str(opened.fileno()))
"""


def test_no_file_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = 'exec "$@" <&- >&- 2>&-'
    command = [sys.executable, "-c", OPENS_A_FILE, str(tmp_path / "file")]
    subprocess.run(  # noqa: S603 - our own code
        ["/bin/sh", "-c", code, "sh", *command], cwd=ROOT, timeout=START_S, check=True
    )
    assert int((tmp_path / "file").read_text()) > 2


class Broken(io.StringIO):
    """Everything fails, as on a terminal that has gone."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EIO, "gone")

    def flush(self) -> None:
        raise OSError(errno.EIO, "gone")

    def isatty(self) -> bool:
        raise OSError(errno.EIO, "gone")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream", [None, Broken(), closed()], ids=["none", "broken", "closed"]
)
def test_what_cannot_be_written_is_dropped(stream: io.StringIO | None) -> None:
    forgiving = Forgiving(stream)
    assert forgiving.write("lost") == 4
    forgiving.flush()
    assert not forgiving.isatty()
    forgiving.leave()


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", "caf? ??? ?"), ("latin-1", "café ??? ?"), ("utf-8", "café █žё ?")],
)
def test_a_letter_that_the_encoding_lacks_becomes_a_question_mark(
    encoding: str, shown: str
) -> None:
    raw = io.BytesIO()
    forgiving = Forgiving(io.TextIOWrapper(raw, encoding=encoding, errors="strict"))
    forgiving.write("café █žё \ud800")
    forgiving.flush()
    assert raw.getvalue().decode(encoding) == shown
    assert forgiving.encoding == encoding


def test_the_streams_are_put_back_and_serve_as_streams(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sys.stdout, sys.stderr
    with forgiving_streams():
        assert sys.stdout is not before[0]
        sys.stdout.write("shown\n")
        sys.stderr.write("told\n")
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("shown\n", "told\n")


@pytest.mark.parametrize("stream", [None, Broken()], ids=["none", "broken"])
def test_a_wrong_setting_has_its_exit_code_when_nobody_can_be_told(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    assert main(["--topic", " "]) == 2
    with pytest.raises(SystemExit) as caught:
        main(["--frobnicate"])
    assert caught.value.code == 2
