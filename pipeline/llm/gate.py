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
from typing import Protocol

from pipeline.errors import Unreachable
from pipeline.llm.retry_after import Quota

_LONGEST_BACKOFF_S = 60.0
_LONGEST_OUTAGE_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one HTTP attempt showed of the server.

    `kind` is "ok", "rate", "transient", "timeout", "loading" or "other"; `work` counts
    output tokens and `tokens` all that a quota of tokens counts; `group` is the stage.
    """

    kind: str
    started_s: float
    finished_s: float
    group: str = ""
    retry_after_s: float | None = None
    work: int = 0
    tokens: int = 0
    quota: Quota | None = None


class Gate(Protocol):
    """How many attempts may be under way at one endpoint, and when."""

    @property
    def name(self) -> str:
        """What tells it from the gates of other endpoints."""

    @property
    def is_out(self) -> bool:
        """Whether the endpoint is down: a fault then is not held against its call."""

    def admit(self, group: str = "", /) -> AbstractContextManager[object]:
        """Hold one place for one HTTP attempt; waits for it."""

    def note(self, observation: Observation, /) -> float:
        """Learn from an attempt; the seconds its call should wait before another."""

    def sleep(self, seconds: float, /) -> None:
        """Wait without a place; ends early, by raising, when the run is stopped."""


class OneAtATime:
    """The gate of a caller who brings none: one attempt at a time.

    Gives up, by raising Unreachable, when the server has only refused for 15 minutes.
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
        # Guards the one place; held while an attempt is under way.
        self._place = threading.Lock()
        # Guards the two below; never held while waiting.
        self._lock = threading.Lock()
        self._refused_since_s: float | None = None
        self._refusals = 0

    @property
    def is_out(self) -> bool:
        """It knows no outages."""
        return False

    @contextmanager
    def admit(self, _group: str = "", /) -> Iterator[None]:
        """Hold the place."""
        with self._place:
            yield

    def note(self, observation: Observation, /) -> float:
        """The server's own hint after a refusal, else a growing random wait."""
        with self._lock:
            if observation.kind not in ("rate", "loading"):
                self._refused_since_s, self._refusals = None, 0
                return 0.0
            self._refusals += 1
            refusals = self._refusals
            if self._refused_since_s is None:
                self._refused_since_s = observation.started_s
            refused_s = observation.finished_s - self._refused_since_s
        if refused_s > _LONGEST_OUTAGE_S:
            message = "the server refused every call for 15 minutes"
            raise Unreachable(message)
        if observation.retry_after_s is not None:
            return min(observation.retry_after_s, _LONGEST_OUTAGE_S)
        longest_s = min(_LONGEST_BACKOFF_S, 2.0 ** min(refusals, 10))
        return self._rng.uniform(0, longest_s)

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        self._nap(seconds)
