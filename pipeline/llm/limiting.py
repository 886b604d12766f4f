"""
What a call needs from whoever limits calls, and the plainest one that does.

The limiter that adapts to a server lives above this package and fits the same slot.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.errors import Unreachable
from pipeline.llm.server_words import Quota
from pipeline.settings import DEFAULT_ABSENCE_S, DEFAULT_OUTAGE_S

_LONGEST_BACKOFF_S = 60.0

Seen = Literal["ok", "rate", "absent", "down", "fault", "timeout", "loading", "other"]
"""What an attempt showed of its endpoint.

An answer; a refusal because of too many calls; nobody there (a connection refused, a name
that does not resolve, TLS that fails); a fault that is the endpoint's whoever meets it
(reset, 502, 503, 529); one that may be the call's own (500, 504, 524,
an empty or cut answer); silence for too long; a model that starts up; a final answer
that says nothing about load, such as a 400.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one HTTP attempt showed of the server; times are of `time.monotonic`.

    `call` tells calls apart, so that one that always fails is not taken for an outage.
    `tokens` is all that a quota of tokens counts, `said` why there was no answer, in a
    few words for the screen.
    """

    kind: Seen
    started_s: float
    finished_s: float
    call: str = ""
    retry_after_s: float | None = None
    tokens: int = 0
    quota: Quota | None = None
    said: str = ""


class Permit(Protocol):
    """The right to one HTTP attempt, while its context is open."""

    def note_first_piece(self, at_s: float, /) -> None:
        """The server has begun to answer."""

    def note(self, observation: Observation, /) -> float:
        """Learn from the attempt, before the permit is given back.

        The seconds that its call should wait before another.
        """


class EndpointLimit(Protocol):
    """How many attempts may be under way at one endpoint, and when."""

    @property
    def name(self) -> str:
        """What tells it from the limits of other endpoints."""

    def permit(self, stage: str, /) -> AbstractContextManager[Permit]:
        """A permit for one HTTP attempt; entering it waits until it may start."""

    def sleep(self, seconds: float, /) -> None:
        """Wait without a permit; ends early, by raising, when the run is stopped."""


class OneAtATime:
    """The limit of a caller who brings none: one attempt at a time.

    Gives up, by raising Unreachable, when the server has only refused for 15 minutes, or
    was not there for 30 s and never before.
    """

    def __init__(
        self,
        *,
        nap: Callable[[float], None] = time.sleep,  # noqa: TID251 - the default only
        rng: random.Random | None = None,
    ) -> None:
        """Wait by `nap`, in seconds; draw waits without a hint from `rng`."""
        self.name = ""
        self._nap = nap
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        # Guards the one attempt; held while it is under way.
        self._attempt = threading.Lock()
        # Guards the two below; never held while waiting.
        self._lock = threading.Lock()
        self._refused_since_s: float | None = None
        self._refusals = 0
        self._was_there = False

    @contextmanager
    def permit(self, _stage: str, /) -> Iterator[OneAtATime]:
        """Hold the one permit."""
        with self._attempt:
            yield self

    def note_first_piece(self, _at_s: float, /) -> None:
        """Nothing depends on it."""

    def note(self, observation: Observation, /) -> float:
        """The server's own hint after a refusal, else a growing random wait."""
        with self._lock:
            self._was_there = self._was_there or observation.kind != "absent"
            longest_s = DEFAULT_OUTAGE_S if self._was_there else DEFAULT_ABSENCE_S
            if observation.kind not in ("rate", "loading", "absent", "down"):
                self._refused_since_s, self._refusals = None, 0
                return 0.0
            self._refusals += 1
            refusals = self._refusals
            if self._refused_since_s is None:
                self._refused_since_s = observation.started_s
            refused_s = observation.finished_s - self._refused_since_s
        if refused_s > longest_s:
            message = f"no call was let in for {longest_s:.0f} s: {observation.said}"
            raise Unreachable(message)
        if observation.retry_after_s is not None:
            return min(observation.retry_after_s, DEFAULT_OUTAGE_S)
        widest_s = min(_LONGEST_BACKOFF_S, 2.0 ** min(refusals, 10))
        return self._rng.uniform(0, widest_s)

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        self._nap(seconds)
