"""
The right to one HTTP attempt, and the endpoint that it is for.

They hold what a thread needs; who gets a permit, and when, is decided in `limiter.py`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from parallel.limiter.endpoint import EndpointState
from pipeline.errors import EndpointDown
from pipeline.llm.limiting import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One endpoint at one moment; `history` pairs seconds of the clock with the limit."""

    name: str
    limit: int
    in_flight: int
    peak_in_flight: int
    held_by: str
    refused: int
    cuts: int
    pauses: int
    breaker_openings: int
    waited_s: float
    history: tuple[tuple[float, int], ...]

    def as_dict(self, *, since_s: float) -> dict[str, Any]:
        """What the metrics keep of it; times from `since_s` on."""
        kept = ("limit", "peak_in_flight", "refused", "cuts", "pauses")
        return {
            **{name: getattr(self, name) for name in (*kept, "breaker_openings")},
            "waited_s": round(self.waited_s, 3),
            "limit_over_time": [
                [round(at_s - since_s, 3), limit] for at_s, limit in self.history
            ],
        }


class _Limiter(Protocol):
    """The limiter as its permits see it; each method says more in `limiter.py`."""

    lent: threading.local

    def enter(self, permit: Permit) -> None: ...

    def give_back(self, permit: Permit) -> None: ...

    def return_unused(self, permit: Permit) -> None: ...

    def note_first_piece(self, permit: Permit) -> None: ...

    def note(self, permit: Permit, seen: Observation) -> float: ...

    def sleep(self, endpoint: EndpointLimiter, seconds: float) -> None: ...


class Permit:
    """
    The right to one HTTP attempt: entering it waits, leaving it gives it back.

    Entering raises Interrupted when the run is stopped, EndpointDown when the endpoint
    has been out too long. For one thread, which notes what it sees before it leaves.
    """

    __slots__ = ("_condition", "endpoint", "is_held", "number", "stage", "started_s")

    def __init__(self, endpoint: EndpointLimiter, stage: str) -> None:
        """Made by `EndpointLimiter.permit` and `Limiter.reserve`."""
        self.endpoint = endpoint
        self.stage = stage
        self.is_held = False
        self.number = 0  # its place in the line, where it had to wait
        self.started_s = 0.0
        self._condition: threading.Condition | None = None

    def __enter__(self) -> Permit:
        """Wait until the attempt may start."""
        self.endpoint.limiter.enter(self)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Give it back."""
        self.endpoint.limiter.give_back(self)

    def note_first_piece(self, _at_s: float, /) -> None:
        """The server has begun to answer."""
        self.endpoint.limiter.note_first_piece(self)

    def note(self, observation: Observation, /) -> float:
        """Learn from the attempt: the seconds its call should wait before another."""
        return self.endpoint.limiter.note(self, observation)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Have this thread's next attempt at that endpoint and stage use it."""
        lent = self.endpoint.limiter.lent
        lent.permit = self
        try:
            yield
        finally:
            if lent.permit is self:  # nothing was sent
                lent.permit = None
                self.endpoint.limiter.return_unused(self)

    def wait(self, lock: threading.Lock, timeout_s: float | None) -> None:
        """Stand in line, the lock released meanwhile; `wake` ends it."""
        if self._condition is None:
            self._condition = threading.Condition(lock)
        self._condition.wait(timeout_s)

    def wake(self) -> None:
        """Let it look for itself; for the holder of the lock."""
        if self._condition is not None:
            self._condition.notify()


class EndpointLimiter:
    """One endpoint; made by `Limiter.endpoint`."""

    def __init__(self, limiter: _Limiter, state: EndpointState) -> None:
        """Share the limiter's lock and its counts."""
        self.limiter = limiter
        self.name = state.name
        # Guarded by the limiter's lock.
        self.state = state
        self.line: deque[Permit] = deque()
        self.sleeping = 0
        self.waited_s = 0.0

    def permit(self, stage: str, /) -> Permit:
        """A permit for one HTTP attempt, held from entering it to leaving it.

        The one that the scheduler took for this thread's task, if there is one.
        """
        lent = self.limiter.lent
        permit: Permit | None = getattr(lent, "permit", None)
        if permit is None:
            return Permit(self, stage)
        lent.permit = None
        if permit.endpoint is not self or permit.stage != stage:
            # Held on, it could be the very one that this attempt would wait for.
            self.limiter.return_unused(permit)
            return Permit(self, stage)
        return permit

    def first(self, now_s: float, has_room: Callable[[str], bool]) -> Permit | None:
        """The first in line that may start; for the holder of the lock."""
        if not self.line or self.state.hold_s(now_s) > 0.0:
            return None
        if self.state.outage_s(now_s) is not None:  # each is to find out for itself
            return None
        return next((one for one in self.line if has_room(one.stage)), None)

    def check_outage(self, now_s: float) -> None:
        """EndpointDown when it has been out too long; for the holder of the lock."""
        outage_s = self.state.outage_s(now_s)
        if outage_s is not None:
            said = f" ({self.state.said})" if self.state.said else ""
            message = (
                f"{self.name} has not answered for {outage_s:.0f} s{said}; giving up"
            )
            raise EndpointDown(message)

    def sleep(self, seconds: float, /) -> None:
        """Wait without a permit; raises Interrupted when the run is stopped."""
        self.limiter.sleep(self, seconds)


def pictured(endpoint: EndpointLimiter, now_s: float) -> Snapshot:
    """What the endpoint does and did, under the limiter's lock."""
    state = endpoint.state
    return Snapshot(
        name=endpoint.name,
        limit=state.limit,
        in_flight=state.in_flight,
        peak_in_flight=state.peak_in_flight,
        held_by=state.held_by(now_s),
        refused=state.counts["refused"],
        cuts=state.counts["cuts"],
        pauses=state.counts["pauses"],
        breaker_openings=state.breaker_openings,
        waited_s=endpoint.waited_s,
        history=tuple(state.history),
    )
