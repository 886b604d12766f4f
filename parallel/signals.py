"""
Looks after a run from the main thread: the screen, and the wish to end it.

The run works on a thread of its own, so that the main thread sees signals at once. It
neither knows what runs nor stops it by force: the first signal asks, and only when the
time for an answer is over, or on the second, the process ends.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")
TICK_S = 0.2
GRACE_S = 10.0


@dataclass(slots=True)
class _Ended(Generic[T]):
    value: T | None = None
    error: BaseException | None = None


def attend(
    work: Callable[[], T],
    *,
    on_tick: Callable[[], None],
    on_first_signal: Callable[[], None],
    on_abandon: Callable[[], NoReturn],
    grace_s: float = GRACE_S,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """
    The result of `work`, or its error; call it from the main thread.

    `on_tick` is called about five times a second; `on_first_signal` once, and should
    make the work end soon; `on_abandon` when it has not, after `grace_s` or a second
    signal, and does not come back.
    """
    ended: _Ended[T] = _Ended()
    done = threading.Event()

    def run() -> None:
        try:
            ended.value = work()
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread
            ended.error = error
        finally:
            done.set()

    # A daemon: an abandoned run must not hold the process.
    thread = threading.Thread(target=run, name="run", daemon=True)
    with _signals() as seen:
        thread.start()
        give_up_at_s: float | None = None
        while not done.wait(TICK_S):
            on_tick()
            if seen and give_up_at_s is None:
                give_up_at_s = clock() + grace_s
                on_first_signal()
            if give_up_at_s is not None and (len(seen) > 1 or clock() > give_up_at_s):
                on_abandon()
        on_tick()
    thread.join()
    if ended.error is not None:
        raise ended.error
    return ended.value  # type: ignore[return-value]  # set when there is no error


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Signals that ask for the end, in the order in which they came."""
    seen: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    asked = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in asked}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
