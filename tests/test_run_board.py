"""What a run expects, and what a failure takes away."""

from collections.abc import Mapping

from parallel.run_board import RunBoard
from pipeline.estimate import planned_calls, remaining_after_failure
from pipeline.items import card_item, vote_item
from pipeline.settings import Settings

SETTINGS = Settings(topic="t", iterations=4, votes=3)


def board(lines: list[str] | None = None) -> RunBoard:
    write = None if lines is None else lines.append
    return RunBoard(
        planned_calls(SETTINGS),
        lambda stage: remaining_after_failure(stage, SETTINGS),
        verbose=lines is not None,
        write=write,
    )


def totals(made: RunBoard) -> Mapping[str, int]:
    return {s.stage_name: s.total for s in made.board.snapshot().stages}


def test_each_stage_expects_what_was_planned() -> None:
    assert totals(board()) == {
        "generate": 4,
        "extract": 5,
        "score": 15,
        "select": 1,
        "synthesize": 1,
        "validate": 1,
        "gate": 4,
    }


def test_work_that_was_not_foreseen_is_added() -> None:
    made = board()
    made.note_more([vote_item(1, 4), vote_item(2, 4), card_item(5)])
    assert (totals(made)["score"], totals(made)["extract"]) == (17, 6)


def test_a_failed_draft_takes_its_card_and_its_votes_along() -> None:
    made = board()
    made.note_failed("generate", "candidate 2")
    assert (totals(made)["extract"], totals(made)["score"]) == (4, 12)


def test_a_failed_card_takes_its_votes_along_and_a_failed_vote_nothing() -> None:
    made = board()
    made.note_failed("extract", "card 2")
    made.note_failed("score", "vote 1 on card 3")
    assert (totals(made)["extract"], totals(made)["score"]) == (5, 12)


def test_done_and_failed_items_are_counted() -> None:
    made = board()
    made.note_done("generate", "candidate 1")
    made.note_failed("generate", "candidate 2")
    (generate, *_) = made.board.snapshot().stages
    assert (generate.done, generate.failed) == (1, 1)


def test_a_stage_without_work_is_not_shown() -> None:
    made = RunBoard({"generate": 0, "extract": 2}, lambda _stage: {})
    assert totals(made) == {"extract": 2}


def test_verbose_writes_a_line_for_each_item() -> None:
    lines: list[str] = []
    board(lines).note_done("score", "vote 1 on card 1")
    assert len(lines) == 1
    assert "vote 1 on card 1 done" in lines[0]
