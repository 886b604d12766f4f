"""
What servers cannot stand, one case each: caps, rates, queues, faults, an outage.

A case runs the program's candidates, extraction and scoring on a server of that kind
and hands back its figures with their targets. It prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

from tests.benchmarks.limit_case import Case, Scale
from tests.benchmarks.limit_figures import (
    Figure,
    admitted_per_s,
    median_in_flight_later,
    refused_share,
)
from tests.benchmarks.printing import say
from tests.benchmarks.schedule import greedy_makespan, jobs_from_log
from tests.benchmarks.setting import Tuning
from tests.benchmarks.workload import (
    Load,
    Trial,
    Work,
    draft_and_judge,
    score_parallel,
)
from tests.loopback_llm import (
    Faults,
    InFlightCap,
    Lognormal,
    RateCap,
    Slots,
    Uniform,
)

MANY = 32  # what the user asks for, whatever the server can stand
CAP, RATE, BURST, SLOTS = 6, 10.0, 5, 4
FIXED_LIMITS = (4, 8)  # from the smallest
AS_GOOD = 1.05  # times the shortest wall
SIGMA = 0.5
FAULT_SEEDS = (101, 102, 103, 104, 105)  # nothing was tuned on them
FAULTS_AT = 8


def _over_greedy(trial: Trial, in_flight: int) -> float:
    return trial.wall_s / greedy_makespan(jobs_from_log(trial.log), in_flight)


def cap(case: Case, scale: Scale) -> list[Figure]:
    """Refuses the seventh in flight."""
    load = Load(candidates=20, votes=3)
    for seed in case.seeds(scale):
        case.run(
            load,
            Tuning(max_in_flight=MANY),
            seed=seed,
            service=Uniform(0.75 * scale.service_s, 3.0 * scale.service_s),
            caps=[InFlightCap(CAP, retry_after="1")],
        )
    over = [_over_greedy(trial, CAP) for trial in case.trials]
    shares = [refused_share(trial.log) for trial in case.trials]
    return [
        case.figure(f"wall over greedy at {CAP}", over, "at most 1.25"),
        case.figure("429s over calls", shares, "at most 0.25"),
        *case.complete(),
    ]


def rate(case: Case, scale: Scale) -> list[Figure]:
    """Refuses what comes faster than ten a second."""
    load = Load(candidates=30, votes=3)
    for seed in case.seeds(scale):
        case.run(
            load,
            Tuning(max_in_flight=MANY),
            seed=seed,
            service=Uniform(0.75 * scale.service_s, 3.0 * scale.service_s),
            caps=[RateCap(per_s=RATE, burst=BURST, retry_after="2")],
        )
    paces = [admitted_per_s(trial.log, burst=BURST) for trial in case.trials]
    shares = [refused_share(trial.log) for trial in case.trials]
    return [
        case.figure("calls let in a second", paces, "at least 9"),
        case.figure("429s over calls", shares),
        *case.complete(),
    ]


def slots(case: Case, scale: Scale) -> list[Figure]:
    """Works on four at once and queues the others without bound; votes alone."""
    return _queued(case, scale, score_parallel, load=Load(candidates=80, votes=3))


def stages(case: Case, scale: Scale) -> list[Figure]:
    """The same, and the kind of work changes under way: drafts, cards, votes."""
    return _queued(case, scale, draft_and_judge, load=Load(candidates=60, votes=3))


def _queued(case: Case, scale: Scale, work: Work, *, load: Load) -> list[Figure]:
    ways = {
        f"fixed at {n}": Tuning(max_in_flight=n, is_adaptive=False)
        for n in FIXED_LIMITS
    }
    ways[case.name] = Tuning(max_in_flight=MANY)
    found: dict[str, list[Trial]] = {name: [] for name in ways}
    for seed in case.seeds(scale):
        for name, tuning in ways.items():
            trial = case.run(
                load,
                tuning,
                work=work,
                picture=name,
                seed=seed,
                # Shorter: nothing waits for the client while others are queued.
                service=Lognormal(scale.service_s / 4, SIGMA),
                caps=[Slots(SLOTS)],
            )
            found[name].append(trial)
    return [*_over_best_fixed(case, found), *case.complete()]


def _over_best_fixed(case: Case, found: Mapping[str, list[Trial]]) -> list[Figure]:
    """Adaptive runs beside the best fixed limit, and beside the smallest as good."""
    mine = found[case.name]
    fixed = {name: trials for name, trials in found.items() if name != case.name}
    walls = {n: median(trial.wall_s for trial in fixed[n]) for n in fixed}
    best = min(walls, key=walls.__getitem__)
    # Too many calls cost no wall here, so the fastest is not the one to compare with.
    smallest = next(n for n in walls if walls[n] <= AS_GOOD * walls[best])
    over = [
        trial.wall_s / other.wall_s
        for trial, other in zip(mine, fixed[best], strict=True)
    ]
    later = [float(median_in_flight_later(trial.log)) for trial in mine]
    its = [median_in_flight_later(trial.log) for trial in fixed[smallest]]
    most = f"at most {2 * median(its):g}"
    return [
        case.figure(f"wall over {best}", over, "at most 1.15"),
        case.figure("in flight, second half", later, most, places=0),
    ]


def free(case: Case, scale: Scale) -> list[Figure]:
    """Stands whatever comes."""
    load = Load(candidates=40, votes=3)
    for seed in case.seeds(scale):
        case.run(
            load,
            Tuning(max_in_flight=MANY),
            seed=seed,
            service=Lognormal(scale.service_s, SIGMA),
        )
    over = [_over_greedy(trial, MANY) for trial in case.trials]
    return [case.figure(f"wall over greedy at {MANY}", over), *case.complete()]


def faults(case: Case, scale: Scale) -> list[Figure]:
    """Fails in every fourth request or so."""
    load = Load(candidates=15, votes=3)
    service = Lognormal(scale.service_s, SIGMA)
    tuning = Tuning(max_in_flight=FAULTS_AT, timeout_s=15.0 * scale.service_s)
    whole_s = case.run(load, tuning, picture="no faults", service=service).wall_s
    walls = []
    for seed in FAULT_SEEDS:
        say(f"{case.name}: fault seed {seed}")
        mix = Faults(
            seed=seed,
            rate_429=0.10,
            retry_after="1",
            rate_500=0.10,
            cut_json=0.10,
            dropped=0.03,
            hang=0.01,
        )
        walls.append(case.run(load, tuning, service=service, faults=mix).wall_s)
    over = [wall_s / whole_s for wall_s in walls]
    shares = [len(trial.log) / 75 - 1 for trial in case.trials[1:]]
    return [
        case.figure("wall over fault-free", over, "at most 6"),
        case.figure("requests more, over calls", shares),
        *case.complete(),
    ]


def outage(case: Case, scale: Scale) -> list[Figure]:
    """Answers 503 to everything for a while, in the middle."""
    load = Load(candidates=30, votes=3)
    from_s = 10.0 * scale.service_s
    away = Faults(outage=(from_s, from_s + scale.outage_s))
    say(f"{case.name}: {scale.outage_s:g} s")
    trial = case.run(
        load,
        Tuning(max_in_flight=FAULTS_AT),
        service=Lognormal(scale.service_s, SIGMA),
        faults=away,
    )
    failed = float(sum(one.status == 503 for one in trial.log))
    back_s = min(one.arrived_s for one in trial.log) + from_s + scale.outage_s
    good = [one.arrived_s for one in trial.log if one.is_good]
    unused_s = min((at_s - back_s for at_s in good if at_s >= back_s), default=0.0)
    return [
        case.figure("failed calls", [failed], "at most 40", places=0),
        case.figure("s from its end to the next answer's start", [unused_s]),
        *case.complete(),
    ]


CASES: Mapping[str, tuple[str, Callable[[Case, Scale], list[Figure]]]] = {
    "cap": (f"cap of {CAP} in flight", cap),
    "rate": (f"cap of {RATE:g} a second", rate),
    "slots": (f"{SLOTS} slots, votes", slots),
    "stages": (f"{SLOTS} slots, whole work", stages),
    "none": ("no limit at all", free),
    "faults": ("fault mix", faults),
    "outage": ("503 outage", outage),
}
