"""
What length and one's own family do to votes, and what several judges help.

Who votes on what is the program's own rule, and so is how judges are levelled. Every
judge is severe or mild by a draw of its own. Its severity is not counted as an error of
an interval where it shifts all cards: the truth is put on the judges' common level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pipeline.judging.certainty import Mark, severities
from pipeline.judging.panel import Judge, Panel
from tests.benchmarks.judging_contest import FAMILIES, Contest, Temper
from tests.benchmarks.judging_figures import percent
from tests.benchmarks.judging_schemes import intervals_of_votes
from tests.benchmarks.judging_tables import Scale
from tests.benchmarks.printing import table

BIAS, SEVERITY = 0.5, 0.7
VOTES = (3, 5)
BIASES: Mapping[str, Mapping[str, float]] = {
    "no bias": {},
    "length": {"length": BIAS},
    "own family": {"own_family": BIAS},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Who judges: families, whether of the own one too, and whether levelled after."""

    name: str
    families: Sequence[str]
    is_own_allowed: bool = False
    is_levelled: bool = False

    def panel(self, contest: Contest) -> Panel:
        """The program's rule for this contest; nobody is known to write where all may."""
        authors = {} if self.is_own_allowed else dict(enumerate(contest.writers))
        judges = tuple(Judge(preset=one, family=one) for one in self.families)
        return Panel(judges=judges, authors=authors)


BENCHES = (
    Bench(name="one judge, of a writer's family", families=FAMILIES[:1]),
    Bench(
        name="three, all judge all, levelled",
        families=FAMILIES,
        is_own_allowed=True,
        is_levelled=True,
    ),
    Bench(name="three, none its own, as given", families=FAMILIES),
    Bench(name="three, none its own, levelled", families=FAMILIES, is_levelled=True),
)


@dataclass(slots=True)
class Seen:
    """How often the best was first, and intervals held the truth."""

    is_best: list[bool] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)

    def add(
        self, contest: Contest, marks: Sequence[Mark], *, level: float, judges: int
    ) -> None:
        """One contest more; so many judges were levelled, to what they have in common."""
        cast: dict[int, list[float]] = {}
        for mark in marks:
            cast.setdefault(mark.card, []).append(mark.value)
        self.is_best.append(max(cast, key=lambda c: fmean(cast[c])) == contest.best)
        for card, (low, high) in intervals_of_votes(cast, judges=judges).items():
            self.held.append(low <= contest.truth[card] + level <= high)


def marks_of(
    contest: Contest, bench: Bench, temper: Temper, *, votes: int
) -> list[Mark]:
    """So many votes on each card, by whom the panel names."""
    panel = bench.panel(contest)
    marks = []
    for card in range(len(contest.truth)):
        for number in range(votes):
            judge = panel.of_vote(card, number + 1).family
            value = contest.vote(card, number, temper, judge=judge)
            marks.append(Mark(card, judge, value))
    return marks


def levelled(marks: Sequence[Mark]) -> list[Mark]:
    """With each judge's severity taken off."""
    offsets = severities(marks)
    return [mark._replace(value=mark.value - offsets[mark.judge]) for mark in marks]


def look(scale: Scale, bench: Bench, temper: Temper, *, votes: int) -> Seen:
    """One bench on all contests of the middle size."""
    seen = Seen()
    for contest in scale.contests_of(middle_size(scale)):
        marks = marks_of(contest, bench, temper, votes=votes)
        # The truth as these judges put it, all of them together.
        level = fmean(contest.severities[mark.judge] for mark in marks)
        seen.add(
            contest,
            levelled(marks) if bench.is_levelled else marks,
            level=temper.severity * level,
            judges=len(bench.families) if bench.is_levelled else 1,
        )
    return seen


def middle_size(scale: Scale) -> int:
    """The number of cards that biases are tried on."""
    return sorted(scale.cards)[len(scale.cards) // 2]


def biases_table(scale: Scale) -> str:
    """A row for each noise, bias and bench."""
    headers = [
        "noise, bias, judges",
        *(f"best first %, {votes} votes" for votes in VOTES),
        *(f"interval holds %, {votes} votes" for votes in VOTES),
    ]
    return table(headers, list(_rows(scale)))


def _rows(scale: Scale) -> Iterator[list[str]]:
    for noise in scale.noises:
        for bias, leanings in BIASES.items():
            temper = Temper(noise=noise, severity=SEVERITY, **leanings)
            for bench in BENCHES:
                found = [look(scale, bench, temper, votes=votes) for votes in VOTES]
                yield [
                    f"{noise:g}, {bias}, {bench.name}",
                    *(percent(one.is_best) for one in found),
                    *(percent(one.held) for one in found),
                ]
