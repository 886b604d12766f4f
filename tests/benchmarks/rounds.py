"""
What waiting for rounds costs: the wall with auto votes over that with five fixed ones.

Five votes are more calls, but none waits for another; auto asks for fewer, in rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist, fmean
from typing import Any

from tests.benchmarks.printing import say, spread
from tests.benchmarks.setting import Tuning
from tests.benchmarks.workload import Load, Trial, draft_and_judge, timed, warm_server
from tests.loopback_llm import ChatRequest, Lognormal
from tests.loopback_service import chance_of

SIGMA = 0.5
QUALITY, SPREAD = 6.0, 0.8  # of the drafts: mean and standard deviation
NOISE_OF_MARK = 2.6  # of one criterion; with seven weighted ones about 1.0 overall
HEADERS = ["", "wall, auto/5 votes", "at most", "votes, auto/5"]
_NORMAL = NormalDist()
Answer = Callable[[ChatRequest], Any]


def differing_drafts(request: ChatRequest) -> dict[str, Any] | None:
    """Marks around a quality that is the card's own; other calls as usual."""
    if request.stage != "score" or request.schema is None:
        return None
    quality = QUALITY + SPREAD * _NORMAL.inv_cdf(chance_of("card", request.text))
    return {
        name: {"justification": "as drawn", "score": _mark(quality, request, name)}
        for name in request.schema["required"]
    }


def _mark(quality: float, request: ChatRequest, criterion: str) -> int:
    noise = _NORMAL.inv_cdf(chance_of("mark", request.body.get("seed"), criterion))
    return min(10, max(1, round(quality + NOISE_OF_MARK * noise)))


CASES: Mapping[str, Answer | None] = {
    "drafts that differ": differing_drafts,
    # Every mark is drawn anew: auto asks for all that its budget allows.
    "drafts alike": None,
}


def measure_rounds(
    load: Load, levels: Sequence[int], *, seeds: int, service_s: float
) -> Mapping[str, Sequence[tuple[float, float]]]:
    """Walls and votes of auto over those of five, by level and kind of drafts."""
    auto, five = replace(load, votes="auto"), replace(load, votes=5)
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(1, seeds + 1):
        say(f"rounds, seed {seed} of {seeds}")
        for name, answer in CASES.items():
            service = Lognormal(service_s, SIGMA)
            with warm_server(seed=seed, service=service, answer=answer) as server:
                for c in levels:
                    tuning = Tuning(max_in_flight=c)
                    ours, theirs = (
                        timed(server, draft_and_judge, load=each, tuning=tuning)
                        for each in (auto, five)
                    )
                    found.setdefault(f"{c} in flight, {name}", []).append(
                        (ours.wall_s / theirs.wall_s, _votes(ours) / _votes(theirs))
                    )
    return found


def rows_of_rounds(
    found: Mapping[str, Sequence[tuple[float, float]]],
) -> list[list[str]]:
    """One row a level and kind of drafts."""
    return [
        [
            name,
            spread([wall for wall, _ in runs]),
            "1.00",
            f"{fmean(votes for _, votes in runs):.2f}",
        ]
        for name, runs in found.items()
    ]


def _votes(trial: Trial) -> int:
    return sum(score.votes for score in trial.result.scores)
