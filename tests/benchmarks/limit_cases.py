"""
What servers cannot stand, one case each: caps, rates, queues, faults, an outage.

A case runs the program's candidates, extraction and scoring on a server of that kind
and hands back its figures with their targets. It prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from tests.benchmarks.limit_case import Case, Scale
from tests.benchmarks.limit_figures import (
    Figure,
    admitted_per_s,
    refused_share,
)
from tests.benchmarks.printing import say
from tests.benchmarks.schedule import greedy_makespan, jobs_from_log, lower_bound
from tests.benchmarks.setting import Tuning
from tests.benchmarks.workload import (
    Load,
    Trial,
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
SOME = 16
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
        case.figure(f"wall over greedy at {CAP}", over, "at most 1.20"),
        case.figure("429s over calls", shares),
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
    """Works on four at once and queues the others without bound."""
    load = Load(candidates=20, votes=5)
    draft_s = 4.0 * scale.service_s
    timeout_s = 4.0 * draft_s
    for seed in case.seeds(scale):
        case.run(
            load,
            Tuning(max_in_flight=MANY, timeout_s=timeout_s),
            seed=seed,
            service={
                "generate": Lognormal(draft_s, SIGMA),
                "default": Lognormal(scale.service_s, SIGMA),
            },
            caps=[Slots(SLOTS)],
        )
    over = [_over_greedy(trial, SLOTS) for trial in case.trials]
    given_up = [_given_up(trial) for trial in case.trials]
    shares = [
        len(sent) / len(t.log) for sent, t in zip(given_up, case.trials, strict=True)
    ]
    latest = [max(sent, default=0.0) / timeout_s for sent in given_up]
    return [
        case.figure(f"wall over greedy at {SLOTS}", over, "at most 1.25"),
        case.figure("given up, of the requests", shares, "at most 0.10", places=3),
        case.figure("the latest of them sent, over the timeout", latest, "at most 1"),
        *case.complete(),
    ]


def _given_up(trial: Trial) -> list[float]:
    """When requests were sent that were given up, in seconds since the first."""
    since_s = min(one.arrived_s for one in trial.log)
    return [one.arrived_s - since_s for one in trial.log if one.fault == "abandoned"]


def thinking(case: Case, scale: Scale) -> list[Figure]:
    """Is silent for long before each answer, and stands all calls at once."""
    load = Load(candidates=40, votes=3)
    silence = Uniform(3.0 * scale.service_s, 30.0 * scale.service_s)
    for seed in case.seeds(scale):
        case.run(
            load,
            Tuning(max_in_flight=MANY, timeout_s=40.0 * scale.service_s),
            seed=seed,
            service=Lognormal(scale.service_s, SIGMA),
            first_piece=silence,
        )
    over = [_over_greedy(trial, MANY) for trial in case.trials]
    last = [float(trial.limits[-1]) if trial.limits else MANY for trial in case.trials]
    cuts = [
        float(sum(b < a for a, b in pairwise(trial.limits))) for trial in case.trials
    ]
    return [
        case.figure(f"wall over greedy at {MANY}", over),
        case.figure("limit at the end", last, f"{MANY}", places=0),
        case.figure("cuts", cuts, "at most 1", places=0),
        *case.complete(),
    ]


def chance(case: Case, scale: Scale) -> list[Figure]:
    """Refuses one request in twenty, for no reason; longer calls, so that rules show."""
    load = Load(candidates=120, votes=3)
    for seed in case.seeds(scale):
        case.run(
            load,
            Tuning(max_in_flight=SOME),
            seed=seed,
            service=Lognormal(4.0 * scale.service_s, SIGMA),
            faults=Faults(seed=seed, rate_429=0.05, retry_after="0.5"),
        )
    over = [
        trial.wall_s / lower_bound(jobs_from_log(trial.log), SOME)
        for trial in case.trials
    ]
    return [case.figure("wall over the bound", over, "at most 1.15"), *case.complete()]


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
    "slots": (f"{SLOTS} slots", slots),
    "thinking": ("a model that thinks", thinking),
    "chance": ("refusals by chance", chance),
    "none": ("no limit at all", free),
    "faults": ("fault mix", faults),
    "outage": ("503 outage", outage),
}
