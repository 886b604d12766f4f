"""
Who may start a call: the one place that counts permits, of the run, a stage, an endpoint.

It never cancels a call under way: after a cut the extra ones drain. What an endpoint
allows is decided in `endpoint.py`; here are the threads that wait for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from math import inf

from parallel.limiter.endpoint import EndpointState, LimiterEvent
from parallel.limiter.permits import EndpointLimiter, Permit, Snapshot, pictured
from pipeline.errors import Interrupted
from pipeline.llm.limiting import Observation

LONGEST_WAIT_S = 3600.0  # of one wait on a condition; longer ones take several


class Limiter:
    """
    Permits of a whole run: in total, by stage and by endpoint. Safe for any thread.

    With a maximum of 1 it is the sequential mode. Calls that wait for a permit get it
    first come, first served, before `reserve` gives any away.
    """

    def __init__(
        self,
        max_in_flight: int,
        *,
        stage_limits: Mapping[str, int] | None = None,
        max_outage_s: float = 900.0,
        max_absence_s: float | None = None,
        calls_left: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        on_event: Callable[[LimiterEvent], None] = lambda _event: None,
    ) -> None:
        """Refuse limits that would let no call start.

        `calls_left` says how many calls the run has still to make; it takes no permit.
        `on_event` hears what a limit did: on any thread, under no lock, in any order.
        """
        self._stage_limits = dict(stage_limits or {})
        if min(max_in_flight, *self._stage_limits.values(), max_in_flight) < 1:
            message = f"limits must be at least 1, got {max_in_flight}, {stage_limits}"
            raise ValueError(message)
        self.max_in_flight = max_in_flight
        self._max_outage_s, self._max_absence_s = max_outage_s, max_absence_s
        self._calls_left = calls_left
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._on_event = on_event
        self.lent = threading.local()  # the permit reserved for a thread's task
        self._listeners: list[Callable[[], None]] = []
        # Guards all below and the state of every endpoint. Each waiting permit's
        # condition shares it, so that a free permit wakes only the call it is for.
        self._lock = threading.Lock()
        self._stopping = threading.Condition(self._lock)
        self._is_stopped = False
        self._most = self._climbs_to = max_in_flight  # less while memory is short
        self._in_flight = 0
        self._of_stage: Counter[str] = Counter()
        self._numbers = count()
        self._endpoints: dict[str, EndpointLimiter] = {}
        self.peak_in_flight = 0

    def endpoint(
        self,
        name: str,
        *,
        max_in_flight: int | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        timeout_s: float | None = None,
    ) -> EndpointLimiter:
        """The endpoint of that name; limits count when it is first asked for."""
        state = EndpointState(
            name,
            max_in_flight=min(max_in_flight or self.max_in_flight, self.max_in_flight),
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            timeout_s=timeout_s,
            max_outage_s=self._max_outage_s,
            max_absence_s=self._max_absence_s,
            calls_left=self._calls_left,
            rng=self._rng,
        )
        with self._lock:
            return self._endpoints.setdefault(name, EndpointLimiter(self, state))

    def in_flight(self) -> int:
        """Calls that hold a permit."""
        with self._lock:
            return self._in_flight

    def snapshots(self) -> list[Snapshot]:
        """Every endpoint at one moment, in the order in which they were asked for."""
        with self._lock:
            return [pictured(e, self._clock()) for e in self._endpoints.values()]

    @contextmanager
    def listening(self, on_change: Callable[[], None]) -> Iterator[None]:
        """Have `on_change` called, on any thread, when `reserve` may give more."""
        self._listeners.append(on_change)
        try:
            yield
        finally:
            self._listeners.remove(on_change)

    def reserve(self, name: str, stage: str) -> Permit | None:
        """
        A permit at once, or None; to be lent to the thread that runs the task.

        Raises EndpointDown when the endpoint has been out too long.
        """
        with self._lock:
            endpoint, now_s = self._endpoints[name], self._clock()
            # Threads that sleep for it are enough when they are so many.
            if self._is_stopped or endpoint.sleeping > 3 * self.max_in_flight + 16:
                return None
            endpoint.check_outage(now_s)
            self._let_in(now_s)
            if not self._has_room(stage) or endpoint.state.hold_s(now_s) > 0.0:
                return None
            permit = Permit(endpoint, stage)
            self._start(permit, now_s)
            return permit

    def held_s(self, names: Iterable[str]) -> float:
        """Seconds until time alone lets `reserve` give a permit of one of these."""
        with self._lock:
            now_s = self._clock()
            holds = (self._endpoints[name].state.hold_s(now_s) for name in names)
            return min((hold_s for hold_s in holds if hold_s > 0.0), default=inf)

    def return_unused(self, permit: Permit) -> None:
        """Give a reserved permit back with which nothing was sent."""
        with self._lock:
            self._give_up(permit)
        self._tell(permit.endpoint)

    def enter(self, permit: Permit) -> None:
        """Return when the permit is held."""
        endpoint = permit.endpoint
        with self._lock:
            now_s = self._clock()
            if permit.is_held:  # it was reserved
                if not self._is_stopped:
                    permit.started_s = now_s
                    return
                self._give_up(permit)
            permit.number = next(self._numbers)
            endpoint.line.append(permit)
            self._stand_in_line(permit, now_s)
        self._tell(endpoint)

    def give_back(self, permit: Permit) -> None:
        """The attempt is over."""
        with self._lock:
            now_s = self._clock()
            permit.endpoint.state.end(permit, now_s)
            self._free(permit, now_s)
        self._tell(permit.endpoint)

    def note_first_piece(self, permit: Permit) -> None:
        """The server has begun to answer the permit's call."""
        with self._lock:
            now_s, state = self._clock(), permit.endpoint.state
            state.note_first_piece(permit, started_s=permit.started_s, now_s=now_s)
            self._let_in(now_s)
        self._tell(permit.endpoint)

    def note(self, permit: Permit, seen: Observation) -> float:
        """Seconds that the permit's call should wait before it tries again."""
        with self._lock:
            if seen.kind == "ok" and self._most < self._climbs_to:
                self._most += 1
            # Whom that lets in is looked at when the permit is given back.
            return permit.endpoint.state.note(seen, self._clock())

    def sleep(self, endpoint: EndpointLimiter, seconds: float) -> None:
        """Wait without a permit."""
        with self._lock:
            until_s = self._clock() + seconds
            endpoint.sleeping += 1
            endpoint.waited_s += seconds
            try:
                while (left_s := until_s - self._clock()) > 0.0:
                    self._check_stopped()
                    self._stopping.wait(min(left_s, LONGEST_WAIT_S))
                self._check_stopped()
            finally:
                endpoint.sleeping -= 1

    def stop(self) -> None:
        """End every wait with Interrupted, and refuse all that come later."""
        with self._lock:
            self._is_stopped = True
            for endpoint in self._endpoints.values():
                for permit in endpoint.line:
                    permit.wake()
            self._stopping.notify_all()

    def shrink_to(self, max_in_flight: int) -> None:
        """Allow fewer calls in total, at least one; those under way are not touched."""
        with self._lock:
            self._climbs_to = max(1, min(max_in_flight, self.max_in_flight))
            self._most = min(self._most, self._climbs_to)

    def restore(self) -> None:
        """Undo `shrink_to`: each answered call brings one permit back."""
        with self._lock:
            self._climbs_to = self.max_in_flight

    def _has_room(self, stage: str) -> bool:
        limit = self._stage_limits.get(stage, inf)
        return self._of_stage[stage] < limit and self._in_flight < self._most

    def _start(self, permit: Permit, now_s: float) -> None:
        permit.is_held = True
        permit.started_s = now_s
        self._in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        self._of_stage[permit.stage] += 1
        permit.endpoint.state.start(permit, now_s)

    def _free(self, permit: Permit, now_s: float) -> None:
        permit.is_held = False
        self._in_flight -= 1
        self._of_stage[permit.stage] -= 1
        self._let_in(now_s)

    def _let_in(self, now_s: float) -> None:
        """Let in all that may start, those that have waited longest first."""
        while (permit := self._next(now_s)) is not None:
            permit.endpoint.line.remove(permit)
            self._start(permit, now_s)
            permit.wake()
        for endpoint in self._endpoints.values():
            # Somebody must watch the clock; the others wait for that one.
            if endpoint.line and endpoint.state.hold_s(now_s) < inf:
                endpoint.line[0].wake()

    def _next(self, now_s: float) -> Permit | None:
        """Of those in line that may start now, the one that has waited longest."""
        if self._is_stopped:
            return None
        firsts = (e.first(now_s, self._has_room) for e in self._endpoints.values())
        return min(filter(None, firsts), key=lambda first: first.number, default=None)

    def _stand_in_line(self, permit: Permit, since_s: float) -> None:
        endpoint, now_s = permit.endpoint, since_s
        try:
            while True:
                self._check_stopped()
                endpoint.check_outage(now_s)
                self._let_in(now_s)
                if permit.is_held:
                    return
                hold_s = min(endpoint.state.hold_s(now_s), LONGEST_WAIT_S)
                permit.wait(self._lock, hold_s or None)
                now_s = self._clock()
        except BaseException:
            self._give_up(permit)
            raise
        finally:
            endpoint.waited_s += self._clock() - since_s

    def _give_up(self, permit: Permit) -> None:
        now_s = self._clock()
        if permit.is_held:
            permit.endpoint.state.take_back(permit, now_s)
            self._free(permit, now_s)
        else:
            permit.endpoint.line.remove(permit)
            self._let_in(now_s)

    def _check_stopped(self) -> None:
        if self._is_stopped:
            message = "the run was stopped"
            raise Interrupted(message)

    def _tell(self, endpoint: EndpointLimiter) -> None:
        """Outside the lock: a listener may be slow, or ask for more."""
        for on_change in tuple(self._listeners):
            on_change()
        if endpoint.state.has_events:
            with self._lock:
                events = endpoint.state.take_events()
            for event in events:
                self._on_event(event)
