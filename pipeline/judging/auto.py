"""
Which cards get further votes: those whose order at the top is still open.

A decision for a whole round, from the votes alone, never from which came first. The
rule is plain: each contender must be so many standard errors of their difference behind
the leader. It is meant to choose well for few votes, not to prove the choice; how sure
the choice is, `certainty.py` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from pipeline.judging.certainty import Mean, errors_between, pooled_noise
from pipeline.settings import AUTO, Votes

OPENING_VOTES = 2  # of each card: one alone says nothing of how votes scatter
_CONTENDERS = 2  # beside the leader, in one round


class _Round(NamedTuple):
    """A further round: votes for each open card, and where a contender is apart."""

    votes: int
    parted_at: float  # standard errors behind the leader


# Two and no more: each is a whole call to wait for. After the first, means are so close
# to the truth that what is still in doubt is a small difference: only a near tie is worth
# the wait for another.
_FURTHER = (_Round(3, parted_at=0.9), _Round(5, parted_at=0.4))
MOST_VOTES = OPENING_VOTES + sum(each.votes for each in _FURTHER)  # of one card


def opening_votes(votes: Votes) -> int:
    """Votes on each card before any further round."""
    return OPENING_VOTES if votes == AUTO else int(votes)


def further_votes(cards: int) -> int:
    """The budget: how many votes there may be beyond the opening ones.

    It does not grow with the number of cards, as only those at the top need more.
    """
    if cards < 2:
        return 0
    return min(cards, 1 + _CONTENDERS) * (MOST_VOTES - OPENING_VOTES)


def open_cards(
    votes: Mapping[int, Sequence[float]], *, parted_at: float, judges: int = 1
) -> list[int]:
    """The leader and the contenders that are not yet apart from it, closest first.

    `parted_at` is in standard errors of the difference, `judges` how many were brought
    to one level. Empty when the order at the top is settled; cards without a vote are
    not asked about.
    """
    means = {card: Mean(fmean(v), len(v)) for card, v in votes.items() if v}
    if len(means) < 2:
        return []
    noise = pooled_noise(votes.values(), judges=judges)
    leader = min(means, key=lambda card: (-means[card].value, card))
    gaps = {
        card: errors_between(means[leader], mean, noise)
        for card, mean in means.items()
        if card != leader
    }
    contenders = sorted(
        (card for card, gap in gaps.items() if gap < parted_at),
        key=lambda card: (gaps[card], card),
    )
    return [leader, *contenders] if contenders else []


def next_votes(
    votes: Mapping[int, Sequence[float]],
    asked: Mapping[int, int],
    *,
    judges: int = 1,
) -> dict[int, int]:
    """How many votes each card gets in the next round; empty when there is none.

    `votes` holds what was counted, `asked` how many were asked for, with those that
    failed: a judge that cannot answer is not asked for ever.
    """
    spent = sum(asked.values()) - OPENING_VOTES * len(asked)
    coming = _round_after(spent)
    if coming is None:
        return {}
    still_open = open_cards(votes, parted_at=coming.parted_at, judges=judges)
    return dict.fromkeys(still_open[: 1 + _CONTENDERS], coming.votes)


def _round_after(spent: int) -> _Round | None:
    """What follows so many further votes; None when both rounds are over."""
    most_before = 0  # that the rounds before can have spent
    for each in _FURTHER:
        if spent <= most_before:
            return each
        most_before += (1 + _CONTENDERS) * each.votes
    return None
