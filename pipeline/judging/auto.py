"""
Which cards get further votes: those whose order at the top is still open.

A decision for a whole round, from the votes alone, never from which came first. The
rule is plain: the leader and each contender must differ by one standard error of their
difference. It is meant to choose well for few votes, not to prove the choice; how sure
the choice is, `certainty.py` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from pipeline.judging.certainty import Mean, errors_between, pooled_noise
from pipeline.settings import AUTO, Votes

OPENING_VOTES = 2  # of each card: one alone says nothing of how votes scatter
MOST_VOTES = 10  # of one card
PARTED_AT = 1.0  # standard errors
_CONTENDERS = 2  # beside the leader, in one round
_FIRST_ROUND, _LAST_ROUND = 2, 3  # votes for each of them in the further rounds
_CARDS_FOR_ONE_MORE = 12  # in the last: a larger field is closer at the top


def opening_votes(votes: Votes) -> int:
    """Votes on each card before any further round."""
    return OPENING_VOTES if votes == AUTO else int(votes)


def further_votes(cards: int) -> int:
    """The budget: how many votes there may be beyond the opening ones.

    It hardly grows with the number of cards, as only those at the top need more.
    """
    return (1 + _CONTENDERS) * (_FIRST_ROUND + _last_round(cards))


def open_cards(votes: Mapping[int, Sequence[float]], *, judges: int = 1) -> list[int]:
    """The leader and the contenders that are not yet apart from it, closest first.

    `judges` is how many were brought to one level. Empty when the order at the top is
    settled; cards without a vote are not asked about.
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
        (card for card, gap in gaps.items() if gap < PARTED_AT),
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
    count = _votes_in_round(spent, len(asked))
    more = {
        card: min(count, MOST_VOTES - asked[card])
        for card in open_cards(votes, judges=judges)[: 1 + _CONTENDERS]
    }
    return {card: number for card, number in more.items() if number > 0}


def _votes_in_round(spent: int, cards: int) -> int:
    """For each open card, after so many further votes; 0 when both rounds are over.

    Two rounds and no more: each is a whole call to wait for, and one vote at a time
    would choose hardly better.
    """
    if spent == 0:
        return _FIRST_ROUND
    if spent <= _FIRST_ROUND * (1 + _CONTENDERS):
        return _last_round(cards)
    return 0


def _last_round(cards: int) -> int:
    return _LAST_ROUND + cards // _CARDS_FOR_ONE_MORE
