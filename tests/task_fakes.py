"""Tasks, and pools under a test's hand, for the tests of the scheduler."""

import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from parallel.scheduler import Task

FAILSAFE_S = 5.0  # reached only by a failing test
NOTICE_S = 0.05  # how long a trap waits for the one too many


def no_work() -> None:
    """Ends at once."""


def nothing_follows(_result: object) -> Iterable[Task]:
    return ()


def task(
    key: Hashable,
    run: Callable[[], object] = no_work,
    *,
    rank: int = 0,
    group: str = "score",
    lane: str = "",
    then: Callable[[Any], Iterable[Task]] = nothing_follows,
) -> Task:
    return Task(key=key, rank=(rank,), group=group, lane=lane, run=run, then=then)


def waits_for(event: threading.Event) -> Callable[[], object]:
    def run() -> None:
        assert event.wait(FAILSAFE_S), "nobody came"

    return run


def fails(message: str = "no") -> Callable[[], object]:
    def run() -> object:
        raise LookupError(message)

    return run


class Trap:
    """Work that fails when more than `limit` are in it at once."""

    def __init__(self, limit: int) -> None:
        self._crowd = threading.Barrier(limit + 1)

    def __call__(self) -> str:
        try:
            self._crowd.wait(NOTICE_S)
        except threading.BrokenBarrierError:
            return "alone enough"
        raise AssertionError("one too many at once")


class HandPool(Executor):
    """Holds what is submitted until the test runs it, in whatever order it likes."""

    def __init__(self) -> None:
        self.held: list[Callable[[], object]] = []

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        self.held.append(partial(fn, *args, **kwargs))
        return Future()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - its base's signature
        if cancel_futures:
            self.held.clear()
