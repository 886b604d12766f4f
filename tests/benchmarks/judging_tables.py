"""
All schemes side by side, the votes that pay, and what standing first gives.

Judges here have noise and a lean to the place; what other biases do, and when comparing
pays, is simulated beside it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from pipeline.criteria import HIGHEST, LOWEST
from pipeline.front.estimate import estimate
from pipeline.judging.by_comparisons import expected_shares, strengths
from pipeline.models.presets import Preset
from pipeline.models.run_models import Choice
from pipeline.settings import Settings
from tests.benchmarks.judging_contest import Contest, Temper
from tests.benchmarks.judging_figures import (
    Figure,
    difference,
    mean_of,
    percent,
    verdict_on,
)
from tests.benchmarks.judging_schemes import SCHEMES, Outcome, held, pairwise
from tests.benchmarks.printing import table

POSITION = 0.3  # points, where nothing else is said
POSITIONS = (0.25, 0.5, 1.0)
CALLS_SHARE = {
    True: 0.7,
    False: 0.6,
}  # of those of five votes, by whether cards are few
FEW_CARDS = 5
BIAS_LEFT = 0.1
AUTO, FIVE = "auto", "5 votes"
AUTO_OFTENER = 10
VOTES, COMPARISONS = "absolute", "pairwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is simulated."""

    contests: int
    cards: Sequence[int]
    noises: Sequence[float]
    seed: int = 1
    compared_cards: int = 300  # whose intervals are redrawn, a row: that is slow

    def contests_of(
        self, cards: int, *, spread: float | None = None
    ) -> Iterator[Contest]:
        """The same ones whenever they are asked for; all alike when spread is 0."""
        changed = {} if spread is None else {"spread": spread}
        for number in range(self.contests):
            rng = random.Random(f"{self.seed} {cards} {number}")
            yield Contest(cards, rng, **changed)


@dataclass(slots=True)
class Tried:
    """What came of one scheme, contest by contest."""

    is_best: list[bool] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)

    def add(self, outcome: Outcome, contest: Contest) -> None:
        """One contest more, its intervals not looked at."""
        self.is_best.append(outcome.first == contest.best)
        self.calls.append(outcome.calls)
        self.tokens.append(tokens_of(outcome))
        self.rounds.append(outcome.rounds)


Tries = Mapping[tuple[int, float], Mapping[str, Tried]]
"""By number of cards and noise, then by scheme."""


@cache
def tokens_a_call(scoring_mode: str) -> float:
    """Prompt and answer of one vote or comparison, as the program estimates them."""
    settings = Settings(topic="any", scoring_mode=scoring_mode)
    preset = Preset(name="any", base_url="http://127.0.0.1")
    rows = estimate(settings, Choice(main=preset, why="any"))
    row = next(row for row in rows if row.stage == "score")
    return (row.prompt_tokens + row.completion_tokens) / row.calls


def tokens_of(outcome: Outcome) -> float:
    """Of all its calls."""
    votes, comparisons = outcome.votes_asked, outcome.comparisons_asked
    return votes * tokens_a_call(VOTES) + comparisons * tokens_a_call(COMPARISONS)


def try_schemes(scale: Scale, names: Sequence[str] = tuple(SCHEMES)) -> Tries:
    """Schemes on the same contests."""
    tries: dict[tuple[int, float], dict[str, Tried]] = {
        (cards, noise): {name: Tried() for name in names}
        for cards in scale.cards
        for noise in scale.noises
    }
    for (cards, noise), found in tries.items():
        temper = Temper(noise=noise, position=POSITION)
        for contest in scale.contests_of(cards):
            answers = contest.answers(temper)
            for name, tried in found.items():
                outcome = SCHEMES[name](answers)
                tried.add(outcome, contest)
                if not outcome.tallies or len(tried.held) < scale.compared_cards:
                    tried.held += held(outcome, contest, temper)
    return tries


def try_auto(scale: Scale) -> Tries:
    """Auto and what it is measured against, oftener: they hardly differ."""
    oftener = replace(scale, contests=AUTO_OFTENER * scale.contests)
    return try_schemes(oftener, (AUTO, FIVE))


def schemes_table(tries: Tries) -> str:
    """Calls, tokens, and how often the best is first and the interval holds."""
    headers = [
        *("cards, noise, scheme", "calls", "tokens", "rounds"),
        *("best first %", "interval holds %"),
    ]
    rows = [
        [
            f"{cards}, {noise:g}, {name}",
            f"{mean_of(one.calls).value:.1f}",
            f"{mean_of(one.tokens).value:,.0f}",
            f"{mean_of(one.rounds).value:.1f}",
            percent(one.is_best),
            percent(one.held),
        ]
        for (cards, noise), found in tries.items()
        for name, one in found.items()
    ]
    return table(headers, rows)


def auto_table(tries: Tries) -> str:
    """Auto beside five votes each, with the targets."""
    headers = [
        *("cards, noise", "best first, auto - 5 votes", "at least 0"),
        *("share of calls", "at most", "met", "rounds"),
    ]
    rows = []
    for (cards, noise), found in tries.items():
        ours, fives = found[AUTO], found[FIVE]
        lead = difference(ours.is_best, fives.is_best)
        share = sum(ours.calls) / sum(fives.calls)
        target = CALLS_SHARE[cards <= FEW_CARDS]
        rows.append(
            [
                f"{cards}, {noise:g}",
                lead.in_points,
                verdict_on(lead.value >= 0),
                f"{share:.3f}",
                f"{target:.2f}",
                verdict_on(share <= target),
                f"{mean_of(ours.rounds).value:.1f}",
            ]
        )
    return table(headers, rows)


def gain_of_first(scale: Scale, temper: Temper, *, is_both_orders: bool) -> Figure:
    """The score of the card always shown first less that of the one always last.

    All cards are equally good; where both orders are asked, the same two cards.
    """
    gains = []
    for contest in scale.contests_of(min(scale.cards), spread=0.0):
        answers = contest.answers(temper)
        tallies = pairwise(answers, is_both_orders=is_both_orders).tallies
        shares = expected_shares(strengths(range(len(contest.truth)), tallies))
        gains.append((HIGHEST - LOWEST) * (shares[0] - shares[len(shares) - 1]))
    return mean_of(gains)


def position_table(scale: Scale) -> str:
    """What a lean to the first place gives, by whether both orders are asked."""
    headers = [
        *("noise, lean to the first", "one order", "both orders"),
        *("ratio", "at most", "met"),
    ]
    rows = []
    for noise in scale.noises:
        for position in POSITIONS:
            temper = Temper(noise=noise, position=position)
            one = gain_of_first(scale, temper, is_both_orders=False)
            both = gain_of_first(scale, temper, is_both_orders=True)
            ratio = abs(both.value / one.value)
            met = verdict_on(ratio <= BIAS_LEFT)
            rows.append(
                [
                    f"{noise:g}, {position:g}",
                    *(one.plain, both.plain, f"{ratio:.3f}", f"{BIAS_LEFT:.2f}", met),
                ]
            )
    return table(headers, rows)
