"""
When comparing the best few pays: a funnel beside votes that cost the same.

It depends on how noisy a comparison is beside two votes, which nobody knows of a judge
before trying; so that is what is varied. Judges lean to the first place here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tests.benchmarks.judging_contest import Answers, Temper
from tests.benchmarks.judging_figures import Figure, crossing, difference
from tests.benchmarks.judging_schemes import Outcome, auto, even, funnel
from tests.benchmarks.judging_tables import (
    POSITION,
    VOTES,
    Scale,
    tokens_a_call,
    tokens_of,
)
from tests.benchmarks.printing import table

COMPARING = (1.0, 0.7, 0.5, 0.35)
MORE_NOISE = 1.5  # beside the noises of the other tables
FUNNEL_VOTES = (2, 3)
CALLS, TOKENS, AUTO = "equal calls", "equal tokens", "auto"

Hits = list[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One funnel on one kind of field, by how noisy comparing is."""

    cards: int
    noise: float
    votes: int
    funnel: Mapping[float, Hits]
    rivals: Mapping[str, Hits]

    @property
    def name(self) -> str:
        """As rows begin."""
        return f"{self.cards}, {self.noise:g}, funnel of {self.votes} votes"

    def leads(self, rival: str) -> list[tuple[float, Figure]]:
        """How much oftener the funnel has the best first."""
        other = self.rivals[rival]
        return [(r, difference(hits, other)) for r, hits in self.funnel.items()]

    def crossing(self, rival: str) -> str:
        """Below which noise of comparing the funnel wins."""
        return crossing([(r, lead.value) for r, lead in self.leads(rival)])


def sweep(scale: Scale) -> Iterator[Sweep]:
    """Both funnels on every kind of field."""
    for cards in scale.cards:
        for noise in sorted({*scale.noises, MORE_NOISE}):
            for votes in FUNNEL_VOTES:
                yield _swept(scale, cards, noise=noise, votes=votes)


def _swept(scale: Scale, cards: int, *, noise: float, votes: int) -> Sweep:
    base = Temper(noise=noise, position=POSITION)
    tried: dict[float, Hits] = {r: [] for r in COMPARING}
    rivals: dict[str, Hits] = {CALLS: [], TOKENS: [], AUTO: []}
    for contest in scale.contests_of(cards):
        answers, best = contest.answers(base), contest.best
        outcome = None
        for r, hits in tried.items():
            points = partial(contest.points, temper=base.with_comparing(r))
            outcome = funnel(Answers(answers.votes, points), votes=votes)
            hits.append(outcome.first == best)
        assert outcome is not None
        for name, rival in rivals_of(outcome).items():
            rivals[name].append(rival(answers).first == best)
    return Sweep(cards=cards, noise=noise, votes=votes, funnel=tried, rivals=rivals)


def rivals_of(outcome: Outcome) -> dict[str, Callable[[Answers], Outcome]]:
    """Votes for the calls of a funnel, votes for its tokens, and auto."""
    return {
        CALLS: partial(even, calls=outcome.calls),
        TOKENS: partial(even, calls=round(tokens_of(outcome) / tokens_a_call(VOTES))),
        AUTO: auto,
    }


def funnel_tables(sweeps: Sequence[Sweep]) -> list[str]:
    """Leads over votes at equal calls, then over auto; and where they begin."""
    return [
        _leads_table(sweeps, CALLS, crossings=(CALLS, TOKENS)),
        _leads_table(sweeps, AUTO, crossings=(AUTO,)),
    ]


def _leads_table(
    sweeps: Sequence[Sweep], rival: str, *, crossings: Sequence[str]
) -> str:
    headers = [
        f"cards, noise, funnel less {rival}",
        *(f"r = {r:g}" for r in COMPARING),
        *(f"r to beat {name}" for name in crossings),
    ]
    rows = [
        [
            one.name,
            *(lead.in_points for _, lead in one.leads(rival)),
            *(one.crossing(name) for name in crossings),
        ]
        for one in sweeps
    ]
    return table(headers, rows)
