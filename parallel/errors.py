"""
What went wrong with which item, collected from many threads, as text.

It keeps no exceptions: their frames would keep articles and replies in memory.
It judges nothing and writes nothing.
"""

import re
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from pipeline.text.safety import for_terminal

MAX_REASON_CHARS = 500

_NUMBERS = re.compile(r"([0-9]+)")


def first_line(text: str) -> str:
    """The first line with something on it, fit for a terminal and of bounded length."""
    cleaned = (for_terminal(line) for line in text.splitlines())
    lines = (line.replace("\t", " ").strip() for line in cleaned)
    line = next(filter(None, lines), "")
    if len(line) <= MAX_REASON_CHARS:
        return line
    return line[: MAX_REASON_CHARS - 1] + "…"


@dataclass(frozen=True, slots=True)
class CollectedError:
    """One failure: the item, one line of text, and the name of the error's class."""

    item_id: Hashable
    reason: str
    kind: str


class ThreadSafeErrorCollector:
    """Failures of items, added by any thread and read in order of item."""

    def __init__(
        self, *, on_error: Callable[[CollectedError], None] | None = None
    ) -> None:
        """Start empty; `on_error` hears of each error on the thread that adds it."""
        self._on_error = on_error
        self._lock = threading.Lock()  # guards _errors
        self._errors: list[CollectedError] = []

    def add_error(self, item_id: Hashable, error: Exception | str) -> None:
        """Keep the first line of the error, or its class name when it says nothing."""
        kind = "Error" if isinstance(error, str) else type(error).__name__
        collected = CollectedError(item_id, first_line(str(error)) or kind, kind)
        with self._lock:
            self._errors.append(collected)
        # Outside: whoever listens may be slow, or may ask for the errors.
        if self._on_error:
            self._on_error(collected)

    def get_errors(self) -> list[CollectedError]:
        """A copy in order of item, 2 before 10; the same order however threads ran."""
        with self._lock:
            errors = list(self._errors)
        return sorted(errors, key=_order)

    def __len__(self) -> int:
        """How many errors were added."""
        with self._lock:
            return len(self._errors)


def _order(error: CollectedError) -> tuple[list[tuple[int, str]], str, str]:
    # Reason and kind decide between errors of one item: the order in which threads
    # came by would differ from run to run.
    return _natural(str(error.item_id)), error.reason, error.kind


def _natural(text: str) -> list[tuple[int, str]]:
    """A key in which runs of digits compare as numbers, of any length."""
    parts = _NUMBERS.split(text)  # digits at the odd places
    bare = [part.lstrip("0") if i % 2 else part for i, part in enumerate(parts)]
    return [(len(part) if i % 2 else 0, part) for i, part in enumerate(bare)]
