"""Judging by rounds: the same questions in whatever order answers come."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from parallel.scorer import ParallelCardScorer
from parallel.stage import Concurrency
from pipeline.errors import ItemRejected
from pipeline.judging.schemes import (
    AutoVotes,
    EveryPair,
    Funnel,
    Judging,
    Scheme,
    judge_cards,
    opening_of,
)
from pipeline.judging.vote import Vote
from pipeline.llm.client import ChatClient
from pipeline.llm.ledger import Ledger
from pipeline.metrics import PipelineMetrics
from pipeline.records import ArticleScore
from pipeline.score import judge_all_cards
from pipeline.store.journal import Journal
from pipeline.work import Watch
from tests.judging_fakes import ONE, Booth, answers, judged, panel_of_letters
from tests.loopback_service import chance_of
from tests.stage_fakes import (
    CRITERIA_NAMES,
    SEEDS,
    Asked,
    Scripted,
    card,
    stand,
)
from tests.task_fakes import drawn_order

PANEL = panel_of_letters("abc", "ab")
WAYS: list[dict[str, Any]] = [
    {"votes": 3},
    {"votes": "auto"},
    {"mode": "pairwise"},
    {"mode": "funnel", "votes": 2},
    {"mode": "funnel", "votes": "auto"},
]


def drawn(seed: int, *, order: int) -> Booth:
    """Answers follow from a question's name alone, some failing; their order is drawn."""

    def of(question: Any) -> float | None:
        chance = random.Random(f"{seed}/{question.item.name}")
        if chance.random() < 0.15:
            return None
        if isinstance(question, Vote):
            return round(chance.gauss(6.0, 1.0), 2)
        return chance.choice([0.0, 0.5, 1.0])

    return Booth(of, of, order=random.Random(order))


@pytest.mark.parametrize(
    ("mode", "votes", "scheme"),
    [
        ("absolute", 4, Scheme),
        ("absolute", "auto", AutoVotes),
        ("pairwise", 4, EveryPair),
        ("pairwise", "auto", EveryPair),
        ("funnel", 4, Funnel),
        ("funnel", "auto", Funnel),
    ],
)
def test_mode_and_votes_name_the_scheme(
    mode: str, votes: int | Literal["auto"], scheme: type[Scheme]
) -> None:
    judging = Judging(mode=mode, votes=votes, panel=PANEL, seed=7)
    assert type(judging.scheme) is scheme
    assert judging.scheme.how is judging
    assert judging.opening_votes == (2 if votes == "auto" else 4)


def test_the_opening_is_asked_in_the_order_of_the_cards() -> None:
    opened = opening_of([card(3), card(1)], Judging(votes=2).scheme)
    assert [question.order for question in opened] == [(3, 1), (3, 2), (1, 1), (1, 2)]


def test_what_was_opened_already_is_not_asked_again() -> None:
    judging = Judging(votes="auto", criteria=ONE)
    cards = [card(n) for n in (1, 2, 3)]

    def mark(vote: Vote) -> float:
        return 6.0 + vote.number  # nobody is ahead

    whole = Booth(mark)
    scores = judge_cards(cards, judging, whole)
    opened = answers(opening_of(cards, judging.scheme), mark)
    later = Booth(mark)
    assert judge_cards(cards, judging, later, opened=opened) == scores
    assert later.rounds == whole.rounds[1:]
    assert all(vote.order[1] > 2 for vote in later.asked)


def test_each_further_round_is_foretold_before_it_is_asked() -> None:
    told: list[str] = []
    watch = Watch(on_more=lambda items: told.append(f"more {len(items)}"))
    booth = Booth(lambda _vote: 6.0)

    def ask(questions: Sequence[Any]) -> Any:
        told.append(f"ask {len(questions)}")
        return booth(questions)

    cards = [card(n) for n in range(1, 6)]
    judge_cards(cards, Judging(mode="funnel", criteria=ONE), ask, watch=watch)
    assert told == ["ask 15", "more 12", "ask 12"]


@given(st.integers(1, 8), st.sampled_from(WAYS), SEEDS)
@hypothesis_settings(max_examples=25)
def test_questions_and_scores_are_the_same_in_whatever_order_answers_come(
    cards: int, way: dict[str, Any], seed: int
) -> None:
    one, other = drawn(seed, order=1), drawn(seed, order=2)
    first = judged(cards, one, panel=PANEL, **way)
    assert judged(cards, other, panel=PANEL, **way) == first
    assert one.rounds == other.rounds


def close_call(asked: Asked) -> dict[str, Any]:
    """Every card has the same marks, which scatter: the order stays open to the end."""
    mark = {"justification": "", "score": 5 + asked.sample % 2}
    return dict.fromkeys(CRITERIA_NAMES, mark)


def with_failures(asked: Asked) -> Any:
    is_lost = chance_of(3, *asked.key) < 0.2
    return ItemRejected("no") if is_lost else close_call(asked)


CARDS = [card(n) for n in range(1, 6)]
AUTO = Judging(votes="auto")


@given(SEEDS, st.integers(1, 9))
@hypothesis_settings(max_examples=10)
def test_auto_asks_the_same_votes_one_at_a_time_and_at_once(
    order: int, at_once: int
) -> None:
    one, many = stand(with_failures), stand(with_failures)
    scores = judge_all_cards(CARDS, AUTO, client=one.client)
    scorer = ParallelCardScorer(
        client=many.client, concurrency=Concurrency(max_tasks=at_once)
    )
    with drawn_order(order):
        assert scorer.judge_cards_parallel(CARDS, AUTO) == scores
    assert sorted(a.key for a in many.asked) == sorted(a.key for a in one.asked)
    assert len(one.asked) == 2 * len(CARDS) + 9 + 15, "both further rounds"


def test_a_replay_of_auto_asks_nothing_again(tmp_path: Path) -> None:
    def run(answer: Any) -> tuple[list[ArticleScore], list[Asked]]:
        connection = Scripted(answer)
        with Journal.open(tmp_path / "calls.jsonl") as journal:
            ledger = Ledger(journal=journal, metrics=PipelineMetrics())
            client = ChatClient({"full": connection}, ledger=ledger)
            return judge_all_cards(CARDS, AUTO, client=client), connection.asked

    scores, asked = run(close_call)
    assert len(asked) == 2 * len(CARDS) + 9 + 15
    assert run(lambda _asked: ItemRejected("asked again")) == (scores, [])


def test_a_further_round_waits_for_the_whole_of_the_one_before_it() -> None:
    told: list[str] = []
    watch = Watch(
        on_done=lambda _stage, name: told.append(name),
        on_failed=lambda _stage, name, _error: told.append(name),
        on_more=lambda items: told.append(f"{len(items)} more"),
    )
    scorer = ParallelCardScorer(client=stand(with_failures).client, watch=watch)
    with drawn_order(3):
        scorer.judge_cards_parallel(CARDS, AUTO)
    before = told[: told.index("9 more")]
    assert set(before) == {
        f"vote {n} on card {c.article_id}" for c in CARDS for n in (1, 2)
    }
