"""Processes that are killed or asked to end: nothing finished is lost or paid twice."""

import itertools
import os
import pty
import signal
import socket
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback_llm import (
    Fixed,
    Lognormal,
    LoopbackLLM,
    Service,
)
from tests.process_runs import (
    SMALL,
    START_S,
    Ended,
    Runner,
    arrived_after,
    ended,
    even_marks,
    now_s,
    repeated,
)

# The k-th request, or the k-th answer: all stages, those of a single call at its request.
MOMENTS = (
    *[("finished", 1), ("hits", 3), ("hits", 7), ("finished", 12), ("hits", 17)],
    *[("hits", 21), ("hits", 22), ("hits", 23), ("hits", 28), ("finished", 31)],
)
PLACES = 4
DRAFTS = ("--iterations", "4")
PARALLEL = (*SMALL, *DRAFTS, "--parallel", "--max-concurrent", str(PLACES))
SEQUENTIAL = (*SMALL, *DRAFTS, "--enable-synthesis")
CALLS = 4 + 4 + 12 + 3 + 1 + 3 + 4  # with the article's card, votes, comparisons
STAGES = {
    *("generate", "extract", "score", "select", "synthesize", "validate", "pairwise")
}


@dataclass(frozen=True, slots=True)
class Kill:
    """When a process is killed: at its k-th request, or at the k-th answer."""

    event: str
    count: int
    is_parallel: bool

    @property
    def most_in_flight(self) -> int:
        return PLACES if self.is_parallel else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What came of a run that was killed and resumed."""

    kill: Kill
    stage: str  # of the last request before the kill
    first: Ended
    second: Ended
    outputs: dict[str, bytes]
    leftovers: list[str]
    kept: int  # calls in the journal when it was resumed
    asked_again: int  # requests of the second process
    repeated: int


def kills() -> list[Kill]:
    """Moments spread over the whole run, at least one in each stage."""
    return [
        Kill(event, count, is_parallel=n % 2 == 0)
        for n, (event, count) in enumerate(MOMENTS)
    ]


def killed_and_resumed(kill: Kill, folder: Path) -> Story:
    folder.mkdir()
    flags = PARALLEL if kill.is_parallel else SEQUENTIAL
    service = Lognormal(median_s=0.02, sigma=0.7)
    with LoopbackLLM(service=service, answer=even_marks) as server:
        runner = Runner(folder=folder, base_url=server.base_url)
        process = runner.start(*flags)
        server.wait_for(**{kill.event: kill.count}, timeout_s=START_S)
        process.send_signal(signal.SIGKILL)
        first = ended(process)
        killed_s, kept = now_s(), len(runner.journal())
        second = runner.run("--resume", str(runner.path))
        log = server.log()
    before = [served for served in log if served.arrived_s <= killed_s]
    return Story(
        kill=kill,
        stage=max(before, key=lambda served: served.arrived_s).stage,
        first=first,
        second=second,
        outputs=runner.outputs(),
        leftovers=runner.leftovers(),
        kept=kept,
        asked_again=arrived_after(log, killed_s),
        repeated=repeated(log),
    )


def test_a_process_killed_at_any_moment_is_finished_without_repeating_a_call(
    tmp_path: Path,
) -> None:
    with LoopbackLLM(answer=even_marks) as server:
        whole = Runner(folder=tmp_path, base_url=server.base_url)
        assert whole.run(*PARALLEL).code == 0
    assert len(server.log()) == CALLS
    with ThreadPoolExecutor(3) as pool:
        folders = (tmp_path / str(number) for number in itertools.count())
        stories = list(pool.map(killed_and_resumed, kills(), folders))
    for story in stories:
        assert story.first.code in (-signal.SIGKILL, 0), story.first.err
        assert story.second.code == 0, story.second.err
        assert story.outputs == whole.outputs(), story.kill
        assert story.leftovers == []
        assert story.asked_again == CALLS - story.kept, story.kill
        assert story.repeated <= story.kill.most_in_flight, story.kill
    assert {story.stage for story in stories} == STAGES
    assert sum(story.first.code != 0 for story in stories) >= len(MOMENTS) - 1


SHORT_S, LONG_S = 0.4, 25.0


@dataclass(frozen=True, slots=True)
class Mixed:
    """Half of the requests are soon answered, the others in 25 seconds."""

    def time_s(self, chance: float) -> float:
        return SHORT_S if chance < 0.5 else LONG_S


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: the end that shows, and the end that a process writes to."""
    shown, written = pty.openpty()
    try:
        yield shown, written
    finally:
        os.close(shown)


def all_of(descriptor: int) -> str:
    """What was written to a terminal that nobody writes to any more."""
    pieces = []
    with suppress(OSError):  # how Linux says that it ends
        while piece := os.read(descriptor, 1 << 16):
            pieces.append(piece)
    return b"".join(pieces).decode()


EIGHT = (*SMALL, "--iterations", "4", "--parallel", "--max-concurrent", "8")


def finished_on(port: int, runner: Runner, flags: list[str]) -> tuple[Ended, int]:
    """The run, resumed on a quick server in the place of the slow one."""
    with LoopbackLLM(port=port, answer=even_marks) as quick:
        again = runner.run(*flags)
    return again, len(quick.log())


def test_two_signals_end_eight_calls_of_25_s_at_once(tmp_path: Path) -> None:
    slow = {"default": Fixed(0.0), "score": Fixed(LONG_S)}
    with (
        LoopbackLLM(service=slow, answer=even_marks) as server,
        terminal() as (shown, written),
    ):
        runner = Runner(folder=tmp_path, base_url=server.base_url)
        before = termios.tcgetattr(written)
        process = runner.start(*EIGHT, grace_s=10.0, stderr=written)
        server.wait_for(in_flight=8, timeout_s=START_S)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # not SIGINT: two of one kind may be one
        second_s = now_s()
        out, _ = process.communicate(timeout=LONG_S)
        assert termios.tcgetattr(written) == before
        os.close(written)
        screen = all_of(shown)
    end = Ended(code=process.returncode, out=out, err=screen.replace("\r\n", "\n"))
    assert end.code == 130
    assert end.left_s - second_s < 2.0
    assert "Traceback" not in screen
    kept = len(runner.journal())
    assert kept == 4 + 4
    port = int(server.base_url.split(":")[2].split("/")[0])
    again, asked = finished_on(port, runner, end.resume)
    assert (again.code, asked) == (0, CALLS - kept)


# Both signals take the same way; which they are is tested beside `attend`.
@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_one_signal_lets_calls_finish_within_the_grace_and_keeps_them(
    tmp_path: Path, number: int
) -> None:
    slow: dict[str, Service] = {"default": Fixed(0.0), "score": Mixed()}
    with LoopbackLLM(service=slow, answer=even_marks) as server:
        runner = Runner(folder=tmp_path, base_url=server.base_url)
        process = runner.start(*EIGHT, grace_s=2.0)
        state = server.wait_for(in_flight=8, timeout_s=START_S)
        process.send_signal(number)
        asked_s = now_s()
        end = ended(process, within_s=LONG_S)
        good = sum(served.is_good for served in server.log())
    assert end.code == 130
    assert 2.0 <= end.left_s - asked_s < 4.0
    assert "have 2 s to finish" in end.err
    kept = len(runner.journal())
    assert kept == good > state.finished, "a call was not given its time"
    port = int(server.base_url.split(":")[2].split("/")[0])
    again, asked = finished_on(port, runner, end.resume)
    assert (again.code, asked) == (0, CALLS - kept)


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_a_signal_before_the_first_call_ends_without_a_traceback(
    tmp_path: Path, number: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        runner = Runner(
            folder=tmp_path,
            base_url=f"http://127.0.0.1:{port}/v1",
            env={"OPENAI_MODEL": ""},  # so the server is asked for its only one
        )
        process = runner.start(*EIGHT, "--quiet")
        mute.settimeout(START_S)
        asked, _ = mute.accept()
        with asked:
            process.send_signal(number)
            end = ended(process, within_s=START_S)
    assert end.code == 130
    assert end.err.splitlines()[0] == "interrupted"
    assert len(end.err.splitlines()) == 2, end.err
    assert "nothing was answered; to start again: python " in end.err
    assert list(tmp_path.iterdir()) == []
