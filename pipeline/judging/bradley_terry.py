"""
An order from comparisons: Bradley-Terry strengths, and how sure they are.

Ties count half for each side, the sufficient statistic also of Davidson's model with
ties (1970); pairs that were never compared are simply missing. Fitted by the iteration
of Hunter, "MM algorithms for generalized Bradley-Terry models" (2004), with half a game
against an average opponent, drawn, for each: nobody is infinitely strong.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_PRIOR_GAMES = 0.5
_ROUNDS, _ROUNDS_OF_A_DRAW = 500, 30
_CLOSE = 1e-4
DRAWS = 200

Shares = dict[int, float]
"""By id, the chance of winning against one of the others, taken at random."""


class Tally(NamedTuple):
    """The games of a pair (a, b): how many, and the points of a, a tie being one half."""

    points: float
    games: int


Tallies = Mapping[tuple[int, int], Tally]


def strengths(
    ids: Sequence[int],
    tallies: Tallies,
    *,
    start: Mapping[int, float] | None = None,
    rounds: int = _ROUNDS,
) -> dict[int, float]:
    """Bradley-Terry strengths, their geometric mean 1."""
    at = {one: place for place, one in enumerate(ids)}
    met = [(at[a], at[b], games) for (a, b), (_, games) in tallies.items()]
    won = [_PRIOR_GAMES / 2] * len(at)
    for (a, b), (points, games) in tallies.items():
        won[at[a]] += points
        won[at[b]] += games - points
    found = [start[one] for one in ids] if start else [1.0] * len(at)
    for _ in range(rounds):
        before, found = found, _step(found, won, met)
        if all(abs(a - b) < _CLOSE * b for a, b in zip(before, found, strict=True)):
            break
    return dict(zip(ids, found, strict=True))


def _step(
    found: Sequence[float], won: Sequence[float], met: Sequence[tuple[int, int, int]]
) -> list[float]:
    """One round of the iteration: points won over games, weighed by who was met."""
    weighed = [_PRIOR_GAMES / (one + 1.0) for one in found]
    for a, b, games in met:
        share = games / (found[a] + found[b])
        weighed[a] += share
        weighed[b] += share
    new = [points / weight for points, weight in zip(won, weighed, strict=True)]
    scale = math.exp(sum(map(math.log, new)) / len(new))
    return [one / scale for one in new]


def expected_shares(found: Mapping[int, float]) -> Shares:
    """The share of points each would win against all the others, once each."""
    return {
        one: sum(mine / (mine + other) for i, other in found.items() if i != one)
        / max(1, len(found) - 1)
        for one, mine in found.items()
    }


def redrawn_shares(
    fitted: Mapping[int, float],
    tallies: Tallies,
    *,
    rng: random.Random,
    draws: int = DRAWS,
) -> list[Shares]:
    """Shares as they might have come out: the parametric bootstrap.

    Each game is played again with the chances of the `fitted` strengths (Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993, section 6.5). Redrawing the
    comparisons that were made instead would, with a dozen of them, claim far more
    certainty than there is. It takes a game to be won or lost, so with split points it
    is on the safe side.
    """
    ids = list(fitted)
    chances = {(a, b): fitted[a] / (fitted[a] + fitted[b]) for a, b in tallies}
    shares = []
    for _ in range(draws):
        again = {
            pair: Tally(sum(rng.random() < chances[pair] for _ in range(games)), games)
            for pair, (_, games) in tallies.items()
        }
        redrawn = strengths(ids, again, start=fitted, rounds=_ROUNDS_OF_A_DRAW)
        shares.append(expected_shares(redrawn))
    return shares


def middle_of(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """The interval that holds the middle part of the values."""
    ordered = sorted(values)
    # Rounded first: 1 - 0.9 is a little less than 0.1.
    cut = int(round(len(ordered) * (1 - confidence), 6) / 2)
    return ordered[cut], ordered[-1 - cut]
