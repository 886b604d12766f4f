"""Programs in processes of their own, and whether a process is gone."""

import os
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

FAILSAFE_S = 5.0
ROOT = Path(__file__).parents[1]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run_program(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def wait_for_end(pid: int) -> bool:
    """Say whether a process that is not our child is gone within the failsafe."""
    end = time.monotonic() + FAILSAFE_S
    while is_running(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
