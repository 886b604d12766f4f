"""Questions asked one at a time, and what a poll keeps of its rounds."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import EndpointRejected, ItemRejected
from pipeline.judging.comparison import Comparison
from pipeline.judging.panel import MAIN_JUDGE, Judge
from pipeline.judging.questions import Poll, ask_one_by_one
from pipeline.judging.vote import Vote
from pipeline.llm.client import ChatClient
from pipeline.work import Item, Watch
from tests.stage_fakes import card, stand


@dataclass(kw_only=True)
class Slip:
    """A question whose answer is its own number, or the error that it holds."""

    number: int
    error: Exception | None = None
    judge: Judge = MAIN_JUDGE
    heard: list[object] = field(default_factory=list)

    @property
    def item(self) -> Item:
        return Item("score", f"slip {self.number}")

    @property
    def order(self) -> tuple[int, ...]:
        return (self.number,)

    def ask(self, client: ChatClient, /) -> int:
        self.heard.append(client)
        if self.error is not None:
            raise self.error
        return self.number


def test_questions_are_asked_in_the_order_given_and_failures_left_out() -> None:
    told: list[str] = []
    watch = Watch(
        on_done=lambda _stage, name: told.append(name),
        on_failed=lambda stage, name, error: told.append(f"{stage}, {name}: {error}"),
    )
    slips = [Slip(number=3), Slip(number=1, error=ItemRejected("no")), Slip(number=2)]
    client = stand().client
    answers = ask_one_by_one(slips, client=client, watch=watch)
    assert list(answers.items()) == [(slips[0].item, 3), (slips[2].item, 2)]
    assert told == ["slip 3", "score, slip 1: no", "slip 2"]
    assert [slip.heard for slip in slips] == [[client]] * 3


def test_what_ends_the_run_is_let_through_and_nobody_else_is_asked() -> None:
    after = Slip(number=2)
    with pytest.raises(EndpointRejected):
        ask_one_by_one(
            [Slip(number=1, error=EndpointRejected("quota")), after],
            client=stand().client,
        )
    assert after.heard == []


@given(st.lists(st.lists(st.integers(1, 9), max_size=4), max_size=4))
def test_a_poll_keeps_every_round_in_the_order_in_which_it_was_asked(
    rounds: list[list[int]],
) -> None:
    poll = Poll([card(1)])
    for numbers in rounds:
        votes = [Vote(card=card(1), number=number) for number in numbers]
        poll = poll.with_round(votes, {vote.item: vote.number for vote in votes})
    flat = [number for numbers in rounds for number in numbers]
    assert [vote.number for vote in poll.of_kind(Vote)] == flat
    assert {poll.answers[vote.item] for vote in poll.of_kind(Vote)} == set(flat)
    assert poll.cards == [card(1)]


def test_a_further_round_leaves_the_poll_before_it_as_it_was() -> None:
    before = Poll([card(1)])
    vote = Vote(card=card(1), number=1)
    after = before.with_round([vote], {vote.item: 7})
    assert (list(before.asked), dict(before.answers)) == ([], {})
    assert (list(after.asked), dict(after.answers)) == ([vote], {vote.item: 7})


def test_votes_and_comparisons_are_told_apart() -> None:
    vote = Vote(card=card(1), number=1)
    comparison = Comparison(first=card(1), second=card(2))
    poll = Poll([card(1), card(2)], [comparison, vote])
    assert poll.of_kind(Vote) == [vote]
    assert poll.of_kind(Comparison) == [comparison]


def test_answers_come_in_the_order_of_their_questions_whatever_was_asked_first() -> (
    None
):
    votes = [Vote(card=card(one), number=n) for one, n in ((2, 1), (1, 2), (1, 1))]
    answers = {vote.item: vote.order for vote in (votes[0], votes[2])}
    found = Poll([card(1), card(2)], votes, answers).answered(Vote)
    assert found == [(votes[2], (1, 1)), (votes[0], (2, 1))]
