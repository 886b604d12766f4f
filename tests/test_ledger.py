"""The books: money that stops a run, tokens that are counted, what is written."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import (
    BudgetSpent,
    ItemRejected,
    PipelineError,
    RunStopped,
    StorageError,
)
from pipeline.llm.call import CallOptions
from pipeline.llm.client import ChatClient
from pipeline.llm.connection import Attempt
from pipeline.llm.ledger import Ledger, Work
from pipeline.llm.outcome import Kind, Outcome
from pipeline.metrics import PipelineMetrics, Usage
from pipeline.models.prices import Price
from pipeline.store.journal import CallRecord, Journal, NoJournal
from tests.fakes import FAILSAFE_S, Clients, OpenLimit, asking
from tests.loopback_llm import Faults, LoopbackLLM

A_DOLLAR_A_TOKEN = Price(input=1e6, output=1e6)


def work(
    *,
    tokens: int = 1,
    text: str | None = "answer",
    error: Exception | None = None,
    price: Price | None = A_DOLLAR_A_TOKEN,
) -> Work:
    """A call that took one request and ended on the text or the error."""
    usage = Usage(prompt_tokens=tokens, completion_tokens=0)
    done = Work(key="k", stage="score", item_id="1", model="m", price=price)
    outcome = Outcome(kind=Kind.OK, text=text or "", usage=usage)
    done.add(Attempt(outcome=outcome, seconds=0.5, waited_s=0.2))
    done.answer = None if text is None or error else outcome
    done.error = error
    return done


def a_call(client: ChatClient, item: str = "1") -> str:
    messages = asking(f"Write article {item} of 50 words.")
    options = CallOptions(reasks=1)
    return client.complete(
        messages, stage="generate", item_id=item, options=options
    ).text


def test_the_call_after_the_last_dollar_is_not_made(client_of: Clients) -> None:
    ledger = Ledger(metrics=PipelineMetrics(), max_cost=0.5)
    with LoopbackLLM() as server:
        client = client_of(server, ledger=ledger, price=A_DOLLAR_A_TOKEN)
        a_call(client)
        with pytest.raises(BudgetSpent, match=r"--max-cost 0\.5 is spent; resume with"):
            a_call(client, "2")
        assert server.state().hits == 1


def test_no_money_makes_no_call_and_no_limit_makes_all() -> None:
    with pytest.raises(BudgetSpent):
        Ledger(metrics=PipelineMetrics(), max_cost=0.0).check_open()
    ledger = Ledger(metrics=PipelineMetrics())
    ledger.note_finished(work(tokens=10**9))
    ledger.check_open()


def test_money_spent_on_a_failed_call_is_spent() -> None:
    ledger = Ledger(metrics=PipelineMetrics(), max_cost=5.0)
    ledger.note_finished(work(tokens=5, error=ItemRejected("no")))
    with pytest.raises(BudgetSpent):
        ledger.check_open()


def test_what_a_run_paid_before_it_was_resumed_counts(
    tmp_path: Path, client_of: Clients
) -> None:
    path = tmp_path / "calls.jsonl"
    with LoopbackLLM() as server:
        with Journal.open(path) as journal:
            ledger = Ledger(journal=journal, metrics=PipelineMetrics(), max_cost=0.5)
            a_call(client_of(server, ledger=ledger, price=A_DOLLAR_A_TOKEN))
        with Journal.open(path) as journal:
            ledger = Ledger(journal=journal, metrics=PipelineMetrics(), max_cost=0.5)
            client = client_of(server, ledger=ledger, price=A_DOLLAR_A_TOKEN)
            a_call(client)  # replayed: no budget is asked
            with pytest.raises(BudgetSpent):
                a_call(client, "2")
        assert server.state().hits == 1


def test_an_unknown_price_is_no_price_of_zero() -> None:
    metrics = PipelineMetrics()
    ledger = Ledger(metrics=metrics, max_cost=1.0)
    ledger.note_finished(work(tokens=10**9, price=None))
    ledger.check_open()
    assert metrics.snapshot().total.known_cost is None


def test_no_dollar_is_lost_between_threads() -> None:
    ledger = Ledger(metrics=PipelineMetrics(), max_cost=8000.0)
    start = threading.Barrier(8)

    def spend() -> None:
        start.wait(FAILSAFE_S)
        for _ in range(1000):
            ledger.note_finished(work())

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(spend) for _ in range(8)]:
            done.result(FAILSAFE_S)
    with pytest.raises(BudgetSpent):
        ledger.check_open()


def test_a_call_that_sent_nothing_leaves_no_trace() -> None:
    metrics = PipelineMetrics()
    unsent = Work(key="k", stage="score", item_id="1", model="m")
    Ledger(metrics=metrics).note_finished(unsent)
    assert metrics.snapshot().total.calls == 0


@pytest.mark.parametrize(
    ("error", "is_written"),
    [
        (None, True),
        (ItemRejected("no"), True),
        (RunStopped("stop"), True),
        (LookupError("a bug"), False),
    ],
)
def test_only_what_came_to_an_end_is_written(
    error: Exception | None, is_written: bool
) -> None:
    kept: list[CallRecord] = []

    class Kept:
        cost_before = 0.0
        has_unknown_cost = False
        answered = ()

        def lookup(self, key: str) -> None: ...
        def record(self, record: CallRecord) -> None:
            kept.append(record)

    journal: Any = Kept()
    ledger = Ledger(journal=journal, metrics=PipelineMetrics())
    ledger.note_finished(work(error=error))
    assert bool(kept) == is_written
    if kept:
        assert kept[0].ok == (error is None)
        assert kept[0].error == (None if error is None else str(error))
        assert kept[0].cost == 1.0
        assert isinstance(error, PipelineError | None)


def test_what_a_stopped_call_had_cost_counts_when_the_run_is_resumed(
    tmp_path: Path, client_of: Clients
) -> None:
    class Stopped(OpenLimit):
        def sleep(self, seconds: float, /) -> None:
            raise RunStopped(f"stopped before {seconds:.0f} s")

    path = tmp_path / "calls.jsonl"
    with (
        LoopbackLLM(faults=Faults(always="empty_content")) as server,
        Journal.open(path) as journal,
    ):
        client = client_of(
            server,
            limit=Stopped(),
            ledger=Ledger(journal=journal, metrics=PipelineMetrics()),
            price=A_DOLLAR_A_TOKEN,
        )
        with pytest.raises(RunStopped):
            a_call(client)
        (served,) = server.log()
    with Journal.open(path) as journal:
        cost = served.prompt_tokens + served.completion_tokens
        assert journal.cost_before == pytest.approx(cost)
        assert journal.replayable == 0
        with pytest.raises(BudgetSpent):
            Ledger(journal=journal, max_cost=0.5).check_open()


def test_every_attempt_of_a_failed_call_is_in_the_books(client_of: Clients) -> None:
    metrics = PipelineMetrics()
    with LoopbackLLM(faults=Faults(always="empty_content")) as server:
        ledger = Ledger(metrics=metrics)
        client = client_of(server, ledger=ledger, price=A_DOLLAR_A_TOKEN)
        with pytest.raises(PipelineError):
            a_call(client)
        asked = sum(served.prompt_tokens for served in server.log())
        said = sum(served.completion_tokens for served in server.log())
    total = metrics.snapshot().total
    assert (total.failed, total.requests, total.retries) == (1, 5, 4)
    assert (total.prompt_tokens, total.completion_tokens) == (asked, said)
    assert total.known_cost == pytest.approx(asked + said)


def test_after_an_answer_that_could_not_be_written_down_no_call_is_sent() -> None:
    class FullDisk(NoJournal):
        def record(self, _record: CallRecord) -> None:
            raise StorageError("the disk is full")

    ledger = Ledger(journal=FullDisk(), metrics=PipelineMetrics())
    ledger.check_open()
    with pytest.raises(StorageError, match="full"):
        ledger.note_finished(work())
    with pytest.raises(StorageError, match="full"):
        ledger.check_open()
