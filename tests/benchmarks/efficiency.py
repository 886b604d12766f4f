"""
How close candidates, extraction and scoring come to the best that could be.

The same work on the same simulated server by the program, by plain pools and by staged
ones, over the greedy schedule without barriers and over the lower bound. Both come from
the server's own log. It measures no failures: the server has none.

    python -m tests.benchmarks.efficiency --plot efficiency.png
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.options import add_work, counts, make_parser
from tests.benchmarks.plot import draw_by_level
from tests.benchmarks.printing import report, say, spread, table
from tests.benchmarks.rivals import one_pool, staged_chained, staged_pools
from tests.benchmarks.schedule import greedy_makespan, jobs_from_log, lower_bound
from tests.benchmarks.setting import Tuning
from tests.benchmarks.workload import (
    Load,
    Trial,
    Work,
    draft_and_judge,
    lost,
    timed,
    warm_server,
)
from tests.loopback_llm import Lognormal

SIGMA = 0.5
PROGRAM = "this program"
WAYS: Mapping[str, Work] = {
    PROGRAM: draft_and_judge,
    "one plain pool": one_pool,
    "three pools in turn": staged_pools,
    "three, votes chained": staged_chained,
}
TARGETS = {8: ("1.05", "1.15"), 16: ("1.05", "-")}


@dataclass(frozen=True, slots=True)
class Ratios:
    """Wall seconds of one run over what they might have been."""

    wall_s: float
    to_greedy: float
    to_bound: float
    lost: int = 0


Results = Mapping[tuple[int, str], Sequence[Ratios]]


def ratios(trial: Trial, load: Load, *, in_flight: int) -> Ratios:
    """Of one run; the bounds come from the service times that the server drew."""
    jobs = jobs_from_log(trial.log)
    return Ratios(
        trial.wall_s,
        trial.wall_s / greedy_makespan(jobs, in_flight),
        trial.wall_s / lower_bound(jobs, in_flight),
        lost(trial.result, load),
    )


def measure(
    load: Load, levels: Sequence[int], *, seeds: int, service_s: float
) -> Results:
    """Every way at every level on every seed; the ways of a seed beside each other."""
    found: dict[tuple[int, str], list[Ratios]] = {}
    for seed in range(1, seeds + 1):
        say(f"seed {seed} of {seeds}")
        service = Lognormal(service_s, SIGMA)
        with warm_server(seed=seed, service=service, keep_bodies=True) as server:
            for c in levels:
                for name, work in WAYS.items():
                    tuning = Tuning(max_in_flight=c)
                    trial = timed(server, work, load=load, tuning=tuning)
                    found.setdefault((c, name), []).append(
                        ratios(trial, load, in_flight=c)
                    )
    return found


def rows_of(results: Results) -> list[list[str]]:
    """One row a level and way; targets stand beside the program's own."""
    rows = []
    for (c, name), runs in results.items():
        wanted = TARGETS.get(c, ("-", "-")) if name == PROGRAM else ("", "")
        rows.append(
            [
                f"{c} in flight, {name}",
                spread([run.wall_s for run in runs]),
                spread([run.to_greedy for run in runs], places=3),
                wanted[0],
                spread([run.to_bound for run in runs], places=3),
                wanted[1],
                str(sum(run.lost for run in runs)),
            ]
        )
    return rows


HEADERS = ["", "wall s", "wall/greedy", "at most", "wall/bound", "at most", "lost"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and draw where asked."""
    parser = make_parser("efficiency", "Wall over the greedy schedule and the bound.")
    add_work(parser, seeds=5)
    parser.add_argument(
        "--max-concurrent", type=counts, default="5,8,16", metavar="N,N"
    )
    args = parser.parse_args(argv)
    load = Load(candidates=args.candidates, votes=args.votes)
    results = measure(
        load, args.max_concurrent, seeds=args.seeds, service_s=args.service_s
    )
    report(
        f"{load.candidates} candidates x {load.votes} votes: write, extract, score; "
        f"log-normal calls of {args.service_s:g} s (sigma {SIGMA}), {args.seeds} seeds",
        [table(HEADERS, rows_of(results))],
    )
    if args.plot:
        draw(results, args.plot)
    return 0


def draw(results: Results, path: Path) -> None:
    """Wall over greedy by calls in flight, a line for each way."""
    walls = {
        level_and_way: median(run.to_greedy for run in runs)
        for level_and_way, runs in results.items()
    }
    draw_by_level(walls, path, what="wall / greedy schedule")


if __name__ == "__main__":
    sys.exit(main())
