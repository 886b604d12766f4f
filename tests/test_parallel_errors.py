"""Errors are kept as text, from any thread, in order of item."""

import gc
import random
import threading
import unicodedata
import weakref
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parallel.errors import (
    MAX_REASON_CHARS,
    CollectedError,
    ThreadSafeErrorCollector,
    first_line,
)


def collected(*errors: Exception | str) -> list[CollectedError]:
    collector = ThreadSafeErrorCollector()
    for error in errors:
        collector.add_error(1, error)
    return collector.get_errors()


def test_an_error_becomes_one_line_and_the_name_of_its_class() -> None:
    error = LookupError("\n  no such model\nask your administrator")
    assert collected(error) == [CollectedError(1, "no such model", "LookupError")]


def test_an_error_that_says_nothing_is_called_by_its_class() -> None:
    assert collected(TimeoutError()) == [
        CollectedError(1, "TimeoutError", "TimeoutError")
    ]


def test_a_plain_text_is_taken_as_an_error() -> None:
    assert collected("refused") == [CollectedError(1, "refused", "Error")]


def test_a_reason_cannot_command_the_terminal() -> None:
    text = (
        "\x1b[31mred\x1b]0;title\x07 \x1b]8;;http://x\x1b\\link\x9b \u202eback\t\x00end"
        "\u061c\x1bPq#1;2;3\x1b\\."
    )
    assert first_line(text) == "red link back end."


def test_a_long_reason_is_cut_and_says_so() -> None:
    reason = first_line("x" * 10_000)
    assert len(reason) == MAX_REASON_CHARS
    assert reason.endswith("x…")


@given(st.text(st.characters(exclude_categories=())))
@example("\ud800 half of a pair")
def test_any_text_becomes_one_line_that_any_file_can_hold(text: str) -> None:
    line = first_line(text)
    assert line.encode("utf-8").decode("utf-8") == line
    assert len(line.splitlines()) <= 1
    assert not [c for c in line if unicodedata.category(c) == "Cc"]


def test_items_are_in_order_of_their_numbers_however_they_came() -> None:
    collector = ThreadSafeErrorCollector()
    for item in (
        "card 10",
        "card 003",
        "card 2",
        7,
        "card 2 vote 10",
        "card 2 vote 9",
        10,
        9,
    ):
        collector.add_error(item, "no")
    assert [error.item_id for error in collector.get_errors()] == [
        *(7, 9, 10),
        *("card 2", "card 2 vote 9", "card 2 vote 10", "card 003", "card 10"),
    ]


@given(st.lists(st.tuples(st.integers(0, 30), st.text(max_size=3))), st.randoms())
def test_the_order_of_arrival_leaves_no_trace(
    errors: list[tuple[int, str]], rng: random.Random
) -> None:
    first, second = ThreadSafeErrorCollector(), ThreadSafeErrorCollector()
    for item, text in errors:
        first.add_error(item, text)
    rng.shuffle(errors)
    for item, text in errors:
        second.add_error(item, text)
    assert first.get_errors() == second.get_errors()
    assert [e.item_id for e in first.get_errors()] == sorted(i for i, _ in errors)


def test_an_item_named_with_thousands_of_digits_has_a_place_too() -> None:
    collector = ThreadSafeErrorCollector()
    collector.add_error("9" * 5000, "no")
    collector.add_error("1", "no")
    assert collector.get_errors()[0].item_id == "1"


def test_what_was_read_does_not_change() -> None:
    collector = ThreadSafeErrorCollector()
    collector.add_error(1, "no")
    errors = collector.get_errors()
    collector.add_error(2, "no")
    errors.clear()
    assert len(collector) == 2
    assert len(collector.get_errors()) == 2
    with pytest.raises(FrozenInstanceError):
        collector.get_errors()[0].reason = "yes"  # type: ignore[misc]  # wrong on purpose


def test_the_exception_itself_is_not_kept() -> None:
    class WrongKeyError(Exception):
        """Unlike a built-in one, it can be watched."""

    collector, error = ThreadSafeErrorCollector(), WrongKeyError("no")
    kept = weakref.ref(error)
    gc.disable()  # only what no reference holds may be gone
    try:
        collector.add_error(1, error)
        del error
        assert kept() is None
    finally:
        gc.enable()
    assert len(collector) == 1


def test_a_listener_may_ask_the_collector_itself() -> None:
    heard: list[tuple[str, int]] = []
    collector = ThreadSafeErrorCollector(
        on_error=lambda error: heard.append((error.reason, len(collector)))
    )
    thread = threading.Thread(target=collector.add_error, args=(1, "no"), daemon=True)
    thread.start()  # a lock held during the call would hang here for ever
    thread.join(5.0)
    assert heard == [("no", 1)]


def test_no_error_of_many_threads_is_lost() -> None:
    collector, together = ThreadSafeErrorCollector(), threading.Barrier(8)

    def add(worker: int) -> None:
        together.wait(5.0)
        for n in range(100):
            collector.add_error((worker, n), "no")

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5.0)
    assert len({error.item_id for error in collector.get_errors()}) == 800
