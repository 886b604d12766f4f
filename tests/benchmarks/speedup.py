"""
How much faster the program is with several calls in flight, stage by stage.

Extraction alone, scoring alone, both together and the whole pipeline, sequentially and
in parallel, against a simulated server with a process of its own. Efficiency is the
greedy schedule of the server's own service times over the measured wall.

One at a time takes long: it is measured on a few seeds, and on the others it is the sum
of the service times, which flatters it. Levels without a target have fewer seeds too.

    python -m tests.benchmarks.speedup --candidates 15 --max-concurrent 1,5,8
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from tests.benchmarks import workload
from tests.benchmarks.memory import Peak, peak_mb
from tests.benchmarks.options import add_work, count, counts, make_parser
from tests.benchmarks.plot import picture
from tests.benchmarks.printing import report, say, spread, table
from tests.benchmarks.schedule import greedy_makespan, jobs_from_log
from tests.benchmarks.setting import Tuning
from tests.benchmarks.workload import Load, Trial, Work, timed
from tests.loopback_llm import Fixed, Lognormal, LoopbackLLM

SIGMA = 0.5
WHOLE = "whole pipeline"
STAGES: Mapping[str, tuple[Work, Work]] = {
    "extraction": (workload.extract_sequential, workload.extract_parallel),
    "scoring": (workload.score_sequential, workload.score_parallel),
    "both": (workload.judge_sequential, workload.judge_parallel),
    WHOLE: (workload.whole_sequential, workload.whole_parallel),
}
EFFICIENT_AT = (5, 8)
EFFICIENCY_TARGET = "0.90"
SPEEDUP_TARGET = "3.0"
MEMORY_AT = 64
FEW_SEEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One stage at one level on one seed; `efficiency` where a greedy schedule is."""

    stage: str
    in_flight: int
    wall_s: float
    work_s: float  # sum of the service times
    efficiency: float | None = None
    sequential_s: float = 0.0

    @property
    def speedup(self) -> float:
        """Over one at a time."""
        return self.sequential_s / self.wall_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured on how many seeds."""

    levels: Sequence[int]
    seeds: int
    sequential_seeds: int
    service_s: float

    def cells(self, seed: int) -> Iterator[tuple[str, int]]:
        """Stage and level; one at a time comes first, for the others to compare."""
        for stage in STAGES:
            for c in self.levels:
                if c == 1 and seed > self.sequential_seeds:
                    continue
                has_target = stage != WHOLE and c in EFFICIENT_AT
                if has_target or c == 1 or seed <= FEW_SEEDS:
                    yield stage, c


def measured(stage: str, in_flight: int, trial: Trial) -> Measured:
    """The figures of one run."""
    work_s = sum(one.service_s for one in trial.log)
    efficiency = None
    if stage != WHOLE:
        jobs = jobs_from_log(trial.log)
        efficiency = greedy_makespan(jobs, in_flight) / trial.wall_s
    return Measured(
        stage=stage,
        in_flight=in_flight,
        wall_s=trial.wall_s,
        work_s=work_s,
        efficiency=efficiency,
        sequential_s=trial.wall_s if in_flight == 1 else work_s,
    )


def measure(load: Load, plan: Plan) -> list[Measured]:
    """Seed after seed; all levels of a stage beside each other."""
    found: list[Measured] = []
    for seed in range(1, plan.seeds + 1):
        say(f"seed {seed} of {plan.seeds}")
        service = Lognormal(plan.service_s, SIGMA)
        with LoopbackLLM(
            seed=seed, service=service, process=True, keep_bodies=True
        ) as server:
            # A thing done for the first time is slow: modules are loaded.
            warm_up = Load(candidates=2, votes=1)
            timed(server, workload.whole_parallel, load=warm_up, tuning=Tuning())
            found += _on_one_seed(server, load, list(plan.cells(seed)))
    return found


def _on_one_seed(
    server: LoopbackLLM, load: Load, cells: Sequence[tuple[str, int]]
) -> Iterator[Measured]:
    sequential_s: dict[str, float] = {}
    for stage, c in cells:
        work = STAGES[stage][0 if c == 1 else 1]
        trial = timed(server, work, load=load, tuning=Tuning(max_in_flight=c))
        one = measured(stage, c, trial)
        if c == 1:
            sequential_s[stage] = one.wall_s
        yield _beside(one, sequential_s.get(stage))


def _beside(one: Measured, sequential_s: float | None) -> Measured:
    return one if sequential_s is None else replace(one, sequential_s=sequential_s)


HEADERS = [
    "",
    "seeds",
    "one at a time s",
    "wall s",
    "speedup",
    "at least",
    "efficiency",
    "at least",
]


def rows_of(found: Sequence[Measured]) -> list[list[str]]:
    """One row a stage and level, over its seeds."""
    groups: dict[tuple[str, int], list[Measured]] = {}
    for one in found:
        groups.setdefault((one.stage, one.in_flight), []).append(one)
    order = list(STAGES)
    cells = sorted(groups, key=lambda cell: (order.index(cell[0]), cell[1]))
    return [_row(*cell, groups[cell]) for cell in cells]


def _row(stage: str, c: int, group: Sequence[Measured]) -> list[str]:
    efficiencies = [one.efficiency for one in group if one.efficiency is not None]
    is_whole_target = stage == WHOLE and c == EFFICIENT_AT[0]
    has_target = stage != WHOLE and c in EFFICIENT_AT
    return [
        f"{stage}, {c} in flight",
        str(len(group)),
        spread([one.sequential_s for one in group]),
        spread([one.wall_s for one in group]),
        spread([one.speedup for one in group]),
        SPEEDUP_TARGET if is_whole_target else "-",
        spread(efficiencies, places=3),
        EFFICIENCY_TARGET if has_target else "-",
    ]


def memory() -> tuple[Peak, Peak]:
    """Of the sequential run, and of the parallel one with all places taken."""
    say("memory")
    with LoopbackLLM(process=True) as server:
        sequential = peak_mb(server.base_url, "loops", in_flight=1)
    with LoopbackLLM(service=Fixed(0.3), process=True) as server:
        return sequential, peak_mb(server.base_url, "flow", in_flight=MEMORY_AT)


def memory_line(sequential: Peak, parallel: Peak) -> str:
    """Both peaks and their ratio."""
    ratio = parallel.resident_mb / sequential.resident_mb
    return (
        f"peak resident memory of 320 calls: {sequential.resident_mb:.1f} MB one at a"
        f" time, {parallel.resident_mb:.1f} MB at {parallel.in_flight} in flight,"
        f" {ratio:.2f} times (below 2.00)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and draw where asked."""
    parser = make_parser("speedup", "Sequential and parallel walls of every stage.")
    add_work(parser, seeds=10)
    add = parser.add_argument
    add("--max-concurrent", type=counts, default="1,5,8,16,32", metavar="N,N")
    add("--sequential-seeds", type=count, default=1, metavar="N", help="measured")
    add("--no-memory", action="store_true", help="leave memory out")
    args = parser.parse_args(argv)
    load = Load(candidates=args.candidates, votes=args.votes)
    plan = Plan(
        levels=args.max_concurrent,
        seeds=args.seeds,
        sequential_seeds=args.sequential_seeds,
        service_s=args.service_s,
    )
    found = measure(load, plan)
    lines = [table(HEADERS, rows_of(found)), "", sequential_line(found)]
    if not args.no_memory:
        lines.append(memory_line(*memory()))
    report(
        f"{load.candidates} candidates x {load.votes} votes;"
        f" log-normal calls of {args.service_s:g} s (sigma {SIGMA})",
        lines,
    )
    if args.plot:
        draw(found, args.plot)
    return 0


def sequential_line(found: Sequence[Measured]) -> str:
    """What one at a time took over what its calls took; 1 elsewhere by definition."""
    over = [one.wall_s / one.work_s for one in found if one.in_flight == 1]
    if not over:
        return "one at a time: the sum of the service times, not measured"
    return (
        "one at a time: measured on the first seeds, "
        f"{spread(over, places=3)} times the sum of the service times;"
        " that sum on the others"
    )


def draw(found: Sequence[Measured], path: Path) -> None:
    """Median speedup by calls in flight, a line for each stage."""
    with picture(path) as (axes,):
        levels = sorted({one.in_flight for one in found})
        for stage in STAGES:
            middles = [
                median(o.speedup for o in found if (o.stage, o.in_flight) == (stage, c))
                for c in levels
            ]
            axes.plot(levels, middles, marker="o", label=stage)
        axes.plot(levels, levels, color="grey", linewidth=0.8, label="in flight")
        axes.set(xlabel="calls in flight", ylabel="speedup over one at a time")
        axes.legend()


if __name__ == "__main__":
    sys.exit(main())
