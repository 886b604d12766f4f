"""
The peak resident memory of one piece of work, in a process that does nothing else.

    python -m tests.benchmarks.memory BASE_URL --way flow --in-flight 64

It prints one line of JSON. `peak_mb` asks for it in a new process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.callers import plain_client, run_calls, through_client
from tests.benchmarks.setting import Tuning, engine
from tests.benchmarks.workload import (
    Load,
    draft_and_judge,
    draft_and_judge_sequential,
    lost,
)

_ROOT = Path(__file__).parents[2]
# Either way of a run has the same 320 calls.
LOAD = Load(candidates=64, votes=3)
CALLS = 320


@dataclass(frozen=True, slots=True)
class Peak:
    """Megabytes, and how many calls were in flight at most."""

    resident_mb: float
    in_flight: int


def peak_mb(base_url: str, way: str, *, in_flight: int) -> Peak:
    """What `way` takes with so many in flight, measured in a new process."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", base_url]
    command += ["--way", way, "--in-flight", str(in_flight)]
    done = subprocess.run(  # noqa: S603 - our own code
        command, cwd=_ROOT, check=True, capture_output=True, text=True, timeout=600
    )
    return Peak(**json.loads(done.stdout))


def flow(base_url: str, in_flight: int) -> int:
    """Drafting and judging in parallel."""
    tuning = Tuning(max_in_flight=in_flight)
    with engine(base_url, tuning) as made:
        _check(lost(draft_and_judge(made, LOAD), LOAD))
        return made.limiter.peak_in_flight


def loops(base_url: str, _in_flight: int) -> int:
    """Drafting and judging, one call at a time."""
    with engine(base_url, Tuning()) as made:
        _check(lost(draft_and_judge_sequential(made, LOAD), LOAD))
        return made.limiter.peak_in_flight


def calls(base_url: str, in_flight: int) -> int:
    """As many calls of the program's client, by a pool of threads."""
    tuning = Tuning(max_in_flight=in_flight)
    with through_client(base_url, tuning) as call:
        run_calls(call, CALLS, in_flight=in_flight)
    return in_flight


def plain(base_url: str, in_flight: int) -> int:
    """As many calls of one shared client of the SDK, by a pool of threads."""
    with plain_client(base_url, in_flight) as call:
        run_calls(call, CALLS, in_flight=in_flight)
    return in_flight


WAYS: Mapping[str, Callable[[str, int], int]] = {
    "flow": flow,
    "loops": loops,
    "calls": calls,
    "plain": plain,
}


def _check(missing: int) -> None:
    if missing:
        message = f"{missing} items were lost: their memory is missing too"
        raise RuntimeError(message)


def _resident_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike ru_maxrss, which a process takes over from the one that started it.
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(argv: Sequence[str] | None = None) -> int:
    """Do the work of one way and print its peak."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory")
    parser.add_argument("base_url")
    parser.add_argument("--way", choices=WAYS, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    args = parser.parse_args(argv)
    in_flight = WAYS[args.way](args.base_url, args.in_flight)
    print(json.dumps({"resident_mb": _resident_mb(), "in_flight": in_flight}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
