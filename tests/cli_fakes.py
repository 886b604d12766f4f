"""The command line in hand: run in this process or in one of its own."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from post_generator import main

SCRIPT = Path(__file__).parents[1] / "post_generator.py"
PRICED = """
providers:
  loop: {base_url: "%s"}
presets:
  priced:
    provider: loop
    model: loopback
    words: 120
    price: {input: 1000, output: 1000}
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of the command gave."""

    code: int
    out: str
    err: str

    @property
    def resume(self) -> list[str]:
        """The flags of the command that it told the user to finish with."""
        (line,) = re.findall(r"to finish the run: (.*)", self.err)
        command = shlex.split(line)
        # From another folder the command has to name the script where it lies.
        assert command[0] == "python"
        assert Path(command[1]).samefile(SCRIPT)
        return command[2:]


class Cli:
    """The command in an empty folder, without a variable of the user's."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []
        self._patch = monkeypatch
        self._capsys = capsys
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(folder)

    def use(self, base_url: str) -> None:
        """Let the environment name this endpoint."""
        self._patch.setenv("OPENAI_BASE_URL", base_url)

    def __call__(self, *flags: object) -> Ran:
        """Run in this process."""
        self._capsys.readouterr()
        try:
            code: Any = main([str(flag) for flag in flags])
        except SystemExit as end:
            code = end.code
        out, err = self._capsys.readouterr()
        return Ran(code, out, err)

    def start(self, *flags: object) -> "subprocess.Popen[str]":
        """Run in a process of its own."""
        process = subprocess.Popen(  # noqa: S603 - our own script, with a test's flags
            [sys.executable, str(SCRIPT), *map(str, flags)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=self.folder,
            env=dict(os.environ),
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what a failing test left running."""
        for process in self._started:
            process.kill()
            process.communicate()

    def run_of(self, name: str) -> Path:
        """The folder of a run."""
        (found,) = self.folder.glob(f"outputs/*/{name}")
        return found

    def file(self, name: str, kind: str, *, prefix: str | None = None) -> bytes:
        """A file of a run, as bytes."""
        return (self.run_of(name) / f"{prefix or name}_{kind}").read_bytes()

    def artifacts(self, name: str) -> Mapping[str, Any]:
        """The artifacts of a run."""
        found: Mapping[str, Any] = json.loads(
            self.file(name, "pipeline_artifacts.json")
        )
        return found
