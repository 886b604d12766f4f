"""Ballots asked one at a time, and what a poll keeps of its rounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.criteria import CRITERIA, Criterion
from pipeline.errors import EndpointRejected, ItemRejected
from pipeline.items import Item, Watch
from pipeline.judging.ballots import Poll, cast_one_by_one
from pipeline.judging.pairwise import Comparison
from pipeline.judging.panel import MAIN_JUDGE, Judge
from pipeline.judging.vote import Vote
from pipeline.llm.client import ChatClient
from tests.judging_fakes import ONE
from tests.stage_fakes import card, stand


@dataclass(kw_only=True)
class Slip:
    """A ballot whose answer is its own number, or the error that it holds."""

    number: int
    error: Exception | None = None
    judge: Judge = MAIN_JUDGE
    heard: list[object] = field(default_factory=list)

    @property
    def item(self) -> Item:
        return Item("score", f"slip {self.number}")

    @property
    def place(self) -> tuple[int, ...]:
        return (self.number,)

    def ask(
        self, criteria: Sequence[Criterion], *, client: ChatClient | None = None
    ) -> int:
        self.heard.append((criteria, client))
        if self.error is not None:
            raise self.error
        return self.number


def test_ballots_are_asked_in_the_order_given_and_failures_left_out() -> None:
    told: list[str] = []
    watch = Watch(
        on_done=lambda _stage, name: told.append(name),
        on_failed=lambda stage, name, error: told.append(f"{stage}, {name}: {error}"),
    )
    slips = [Slip(number=3), Slip(number=1, error=ItemRejected("no")), Slip(number=2)]
    results = cast_one_by_one(slips, watch=watch)
    assert list(results.items()) == [(slips[0].item, 3), (slips[2].item, 2)]
    assert told == ["slip 3", "score, slip 1: no", "slip 2"]


def test_what_ends_the_run_is_let_through_and_nobody_else_is_asked() -> None:
    after = Slip(number=2)
    with pytest.raises(EndpointRejected):
        cast_one_by_one([Slip(number=1, error=EndpointRejected("quota")), after])
    assert after.heard == []


def test_every_ballot_hears_the_criteria_and_the_client() -> None:
    client, slip = stand().client, Slip(number=1)
    cast_one_by_one([slip], criteria=ONE, client=client)
    cast_one_by_one([slip])
    assert slip.heard == [(ONE, client), (CRITERIA, None)]


@given(st.lists(st.lists(st.integers(1, 9), max_size=4), max_size=4))
def test_a_poll_keeps_every_round_in_the_order_in_which_it_was_asked(
    rounds: list[list[int]],
) -> None:
    poll = Poll([card(1)], criteria=ONE)
    for numbers in rounds:
        votes = [Vote(card=card(1), number=number) for number in numbers]
        poll = poll.with_round(votes, {vote.item: vote.number for vote in votes})
    flat = [number for numbers in rounds for number in numbers]
    assert [vote.number for vote in poll.of_kind(Vote)] == flat
    assert {poll.results[vote.item] for vote in poll.of_kind(Vote)} == set(flat)
    assert (poll.cards, poll.criteria) == ([card(1)], ONE)


def test_a_further_round_leaves_the_poll_before_it_as_it_was() -> None:
    before = Poll([card(1)])
    vote = Vote(card=card(1), number=1)
    after = before.with_round([vote], {vote.item: 7})
    assert (list(before.asked), dict(before.results)) == ([], {})
    assert (list(after.asked), dict(after.results)) == ([vote], {vote.item: 7})


def test_votes_and_comparisons_are_told_apart() -> None:
    vote = Vote(card=card(1), number=1)
    comparison = Comparison(first=card(1), second=card(2))
    poll = Poll([card(1), card(2)], [comparison, vote])
    assert poll.of_kind(Vote) == [vote]
    assert poll.of_kind(Comparison) == [comparison]
