"""Trackers count each item once, whatever threads report and in whatever order."""

import io
import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel.progress import (
    STATUSES,
    ProgressBoard,
    ProgressSnapshot,
    ThreadSafeProgressTracker,
)
from pipeline.work import Item


def counts(tracker: ThreadSafeProgressTracker) -> tuple[int, int, int]:
    seen = tracker.snapshot()
    return seen.started, seen.done, seen.failed


def tracker_after(*reports: tuple[object, str]) -> ThreadSafeProgressTracker:
    tracker = ThreadSafeProgressTracker(9, "score")
    for item, status in reports:
        tracker.update_progress(str(item), status)
    return tracker


def test_a_new_tracker_has_counted_nothing() -> None:
    expected = ProgressSnapshot("score", 9, started=0, done=0, failed=0)
    assert tracker_after().snapshot() == expected


def test_items_are_counted_by_their_latest_status() -> None:
    reports = [(1, "started"), (1, "done"), (2, "started")]
    tracker = tracker_after(*reports, (4, "started"), (4, "failed"))
    assert counts(tracker) == (3, 1, 1)
    assert tracker.snapshot().finished == 2


def test_an_item_that_is_done_twice_counts_once() -> None:
    assert counts(tracker_after((1, "done"), (1, "done"))) == (1, 1, 0)


def test_a_failure_that_is_done_later_counts_as_done() -> None:
    reports = [(1, "failed"), (1, "started"), (1, "done")]
    assert counts(tracker_after(*reports)) == (1, 1, 0)


def test_done_is_final() -> None:
    assert counts(tracker_after((1, "done"), (1, "failed"))) == (1, 1, 0)


def test_an_unknown_status_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="started, done, failed, got 'over'"):
        tracker_after((1, "over"))


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(STATUSES))))
def test_every_item_is_in_exactly_one_count(reports: list[tuple[int, str]]) -> None:
    seen = tracker_after(*reports).snapshot()
    done = {item for item, status in reports if status == "done"}
    assert seen.done == len(done)
    assert seen.started == len({item for item, _ in reports})
    assert seen.finished <= seen.started


def test_the_total_may_grow_and_shrink() -> None:
    tracker = tracker_after()
    tracker.add_total(3)
    tracker.add_total(-5)
    assert tracker.snapshot().total == 7


def test_a_listener_hears_of_news_only_and_may_ask_the_tracker() -> None:
    heard: list[bool] = []
    tracker = ThreadSafeProgressTracker(
        1, "score", on_progress=lambda seen: heard.append(seen == tracker.snapshot())
    )

    def report() -> None:
        for status in ("failed", "failed", "done", "done", "failed"):
            tracker.update_progress(1, status)

    thread = threading.Thread(target=report, daemon=True)
    thread.start()  # a lock held during the call would hang here for ever
    thread.join(5.0)
    assert heard == [True, True]


def test_verbose_writes_a_line_for_each_item_that_ends() -> None:
    lines: list[str] = []
    tracker = ThreadSafeProgressTracker(2, "extract", True, write=lines.append)
    for item, status in (
        ("a\x1b[31m", "started"),
        ("a\x1b[31m", "done"),
        (2, "failed"),
    ):
        tracker.update_progress(item, status)
    assert lines == ["extract 1/2: a done", "extract 2/2: 2 failed"]


def test_verbose_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    ThreadSafeProgressTracker(1, "extract", verbose=True).update_progress(1, "done")
    assert capsys.readouterr() == ("", "extract 1/1: 1 done\n")


def test_no_report_of_many_threads_is_lost() -> None:
    tracker, together = ThreadSafeProgressTracker(800, "score"), threading.Barrier(8)

    def report(worker: int) -> None:
        together.wait(5.0)
        for n in range(100):
            tracker.update_progress((worker, n), "started")
            tracker.update_progress((worker, n), "done")

    threads = [threading.Thread(target=report, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5.0)
    assert counts(tracker) == (800, 800, 0)


def test_a_board_has_its_stages_in_the_order_of_announcement() -> None:
    board = ProgressBoard({"generate": 2, "select": 0, "score": 6})
    board.note_started("score", "vote 1")
    board.note_failed("score", "vote 1")
    board.note_done("generate", "candidate 1")
    board.note_more([Item("select", "select")])
    assert [str(stage) for stage in board.snapshot()] == [
        "generate 1/2",
        "score 1/6",
        "select 0/1",
    ]


def test_a_stage_announced_again_is_the_same_and_expects_more() -> None:
    board = ProgressBoard({"score": 2})
    first = board.tracker("score", 3)
    assert board.tracker("score") is first
    assert first.snapshot().total == 5


def test_no_fewer_are_expected_than_have_finished() -> None:
    board = ProgressBoard({})
    board.note_done("score", "vote 1")
    assert [str(stage) for stage in board.snapshot()] == ["score 1/1"]


def test_a_failed_item_takes_along_what_hangs_on_it() -> None:
    asked = []

    def lost_with(item: Item, failed: Mapping[str, int]) -> Mapping[str, int]:
        asked.append((item, dict(failed)))
        return {"score": 3}

    board = ProgressBoard({"extract": 2, "score": 6}, lost_with=lost_with)
    board.note_failed("extract", "card 1")
    board.note_failed("extract", "card 2")
    assert [str(stage) for stage in board.snapshot()] == ["extract 2/2", "score 0/0"]
    assert asked == [
        (Item("extract", "card 1"), {"extract": 0, "score": 0}),
        (Item("extract", "card 2"), {"extract": 1, "score": 0}),
    ]


@pytest.fixture
def verbose_board() -> tuple[ProgressBoard, Callable[[], str]]:
    file = io.StringIO()
    board = ProgressBoard({}, verbose=True, write=lambda line: print(line, file=file))
    return board, file.getvalue


def test_a_verbose_board_has_verbose_trackers(
    verbose_board: tuple[ProgressBoard, Callable[[], str]],
) -> None:
    board, written = verbose_board
    board.tracker("score", 1).update_progress(1, "done")
    assert written() == "score 1/1: 1 done\n"
