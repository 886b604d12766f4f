"""
One kind of server and the runs on it, with what must hold on every kind.

It knows no particular limit and has no opinion on figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.limit_figures import Figure
from tests.benchmarks.printing import say
from tests.benchmarks.setting import Tuning
from tests.benchmarks.workload import Load, Trial, Work, draft_and_judge, lost, timed
from tests.loopback_llm import LoopbackLLM, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many runs, and how long a call takes."""

    seeds: int
    service_s: float
    outage_s: float


@dataclass(slots=True)
class Case:
    """One case's runs so far; `pictures` keeps a log for each kind of run."""

    name: str
    trials: list[Trial] = field(default_factory=list)
    missing: list[float] = field(default_factory=list)
    pictures: dict[str, list[Served]] = field(default_factory=dict)

    def run(
        self,
        load: Load,
        tuning: Tuning,
        *,
        work: Work = draft_and_judge,
        picture: str = "",
        **server: Any,
    ) -> Trial:
        """One run on a fresh server of that kind."""
        with LoopbackLLM(process=True, keep_bodies=True, **server) as one:
            trial = timed(one, work, load=load, tuning=tuning)
        self.trials.append(trial)
        self.missing.append(float(lost(trial.result, load)))
        self.pictures[picture or self.name] = trial.log
        return trial

    def figure(
        self, name: str, values: Sequence[float], target: str = "-", *, places: int = 2
    ) -> Figure:
        """One figure of this case."""
        return Figure(
            case=self.name, name=name, values=values, target=target, places=places
        )

    def complete(self) -> list[Figure]:
        """What must hold in every run of every case."""
        gaps = [float(len(trial.log) - trial.requests) for trial in self.trials]
        return [
            self.figure("items lost", self.missing, "0", places=0),
            self.figure("hits less the metrics' requests", gaps, "0", places=0),
        ]

    def seeds(self, scale: Scale) -> Iterator[int]:
        """One after another, told on stderr."""
        for seed in range(1, scale.seeds + 1):
            say(f"{self.name}: seed {seed} of {scale.seeds}")
            yield seed
