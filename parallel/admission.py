"""
Who may start next: places of the run, of a group and of a lane, first come first served.

It has no lock and waits for nothing: `turnstile.py` holds its lock around every call.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from itertools import count
from math import inf

from parallel.lane_state import LaneState

# A call that has come back keeps its place so long, for its outcome to be noted:
# given away before, the place of a refused call would be refused again.
VERDICT_S = 0.05


class Ticket:
    """One call: it waits, is in, or has left."""

    __slots__ = (
        "condition",
        "group",
        "is_in",
        "is_noted",
        "is_probe",
        "number",
        "queue",
        "started_s",
        "thread",
    )

    def __init__(self, queue: LaneQueue, group: str) -> None:
        """Ask for nothing yet."""
        self.queue = queue
        self.group = group
        self.condition: threading.Condition | None = None  # only of one that waits
        self.is_in = False
        self.is_noted = False
        self.is_probe = False
        self.number = 0
        self.started_s = 0.0
        self.thread = 0

    def wake(self) -> None:
        """Let it look whether it is in, or must watch the time."""
        if self.condition is not None:
            self.condition.notify()


class LaneQueue:
    """One lane's rules, and the calls that wait or sleep on its account."""

    def __init__(self, state: LaneState) -> None:
        """Nobody waits yet."""
        self.state = state
        self.waiting: deque[Ticket] = deque()
        self.inside: dict[int, Ticket] = {}  # by thread
        self.sleeping = 0
        self.waits = 0
        self.waited_s = 0.0
        # One waiter watches the time for all of its lane, up to this moment.
        self.keeper: Ticket | None = None
        self.wake_s = inf
        self._unjudged: dict[int, float] = {}  # thread -> until when it keeps a place

    def hold_s(self, now_s: float) -> float:
        """Seconds until this lane lets a call in; infinite until something changes."""
        held_s = self.state.hold_s(now_s)
        free = self.state.limit - self.state.in_flight
        if free > len(self._unjudged):
            return held_s
        if free <= 0:
            return inf
        kept_s = sorted(self._unjudged.values())[len(self._unjudged) - free]
        return max(held_s, kept_s - now_s)

    def keep_place(self, thread: int, now_s: float) -> None:
        """The thread's call came back; its outcome is not noted yet."""
        self._unjudged[thread] = now_s + VERDICT_S

    def free_place(self, thread: int) -> None:
        """The thread's last outcome is noted, or will never be."""
        self._unjudged.pop(thread, None)


class Admission:
    """Counts of the whole run, and the queue of each lane."""

    def __init__(self, max_in_flight: int, group_limits: Mapping[str, int]) -> None:
        """All places are free."""
        self.max_in_flight = max_in_flight
        self.is_closed = False
        self.in_flight = 0
        self.peak_in_flight = 0
        self.queues: dict[str, LaneQueue] = {}
        self._group_limits = dict(group_limits)
        self._of_group: Counter[str] = Counter()
        self._numbers = count()

    def ask(self, ticket: Ticket, now_s: float) -> bool:
        """True when the call is in at once."""
        queue = ticket.queue
        if queue.waiting or not self._has_place(ticket.group):
            return False
        if queue.hold_s(now_s) > 0.0:
            return False
        self._start(ticket, now_s)
        return True

    def wait(self, ticket: Ticket, now_s: float) -> None:
        """The call stands in line; it may be in when this returns."""
        ticket.number = next(self._numbers)
        ticket.queue.waiting.append(ticket)
        self.let_in(now_s)

    def leave(self, ticket: Ticket, now_s: float) -> None:
        """The call goes away, whether it is in or still stands in line."""
        if ticket.is_in:
            ticket.is_in = False
            self.in_flight -= 1
            self._of_group[ticket.group] -= 1
            state = ticket.queue.state
            state.end(ticket.group, now_s, is_probe=ticket.is_probe)
        else:
            ticket.queue.waiting.remove(ticket)
        self.let_in(now_s)

    def let_in(self, now_s: float) -> None:
        """Let in all that may start; wake them, and those who must watch the time."""
        while (ticket := self._next(now_s)) is not None:
            ticket.queue.waiting.remove(ticket)
            self._start(ticket, now_s)
            ticket.wake()
        for queue in self._with_waiters():
            self._set_keeper(queue, now_s)

    def wake_all(self) -> None:
        """Let every waiter look for itself."""
        for queue in self.queues.values():
            for ticket in queue.waiting:
                ticket.wake()

    def sleeping(self, now_s: float) -> int:
        """Calls that take no place from other lanes: they sleep or wait for their own."""
        held = (q for q in self._with_waiters() if q.hold_s(now_s) > 0.0)
        return sum(queue.sleeping for queue in self.queues.values()) + sum(
            len(queue.waiting) for queue in held
        )

    def _start(self, ticket: Ticket, now_s: float) -> None:
        ticket.is_in = True
        ticket.started_s = now_s
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self._of_group[ticket.group] += 1
        ticket.is_probe = ticket.queue.state.start(ticket.group, now_s)

    def _next(self, now_s: float) -> Ticket | None:
        """The first in line that nothing holds."""
        if self.is_closed or self.in_flight >= self.max_in_flight:
            return None
        firsts = (self._first(queue, now_s) for queue in self._with_waiters())
        in_line = (ticket for ticket in firsts if ticket is not None)
        return min(in_line, key=lambda ticket: ticket.number, default=None)

    def _first(self, queue: LaneQueue, now_s: float) -> Ticket | None:
        if queue.hold_s(now_s) > 0.0 or queue.state.outage_s(now_s) is not None:
            return None
        in_line = (one for one in queue.waiting if self._has_place(one.group))
        return next(in_line, None)

    def _has_place(self, group: str) -> bool:
        if self.is_closed or self.in_flight >= self.max_in_flight:
            return False
        limit = self._group_limits.get(group)
        return limit is None or self._of_group[group] < limit

    def _with_waiters(self) -> Iterator[LaneQueue]:
        return (queue for queue in self.queues.values() if queue.waiting)

    def _set_keeper(self, queue: LaneQueue, now_s: float) -> None:
        if queue.state.outage_s(now_s) is not None:
            for ticket in queue.waiting:
                ticket.wake()
            return
        hold_s = queue.hold_s(now_s)
        wake_s = now_s + hold_s if hold_s > 0.0 else inf
        first = queue.waiting[0]
        is_news = queue.keeper is not first or wake_s < queue.wake_s
        queue.keeper, queue.wake_s = first, wake_s
        if wake_s < inf and is_news:
            first.wake()
