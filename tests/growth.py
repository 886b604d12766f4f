"""Whether work on a long text takes one pass: more text, more time, and no more."""

import time
from collections.abc import Callable

SHORT, LONG = 20_000, 80_000  # characters
_MOST = 12  # one pass takes about 4 times as long for 4 times as much, one a place 16


def assert_one_pass(
    read: Callable[[str], object], part: str, *, start: str = "", end: str = ""
) -> None:
    """Read `part` over and over between `start` and `end`, and four times as much.

    Compared is the time of this process, the best of three, in the same process: a busy
    machine changes both.
    """

    def seconds(characters: int) -> float:
        text = start + part * (characters // len(part)) + end
        started_s = time.process_time()
        read(text)
        return time.process_time() - started_s

    short = min(seconds(SHORT) for _ in range(3))
    assert min(seconds(LONG) for _ in range(3)) <= _MOST * short
