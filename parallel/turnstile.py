"""
Threads that wait to be let in by `admission.py`, and threads that sleep.

It decides nothing. Callbacks run after the lock is released.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf

from parallel.admission import Admission, LaneQueue, Ticket
from parallel.limit_records import (
    LimiterEvent,
    LimiterStopped,
    Observation,
    OutageTooLong,
)

LONGEST_WAIT_S = 3600.0  # of one wait on a condition; longer ones take several


class Turnstile:
    """Lets calls in one by one; every wait ends when it is stopped."""

    def __init__(self, admission: Admission, *, clock: Callable[[], float]) -> None:
        """Start open."""
        self.on_change: Callable[[], None] | None = None
        self.on_event: Callable[[LimiterEvent], None] | None = None
        self.clock = clock
        # Guards the admission, its queues and the state of every lane. Each waiter's
        # condition shares it, so that a place wakes only the call that it is for.
        self.lock = threading.Lock()
        self.admission = admission
        self._stopping = threading.Condition(self.lock)
        self._climbs_to = admission.max_in_flight

    def enter(self, ticket: Ticket) -> None:
        """Return when the call is in."""
        queue = ticket.queue
        ticket.thread = threading.get_ident()
        with self.lock:
            self._check(queue)
            queue.free_place(ticket.thread)
            now_s = self.clock()
            if not self.admission.ask(ticket, now_s):
                ticket.condition = threading.Condition(self.lock)
                self.admission.wait(ticket, now_s)
                queue.waits += 1
            queue.inside[ticket.thread] = ticket
        if ticket.condition is not None:
            self._wait(ticket)
        self._report(queue)

    def leave(self, ticket: Ticket) -> None:
        """The call is back; its place is given away once its outcome is noted."""
        with self.lock:
            now_s = self.clock()
            ticket.queue.inside.pop(ticket.thread, None)
            if not ticket.is_noted:
                ticket.queue.keep_place(ticket.thread, now_s)
            self.admission.leave(ticket, now_s)

    def note(self, queue: LaneQueue, seen: Observation) -> float:
        """Seconds that the call should wait before it tries again."""
        thread = threading.get_ident()
        with self.lock:
            limits = queue.state.limit, self.admission.max_in_flight
            now_s = self.clock()
            wait_s = queue.state.note(seen, now_s)
            ticket = queue.inside.get(thread)
            if ticket is not None:
                ticket.is_noted = True
            queue.free_place(thread)
            if seen.kind == "ok" and self.admission.max_in_flight < self._climbs_to:
                self.admission.max_in_flight += 1
            self.admission.let_in(now_s)
            is_held = bool(queue.waiting) and seen.kind != "ok"
            has_more = (queue.state.limit, self.admission.max_in_flight) > limits
        if has_more or is_held:
            self._change()
        self._report(queue)
        return wait_s

    def sleep(self, queue: LaneQueue, seconds: float) -> None:
        """Wait without a place."""
        with self.lock:
            self._check_stopped()
            queue.free_place(threading.get_ident())
            self.admission.let_in(self.clock())
            queue.sleeping += 1
            queue.waits += 1
            queue.waited_s += seconds
        until_s = self.clock() + seconds
        try:
            self._change()
            with self.lock:
                while (left_s := until_s - self.clock()) > 0.0:
                    self._check_stopped()
                    self._stopping.wait(min(left_s, LONGEST_WAIT_S))
                self._check_stopped()
        finally:
            with self.lock:
                queue.sleeping -= 1

    def stop(self) -> None:
        """End every wait with LimiterStopped, and refuse all that come later."""
        with self.lock:
            self.admission.is_closed = True
            self.admission.wake_all()
            self._stopping.notify_all()

    def shrink_to(self, max_in_flight: int) -> None:
        """At once; those under way are not touched."""
        with self.lock:
            self._climbs_to = max_in_flight
            now_most = self.admission.max_in_flight
            self.admission.max_in_flight = min(now_most, max_in_flight)

    def climb_to(self, max_in_flight: int) -> None:
        """One place more for each answer."""
        with self.lock:
            self._climbs_to = max_in_flight

    def _wait(self, ticket: Ticket) -> None:
        since_s = self.clock()
        try:
            self._change()
            with self.lock:
                self._wait_locked(ticket)
                ticket.queue.waited_s += self.clock() - since_s
        except BaseException:
            with self.lock:
                ticket.queue.inside.pop(ticket.thread, None)
                self.admission.leave(ticket, self.clock())
            raise

    def _wait_locked(self, ticket: Ticket) -> None:
        while not ticket.is_in and ticket.condition is not None:
            self._check(ticket.queue)
            ticket.condition.wait(self._watch_s(ticket))
            if not ticket.is_in:
                self.admission.let_in(self.clock())

    def _watch_s(self, ticket: Ticket) -> float | None:
        """How long to wait at most; None for all but the keeper of a held lane."""
        queue = ticket.queue
        if queue.keeper is not ticket or queue.wake_s == inf:
            return None
        return max(0.0, min(queue.wake_s - self.clock(), LONGEST_WAIT_S))

    def _check(self, queue: LaneQueue) -> None:
        self._check_stopped()
        outage_s = queue.state.outage_s(self.clock())
        if outage_s is not None:
            raise OutageTooLong(queue.state.name, outage_s)

    def _check_stopped(self) -> None:
        if self.admission.is_closed:
            message = "the run was stopped"
            raise LimiterStopped(message)

    def _change(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _report(self, queue: LaneQueue) -> None:
        if not queue.state.events:
            return
        with self.lock:
            events = queue.state.take_events()
        if self.on_event is not None:
            for event in events:
                self.on_event(event)
