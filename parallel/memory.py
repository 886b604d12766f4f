"""
Fewer calls at once while memory is short, and all of them again when it is not.

It looks when it is told to and lowers a limit; it frees nothing and ends no call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import psutil

LOOK_EVERY_S = 1.0
ENOUGH = 1.5  # times the floor, so that the limit does not flutter
DEFAULT_SHARE = 0.05
DEFAULT_BYTES = 256 * 1024**2


class Shrinkable(Protocol):
    """What is made smaller."""

    def in_flight(self) -> int:
        """How many calls are under way."""

    def shrink_to(self, max_in_flight: int) -> None:
        """Let no more than so many be under way."""

    def restore(self) -> None:
        """Climb back to what was allowed before."""


def total_bytes() -> int:
    """The machine's memory."""
    return int(psutil.virtual_memory().total)


def available_bytes() -> int:
    """Memory that can be given out without swapping."""
    return int(psutil.virtual_memory().available)


def default_floor_bytes() -> int:
    """5 % of the machine's memory, at least 256 MB."""
    return max(int(total_bytes() * DEFAULT_SHARE), DEFAULT_BYTES)


@dataclass(slots=True, kw_only=True)
class MemoryWatch:
    """Halves the calls in flight each second in which memory is under the floor.

    For one thread. `say` gets one line when it begins and one when it ends.
    """

    limiter: Shrinkable
    floor_bytes: int
    say: Callable[[str], None]
    available: Callable[[], int] = available_bytes
    clock: Callable[[], float] = time.monotonic
    _next_look_s: float = field(init=False, default=float("-inf"))
    _is_short: bool = field(init=False, default=False)

    def look(self) -> None:
        """Compare with the floor, at most once a second."""
        now_s = self.clock()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + LOOK_EVERY_S
        left = self.available()
        if left < self.floor_bytes:
            self._shrink(left)
        elif self._is_short and left >= ENOUGH * self.floor_bytes:
            self._is_short = False
            self.limiter.restore()
            self.say("memory is back: the number of calls at once grows again")

    def _shrink(self, left: int) -> None:
        self.limiter.shrink_to(max(1, self.limiter.in_flight() // 2))
        if not self._is_short:
            self._is_short = True
            self.say(
                f"only {left / 1e6:,.0f} MB of memory are free, less than"
                f" --min-free-memory {self.floor_bytes // 1024**2}M: fewer calls at once"
            )
