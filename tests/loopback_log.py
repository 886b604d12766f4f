"""
The simulated server's record of what it was asked and when it answered.

Times are seconds of the machine's monotonic clock, the same in every process.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """
    One chat request that has ended, in order of its end.

    A client that left before its answer, and a reply dropped without a byte, have
    status 0. `service_s` is the time drawn for the item, 0 where it was refused at
    once. `in_flight` counts the requests in work or waiting at arrival, this one too.
    """

    stage: str
    item: str
    arrived_s: float
    started_s: float  # later than arrived_s where it waited for a place
    finished_s: float
    status: int
    fault: str  # "ok"; "cap", "refused", "invalid", "abandoned", or a Fault
    attempt: int  # of this item, from 1; 0 where refused before it counted
    in_flight: int
    service_s: float
    model: str
    name: str  # the coined name that the answer to this item carries
    body_digest: str
    prompt_tokens: int
    completion_tokens: int
    streamed: bool = False
    first_piece_s: float | None = None  # when the first text or thought was written
    body: Mapping[str, Any] | None = None  # only with keep_bodies

    @property
    def is_good(self) -> bool:
        """Answered as asked."""
        return self.status == 200 and self.fault in {
            "ok",
            "trickle",
            "gap",
            "no_finish",
        }


@dataclass(frozen=True, slots=True)
class State:
    """How many chat requests have arrived, have ended, are between the two."""

    hits: int
    finished: int
    in_flight: int


class Tally:
    """What has arrived and ended on one server; used by its thread alone."""

    def __init__(self) -> None:
        self.hits = 0
        self.in_flight = 0  # admitted, not ended
        self.log: list[Served] = []
        self._waiting: list[tuple[str, int, Callable[[State], None]]] = []

    def note_arrival(self) -> None:
        self.hits += 1
        self._tell()

    def note_admission(self) -> None:
        self.in_flight += 1
        self._tell()

    def note_end(self, served: Served, *, was_admitted: bool) -> None:
        self.in_flight -= was_admitted
        self.log.append(served)
        self._tell()

    def when(self, name: str, least: int, on_reached: Callable[[State], None]) -> None:
        """Calls back once, when the number of that name is at least so high."""
        self._waiting.append((name, least, on_reached))
        self._tell()

    def _tell(self) -> None:
        if not self._waiting:
            return
        state = State(self.hits, len(self.log), self.in_flight)
        due = [one for one in self._waiting if getattr(state, one[0]) >= one[1]]
        self._waiting = [one for one in self._waiting if one not in due]
        for _, _, on_reached in due:
            on_reached(state)


_FIELDS = tuple(field.name for field in fields(Served))


def dump_log(log: Iterable[Served]) -> bytes:
    """The log as JSON."""
    rows = [[getattr(served, name) for name in _FIELDS] for served in log]
    return json.dumps(rows).encode()


def load_log(data: bytes) -> list[Served]:
    """The log out of its JSON."""
    return [Served(**dict(zip(_FIELDS, row, strict=True))) for row in json.loads(data)]
