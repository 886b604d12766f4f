"""
Which of the ready tasks may start next, under limits on all, on a group and on a lane.

It starts nothing, waits for nothing and has no lock: one thread asks it.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


def no_more(_result: object) -> Iterable["Task"]:
    """Nothing follows this task."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work, where it stands in the order, and what follows it."""

    key: Hashable  # unique in a run; results are joined by it
    rank: tuple[int, ...]  # the smallest starts first; ties in order of insertion
    group: str  # what `group_limits` counts
    run: Callable[[], object]  # called once, on a worker thread
    then: Callable[[Any], Iterable["Task"]] = no_more  # on the scheduler's own thread
    lane: str = ""  # what `room` is asked about, an endpoint


class Place(NamedTuple):
    """A task's place in the order; numbers differ, so that tasks never compare."""

    rank: tuple[int, ...]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many tasks may be outstanding: started, or handed to a thread."""

    max_in_flight: int
    max_threads: int  # bounds those that only sleep
    groups: Mapping[str, int]
    room: Callable[[str], int] | None  # lane -> how many; None: no bound of its own
    extra_room: Callable[[], int] | None  # how many sleep, beyond `max_in_flight`

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever start."""
        limits = {"max_in_flight": self.max_in_flight, "max_threads": self.max_threads}
        limits |= {f"limit of {group!r}": n for group, n in self.groups.items()}
        for name, limit in limits.items():
            if limit < 1:
                message = f"{name} must be at least 1, got {limit}"
                raise ValueError(message)


class Window:
    """Ready tasks in order, and a count of the outstanding ones."""

    def __init__(self, limits: Limits) -> None:
        """Start empty."""
        self._limits = limits
        # A lane full of sleepers must leave threads to the others.
        places = limits.max_in_flight
        self._max_of_lane = max(places, limits.max_threads - places)
        # One heap for each (group, lane), so that a full one is passed by in one step.
        self._ready: dict[tuple[str, str], list[tuple[Place, Task]]] = {}
        self._of_group: Counter[str] = Counter()
        self._of_lane: Counter[str] = Counter()
        self.outstanding = 0
        self.waiting = 0

    def add(self, place: Place, task: Task) -> None:
        """Make a task ready."""
        heap = self._ready.setdefault((task.group, task.lane), [])
        heapq.heappush(heap, (place, task))
        self.waiting += 1

    def take(self) -> Task | None:
        """The first in the order whose group and lane have room, now outstanding."""
        if not self.waiting or not self._has_room():
            return None
        best: list[tuple[Place, Task]] = []
        for (group, lane), heap in self._ready.items():
            is_earlier = heap and (not best or heap[0] < best[0])
            if is_earlier and self._has_room_for(group, lane):
                best = heap
        if not best:
            return None
        task = heapq.heappop(best)[1]
        self.waiting -= 1
        self._count(task, 1)
        return task

    def release(self, task: Task) -> None:
        """Give an outstanding task's place back."""
        self._count(task, -1)

    def _count(self, task: Task, change: int) -> None:
        self.outstanding += change
        self._of_group[task.group] += change
        self._of_lane[task.lane] += change

    def _has_room(self) -> bool:
        extra = self._limits.extra_room() if self._limits.extra_room else 0
        room = min(self._limits.max_in_flight + extra, self._limits.max_threads)
        return self.outstanding < room

    def _has_room_for(self, group: str, lane: str) -> bool:
        limit = self._limits.groups.get(group)
        if limit is not None and self._of_group[group] >= limit:
            return False
        if self._limits.room is None:
            return True
        return self._of_lane[lane] < min(self._limits.room(lane), self._max_of_lane)
