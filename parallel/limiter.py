"""
How many calls may be in flight, moved by what the servers answer.

One `Limiter` for a run, one `Lane` for each endpoint. It never cancels a call under
way: after a cut the extra ones drain. It repeats nothing and knows no request. The
rules are in `lane_state.py` and below, the threads in `turnstile.py`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from parallel.admission import Admission, LaneQueue, Ticket
from parallel.lane_state import LaneState
from parallel.limit_records import (
    LaneLimits,
    LaneSnapshot,
    LimiterEvent,
    LimiterSnapshot,
    LimiterStopped,
    Observation,
    OutageTooLong,
)
from parallel.turnstile import Turnstile

__all__ = [
    "Lane",
    "Limiter",
    "LimiterEvent",
    "LimiterSnapshot",
    "LimiterStopped",
    "Observation",
    "OutageTooLong",
    "Permit",
]


class Limiter:
    """
    Calls in flight of a whole run: in total, by group and by lane.

    With a maximum of 1 it is the sequential mode. `adaptive=False` keeps the limit
    where it was set; refusals and outages are waited out all the same.
    """

    def __init__(  # noqa: PLR0913 - all but the first have defaults
        self,
        max_in_flight: int,
        *,
        group_limits: Mapping[str, int] | None = None,
        adaptive: bool = True,
        max_outage_s: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        on_change: Callable[[], None] | None = None,
        on_event: Callable[[LimiterEvent], None] | None = None,
    ) -> None:
        """
        Refuse limits that would let no call start.

        `on_change` is called when `room` or `sleeping` may have grown, `on_event` with
        what a lane did; on any thread, under no lock, not always in order.
        """
        group_limits = group_limits or {}
        for name, limit in {"max_in_flight": max_in_flight, **group_limits}.items():
            if limit < 1:
                message = f"{name} must be at least 1, got {limit}"
                raise ValueError(message)
        self.max_in_flight = max_in_flight
        self._is_adaptive = adaptive
        self._max_outage_s = max_outage_s
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._admission = Admission(max_in_flight, group_limits)
        self._turnstile = Turnstile(self._admission, clock=clock)
        self._turnstile.on_change = on_change
        self._turnstile.on_event = on_event
        self._lanes: dict[str, Lane] = {}

    @property
    def on_change(self) -> Callable[[], None] | None:
        """Called when more tasks may be outstanding; may be set later."""
        return self._turnstile.on_change

    @on_change.setter
    def on_change(self, callback: Callable[[], None] | None) -> None:
        self._turnstile.on_change = callback

    def lane(
        self,
        name: str,
        *,
        max_in_flight: int | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> Lane:
        """The lane of that name; limits count when it is first asked for."""
        most = self.max_in_flight if max_in_flight is None else max_in_flight
        limits = LaneLimits(
            max_in_flight=min(most, self.max_in_flight),
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            is_adaptive=self._is_adaptive,
            max_outage_s=self._max_outage_s,
        )
        with self._turnstile.lock:
            if name not in self._lanes:
                queue = LaneQueue(LaneState(name, limits, rng=self._rng))
                self._admission.queues[name] = queue
                self._lanes[name] = Lane(self._turnstile, queue)
            return self._lanes[name]

    def room(self, lane_name: str) -> int:
        """How many tasks may be outstanding on a lane: its limit and its sleepers."""
        with self._turnstile.lock:
            most = self._admission.max_in_flight
            queue = self._admission.queues.get(lane_name)
            if queue is None:
                return most
            return min(queue.state.limit, most) + queue.sleeping

    def sleeping(self) -> int:
        """Calls that wait for time or for their own lane, and so leave room to others."""
        with self._turnstile.lock:
            return self._admission.sleeping(self._turnstile.clock())

    def in_flight(self) -> int:
        """Calls that hold a permit."""
        with self._turnstile.lock:
            return self._admission.in_flight

    def stop(self) -> None:
        """End every wait, now and from now on, with LimiterStopped."""
        self._turnstile.stop()

    def shrink_to(self, max_in_flight: int) -> None:
        """Allow fewer calls in total, at least one; those under way are not touched."""
        self._turnstile.shrink_to(max(1, min(max_in_flight, self.max_in_flight)))

    def restore(self) -> None:
        """Undo `shrink_to`: each answered call brings one place back."""
        self._turnstile.climb_to(self.max_in_flight)

    def snapshot(self) -> LimiterSnapshot:
        """What the limiter does and did, at one moment."""
        with self._turnstile.lock:
            admission = self._admission
            return LimiterSnapshot(
                max_in_flight=admission.max_in_flight,
                in_flight=admission.in_flight,
                peak_in_flight=admission.peak_in_flight,
                sleeping=admission.sleeping(self._turnstile.clock()),
                lanes={name: _pictured(q) for name, q in admission.queues.items()},
            )


class Permit(Ticket):
    """One HTTP attempt: `started_s` is when it was let in."""

    __slots__ = ("_turnstile",)

    def __init__(self, turnstile: Turnstile, queue: LaneQueue, group: str) -> None:
        """Made by `Lane.admit`."""
        super().__init__(queue, group)
        self._turnstile = turnstile

    def __enter__(self) -> Permit:
        """Wait to be let in."""
        self._turnstile.enter(self)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Give the place back."""
        self._turnstile.leave(self)


class Lane:
    """One endpoint; made by `Limiter.lane`."""

    def __init__(self, turnstile: Turnstile, queue: LaneQueue) -> None:
        """Share the limiter's lock and its counts."""
        self._turnstile = turnstile
        self._queue = queue
        self.name = queue.state.name

    @property
    def is_out(self) -> bool:
        """
        The breaker is open: no call but a probe may start.

        Right after `note` it says whether a fault was the endpoint's outage, which
        should not count against the call.
        """
        with self._turnstile.lock:
            return self._queue.state.is_out

    def admit(self, group: str = "") -> Permit:
        """
        A permit for one HTTP attempt, held from entering it to leaving it.

        Entering waits for a place in the run, the group and the lane, and for the
        pace, a pause or the breaker. It raises LimiterStopped when the run is stopped,
        OutageTooLong when the endpoint has been out too long.
        """
        return Permit(self._turnstile, self._queue, group)

    def note(self, observation: Observation) -> float:
        """
        Learn from an attempt: the seconds its call should wait before another.

        For the thread of the attempt, in its permit or right after it: only then, or
        after a twentieth of a second, is its place given to the next.
        """
        return self._turnstile.note(self._queue, observation)

    def sleep(self, seconds: float) -> None:
        """Wait without a place; raises LimiterStopped when the run is stopped."""
        self._turnstile.sleep(self._queue, seconds)


def _pictured(queue: LaneQueue) -> LaneSnapshot:
    state = queue.state
    return LaneSnapshot(
        name=state.name,
        limit=state.limit,
        in_flight=state.in_flight,
        peak_in_flight=state.peak_in_flight,
        sleeping=queue.sleeping,
        waiting=len(queue.waiting),
        starts=state.counts["starts"],
        refused=state.counts["refused"],
        cuts=state.counts["cuts"],
        pauses=state.counts["pauses"],
        breaker_openings=state.breaker_openings,
        waits=queue.waits,
        waited_s=queue.waited_s,
        pace_per_s=state.pace_per_s,
        history=tuple(state.history),
    )
