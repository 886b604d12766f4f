"""Runs of the command in processes of their own: to be killed, signalled and resumed."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.store.journal_file import CallRecord, decode_line
from tests.cli_fakes import Cli, Ran
from tests.loopback_llm import ChatRequest, Served

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "post_generator.py"
START_S = 60.0  # for a process on a busy machine; reached only by a failing test
FILES = (
    *("FINAL.md", "RUNNER_UP.md", "pipeline_artifacts.json"),
    *("provenance.json", "validation.json"),
)
SMALL = ("--topic", "Why keep a log", "--target-word-count", "120", "--output", "bar")
KEY = "sk-secret-0123456789abcdef"

# Runs the command with another grace, and tells on stdout when it left at once.
_TIMED = f"""
import os, runpy, sys, time
import parallel.session
parallel.session.GRACE_S = float(sys.argv.pop(1))
leave = os._exit
def timed(code):
    os.write(1, f"left {{time.monotonic()}}".encode())
    leave(code)
os._exit = timed
sys.argv[0] = {str(SCRIPT)!r}
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What one process left behind."""

    code: int
    out: str
    err: str

    @property
    def resume(self) -> list[str]:
        """The flags of the command in the last line, which finishes the run."""
        found = re.fullmatch(
            r"(?:interrupted; )?to finish the run: (.*)", self.err.splitlines()[-1]
        )
        assert found, self.err
        command = shlex.split(found[1])
        # From another folder the command has to name the script where it lies.
        assert command[0] == "python"
        assert Path(command[1]).samefile(SCRIPT)
        return command[2:]

    @property
    def left_s(self) -> float:
        """When the process left at once, on the machine's monotonic clock."""
        return float(self.out.removeprefix("left "))


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Starts the command in a folder, against an endpoint."""

    folder: Path
    base_url: str
    env: dict[str, str] = field(default_factory=dict)

    def start(
        self,
        *flags: str,
        grace_s: float | None = None,
        stderr: Any = subprocess.PIPE,
        within: Sequence[str] = (),
        terminal: int | None = None,
    ) -> "subprocess.Popen[str]":
        """The process; with `grace_s`, one that tells when it left at once.

        `within` is a command that becomes ours, `terminal` all three of its streams.
        """
        own = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
        script = [str(SCRIPT)] if grace_s is None else ["-c", _TIMED, str(grace_s)]
        return subprocess.Popen(  # noqa: S603 - our own script, with a test's flags
            [*within, sys.executable, *script, *flags],
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=stderr if terminal is None else terminal,
            start_new_session=terminal is not None,
            text=True,
            cwd=self.folder,
            env={
                **own,
                "OPENAI_BASE_URL": self.base_url,
                "OPENAI_MODEL": "loopback",
                "PYTHONPATH": str(ROOT),
                **self.env,
            },
        )

    def run(self, *flags: str) -> Ended:
        """The process from start to end."""
        return ended(self.start(*flags))

    @property
    def path(self) -> Path:
        """The run's folder."""
        (found,) = self.folder.glob("outputs/*/bar")
        return found

    def outputs(self) -> dict[str, bytes]:
        """The final artifacts, by name."""
        return {name: (self.path / f"bar_{name}").read_bytes() for name in FILES}

    def journal(self) -> list[CallRecord]:
        """The whole records of the journal; none before there is one."""
        found = list(self.folder.glob("outputs/*/bar/calls.jsonl"))
        lines = found[0].read_bytes().splitlines(keepends=True) if found else []
        return [record for line in lines if (record := decode_line(line))]

    def leftovers(self) -> list[str]:
        """Temporary files of a write that was cut off."""
        return [path.name for path in self.folder.rglob("*.tmp")]


def ended(process: "subprocess.Popen[str]", *, within_s: float = START_S) -> Ended:
    """Waits for the process, and ends it where it does not end by itself."""
    try:
        out, err = process.communicate(timeout=within_s)
    finally:
        process.kill()
        process.wait()
    return Ended(code=process.returncode, out=out or "", err=err or "")


def repeated(log: Iterable[Served]) -> int:
    """How many good answers were to a work item that had one already."""
    counts = Counter(served.item for served in log if served.is_good)
    return sum(count - 1 for count in counts.values())


def arrived_after(log: Iterable[Served], moment_s: float) -> int:
    """How many work items were asked about later than that.

    Items and not requests: one that a killed process had sent may reach the server after
    its death, and is then asked by the next process too.
    """
    return len({served.item for served in log if served.arrived_s > moment_s})


def even_marks(request: ChatRequest) -> dict[str, Any] | None:
    """A five for everything and a tie: the article is then no worse than a draft."""
    if request.stage not in ("score", "pairwise") or request.schema is None:
        return None
    even: dict[str, Any] = {"justification": "even", "score": 5}
    if request.stage == "pairwise":
        even = {"reason": "even", "winner": "tie"}
    return dict.fromkeys(request.schema["required"], even)


def outputs(cli: Cli) -> dict[str, bytes]:
    """The result files of the run that was made first in the folder."""
    return {name: cli.file("bar", name) for name in FILES}


def resumed(cli: Cli, *flags: object) -> Ran:
    """That run, resumed in this process."""
    return cli("--resume", cli.run_of("bar"), *flags)


def now_s() -> float:
    """The machine's monotonic clock, the same in every process."""
    return time.monotonic()
