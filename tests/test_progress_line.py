"""What a user sees: on a terminal of any width, and where there is none."""

import io
import re
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel.progress import ProgressBoard, ProgressSnapshot
from parallel.progress_line import (
    Live,
    ProgressLine,
    Waits,
    bar_format,
    line_texts,
    work_done,
)

PLANNED = {"generate": 5, "extract": 5, "score": 15}


class Terminal(io.StringIO):
    """A terminal that remembers what it was sent."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def frames(self) -> list[str]:
        """Each state of the line, without the blanks that wipe the one before."""
        return [frame.rstrip(" ") for frame in re.split(r"[\r\n]", self.getvalue())]


class Scene:
    """A run of three stages, its clock, and the line that shows it."""

    def __init__(
        self, file: io.StringIO, *, columns: int = 80, quiet: bool = False
    ) -> None:
        self.now_s, self.file = 0.0, file
        self.live = Live(in_flight=8)
        self.board = ProgressBoard(PLANNED)
        self.stages = [self.board.tracker(name) for name in PLANNED]
        self.line = ProgressLine(
            self.board,
            live=lambda: self.live,
            weights=dict.fromkeys(PLANNED, 100.0),
            quiet=quiet,
            file=file,
            clock=lambda: self.now_s,
            columns=lambda: columns,
        )

    def work(
        self, stage: int, items: range, *, status: str = "done", each_s: float = 1.0
    ) -> None:
        for item in items:
            self.stages[stage].update_progress(item, "started")
            self.line.tick()
            self.now_s += each_s
            self.stages[stage].update_progress(item, status)
            self.line.tick()


def play(scene: Scene) -> None:
    scene.line.tick()
    scene.work(0, range(5), each_s=7)
    scene.work(1, range(4), each_s=7)
    scene.work(1, range(4, 5), status="failed")
    scene.line.message("extract 5 failed: \x1b[31mno answer")
    scene.work(2, range(15))
    scene.line.close()


def test_80_columns_tell_the_stages_the_calls_the_failures_and_the_time_left() -> None:
    terminal = Terminal()
    scene = Scene(terminal, columns=80)
    scene.line.tick()
    scene.work(0, range(5), each_s=6)
    scene.work(1, range(3), each_s=5)
    assert terminal.frames()[-1].endswith(
        "| generate 5/5 extract 3/5 score 0/15 · 8 in flight · ETA 01:35"
    )
    scene.work(1, range(3, 4), status="failed", each_s=5)
    assert terminal.frames()[-1].endswith(
        "| generate 5/5 extract 4/5 · 8 in flight · 1 failed · ETA 01:28"
    )
    assert terminal.frames()[-1].startswith(" 36%|███")
    scene.line.close()


def test_the_first_line_says_that_the_time_left_is_not_known() -> None:
    terminal = Terminal()
    scene = Scene(terminal)
    scene.line.tick()
    scene.work(0, range(1))
    frames = [frame for frame in terminal.frames() if "ETA ?" in frame]
    assert len(frames) == 2  # before the first start, and before the first end
    scene.line.close()


@pytest.mark.parametrize("columns", [1, 6, 20, 40, 60, 80, 120, 200])
def test_no_line_is_wider_than_its_terminal(columns: int) -> None:
    terminal = Terminal()
    play(Scene(terminal, columns=columns))
    frames = [f for f in terminal.frames() if not f.startswith("extract 5 failed")]
    assert max(map(len, frames)) <= max(columns - 1, 1)
    if columns >= 40:
        assert any("1 failed · ETA 00:" in frame for frame in frames)


def test_the_last_line_stays_with_the_time_that_the_work_took() -> None:
    terminal = Terminal()
    play(Scene(terminal, columns=100))
    assert terminal.getvalue().endswith("\n")
    assert terminal.frames()[-2].startswith("100%|█")
    assert (
        "generate 5/5 extract 5/5 score 15/15 · 1 failed · took 01:19"
        in terminal.frames()[-2]
    )


def test_a_message_stands_above_the_bar_and_cannot_command_the_terminal() -> None:
    terminal = Terminal()
    play(Scene(terminal))
    assert "\rextract 5 failed: no answer\n\r" in terminal.getvalue()


def test_a_file_that_knows_only_ascii_gets_only_ascii() -> None:
    terminal = Terminal()
    terminal.encoding = "ascii"  # this one terminal is old
    play(Scene(terminal))
    assert terminal.getvalue().isascii()
    assert "score 15/15, 1 failed, took 01:19" in terminal.getvalue()


def test_no_terminal_gets_a_plain_line_every_5_percent_or_10_seconds() -> None:
    file = io.StringIO()
    scene = Scene(file)
    scene.line.tick()
    scene.work(0, range(1))  # 1 of 25: 4 percent, no news yet
    assert len(file.getvalue().splitlines()) == 1
    scene.work(0, range(1, 2))  # 8 percent
    assert len(file.getvalue().splitlines()) == 2
    scene.now_s += 9.9
    scene.line.tick()
    assert len(file.getvalue().splitlines()) == 2
    scene.now_s += 0.1
    scene.line.tick()
    assert len(file.getvalue().splitlines()) == 3
    scene.line.close()
    assert file.getvalue().splitlines()[1:] == [
        "  8% generate 2/5 extract 0/5 score 0/15, 8 in flight, ETA 00:23",
        "  8% generate 2/5 extract 0/5 score 0/15, 8 in flight, ETA 02:18",
        "  8% generate 2/5 extract 0/5 score 0/15, took 00:12",
    ]


def test_quiet_prints_nothing_at_all() -> None:
    for file in (Terminal(), io.StringIO()):
        play(Scene(file, quiet=True))
        assert file.getvalue() == ""


def test_without_work_nothing_is_shown() -> None:
    terminal = Terminal()
    line = ProgressLine(ProgressBoard({}), file=terminal)
    line.tick()
    line.close()
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_after_close_nothing_moves_but_messages_still_arrive(
    kind: Callable[[], io.StringIO],
) -> None:
    file = kind()
    scene = Scene(file)
    play(scene)
    before = file.getvalue()
    scene.line.tick()
    scene.line.close()
    scene.line.message("bye")
    assert file.getvalue() == before + "bye\n"


def test_the_total_may_shrink_below_what_is_done() -> None:
    terminal = Terminal()
    scene = Scene(terminal)
    scene.work(0, range(5))
    scene.stages[2].add_total(-15)
    scene.stages[1].add_total(-5)
    scene.stages[0].add_total(-2)
    scene.line.tick()
    assert terminal.frames()[-1].startswith("100%|█")
    assert "generate 5/5" in terminal.frames()[-1]
    scene.line.close()


def test_what_a_resumed_run_finds_done_tells_no_pace() -> None:
    terminal = Terminal()
    scene = Scene(terminal)
    for item in range(15):
        scene.stages[2].update_progress(item, "done")
    scene.line.tick()
    scene.work(0, range(1), each_s=10)
    assert terminal.frames()[-1].endswith("ETA 01:30")  # nine more of ten seconds each
    scene.line.close()


def test_drawing_starts_no_thread() -> None:
    scene = Scene(Terminal())
    scene.line.tick()
    assert "tqdm_monitor" not in {thread.name for thread in threading.enumerate()}
    scene.line.close()


def snapshot(
    name: str, total: int, *, started: int = 0, done: int = 0
) -> ProgressSnapshot:
    return ProgressSnapshot(name, total, started=max(started, done), done=done)


def test_the_time_left_goes_by_work_and_not_by_items() -> None:
    scene = Scene(Terminal(), columns=120)
    scene.line.weights = {"generate": 2000.0, "extract": 200.0, "score": 100.0}
    scene.line.tick()
    scene.work(0, range(5), each_s=10)  # 10,000 of 12,500 tokens in 50 s
    assert scene.file.getvalue().count("ETA 00:12")
    scene.line.close()


def test_what_was_received_of_items_under_way_counts_but_never_as_whole_ones() -> None:
    stages = [snapshot("generate", 4, started=2, done=1), snapshot("score", 2)]
    weights = {"generate": 1000.0, "score": 100.0}
    assert work_done(stages, weights, {}) == (1000.0, 4200.0)
    assert work_done(stages, weights, {"generate": 1500}) == (1500.0, 4200.0)
    assert work_done(stages, weights, {"generate": 9000}) == (1900.0, 4200.0)
    assert work_done(stages, {}, {"generate": 9000}) == (1.9, 6.0)


def test_tokens_move_the_line_while_no_item_has_ended() -> None:
    terminal = Terminal()
    scene = Scene(terminal, columns=120)
    scene.stages[0].update_progress(1, "started")
    for tokens in (0, 40, 80):
        scene.live = Live(in_flight=1, tokens={"generate": tokens})
        scene.line.tick()
        scene.now_s += 2.0
    assert "1 in flight · 80 tokens, 20/s · ETA 02:01" in terminal.frames()[-1]
    assert terminal.frames()[-1].startswith("  3%|")
    scene.line.close()


def test_tokens_a_second_are_those_of_the_last_ten_seconds() -> None:
    terminal = Terminal()
    scene = Scene(terminal, columns=120)
    for tokens in (0, 1000, 1000, 1000):
        scene.live = Live(in_flight=1, tokens={"generate": tokens})
        scene.line.tick()
        scene.now_s += 6.0
    assert "1,000 tokens, 0/s" in terminal.frames()[-1]
    scene.line.close()


def test_what_the_run_waits_for_stands_on_the_line_however_narrow_it_is() -> None:
    wait = "does not answer: connection refused, try 3"
    for columns in (80, 120):
        terminal = Terminal()
        scene = Scene(terminal, columns=columns)
        scene.live = Live(waits=wait + "\x1b[31m")
        scene.line.tick()
        assert f" · {wait} · ETA ?" in terminal.frames()[-1]
        scene.line.close()


def test_a_long_reason_to_wait_is_cut_and_not_left_out() -> None:
    terminal = Terminal()
    scene = Scene(terminal, columns=80)
    scene.live = Live(
        waits="does not answer: connection failed (Connection refused), 3"
    )
    scene.line.tick()
    assert " · does not answer: connection failed (…" in terminal.frames()[-1]
    scene.line.close()


def test_of_several_waits_the_one_that_ends_first_is_told_until_it_is_over() -> None:
    now_s = [0.0]
    waits = Waits(clock=lambda: now_s[0])
    assert waits.next() == ""
    waits.note("a", "429", 40.0)
    waits.note("b", "524", 4.0)
    assert waits.next() == "waits 4 s: 524"
    waits.note("b", "524, try 2", 60.0)
    assert waits.next() == "waits 40 s: 429"
    now_s[0] = 40.0
    assert waits.next() == "waits 20 s: 524, try 2"
    now_s[0] = 60.0
    assert waits.next() == ""


def test_a_stage_named_with_braces_is_shown_as_it_is() -> None:
    texts = line_texts([snapshot("{bar} {0}", 3)], [], "")
    shown = bar_format(texts, percent=0, columns=80)
    assert shown.format(bar="#") == "  0%|#| {bar} {0} 0/3"


@given(
    st.lists(st.tuples(st.integers(1, 99), st.integers(0, 99)), min_size=1, max_size=9)
)
def test_100_percent_means_that_all_is_finished(sizes: list[tuple[int, int]]) -> None:
    board = ProgressBoard({f"stage {n}": total for n, (total, _) in enumerate(sizes)})
    for n, (_, done) in enumerate(sizes):
        for item in range(done):
            board.note_done(f"stage {n}", str(item))
    terminal = Terminal()
    line = ProgressLine(board, file=terminal, columns=lambda: 80)
    line.tick()
    is_over = all(done >= total for total, done in sizes)
    assert terminal.frames()[-1].startswith("100%") == is_over
    line.close()
