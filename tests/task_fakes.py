"""Tasks, and pools under a test's hand, for the tests of the scheduler."""

import random
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

from parallel.limiter import Limiter
from parallel.scheduler import Ended, Events, Scheduler, Task, no_more
from parallel.stage import Concurrency

FAILSAFE_S = 5.0  # reached only by a failing test
NOTICE_S = 0.05  # how long a trap waits for the one too many


def no_work() -> None:
    """Ends at once."""


def task(
    key: Hashable,
    run: Callable[[], object] = no_work,
    *,
    rank: int = 0,
    stage: str = "score",
    endpoint: str = "",
    then: Callable[[Any], Iterable[Task]] = no_more,
) -> Task:
    return Task(
        key=key, rank=(rank,), stage=stage, endpoint=endpoint, run=run, then=then
    )


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


class Crowd:
    """Counts who is inside, and keeps each a moment for one too many to come."""

    def __init__(self, limit: int, *, notice_s: float = 0.01) -> None:
        self.limit, self.peak = limit, 0
        self._notice_s = notice_s
        self._inside = 0
        self._changed = threading.Condition()  # guards peak and _inside

    @contextmanager
    def inside(self) -> Iterator[None]:
        with self._changed:
            self._inside += 1
            self.peak = max(self.peak, self._inside)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.peak > self.limit, self._notice_s)
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1


def limited(
    max_in_flight: int, stage_limits: Mapping[str, int] | None = None
) -> Concurrency:
    """So many at once at the double's endpoint, by the program's own limiter."""
    limiter = Limiter(max_in_flight, stage_limits=stage_limits)
    limiter.endpoint("")
    return Concurrency(limiter=limiter)


@contextmanager
def drawn_order(seed: int) -> Iterator[None]:
    """Parallel stages without threads: which call under way ends next is drawn."""
    chance = random.Random(seed)
    pools: list[HandPool] = []

    def make_pool(_threads: int) -> HandPool:
        pools.append(HandPool())
        return pools[-1]

    def next_event(events: Events, _patience_s: float) -> Ended | None:
        # Before the scheduler waits: the moment for one call to end.
        if pools and (held := pools[-1].held):
            held.pop(chance.randrange(len(held)))()
        return None if events.empty() else events.get()

    by_hand = partial(Scheduler, make_executor=make_pool, next_event=next_event)
    with mock.patch("parallel.stage.Scheduler", by_hand):
        yield
