"""
What is stated and told to the limiter, what it tells back, and its two errors: plain data.

Nothing here decides; the rules are in `policies/`, the threads in `limiter.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class LimiterStopped(Exception):
    """The run was stopped while this call waited, or before it asked."""


class OutageTooLong(Exception):
    """A lane answered nothing useful for longer than the longest outage allowed."""

    def __init__(self, lane: str, seconds: float) -> None:
        super().__init__(f"{lane} has not answered for {seconds:.0f} s; giving up")
        self.lane = lane
        self.seconds = seconds

    def __reduce__(self) -> tuple[type[OutageTooLong], tuple[str, float]]:
        return OutageTooLong, (self.lane, self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """What the user states about one endpoint; None where nothing is stated."""

    max_in_flight: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    is_adaptive: bool = True
    max_outage_s: float = 900.0

    def __post_init__(self) -> None:
        """Refuse what would let no call start."""
        if self.max_in_flight < 1:
            message = f"max_in_flight must be at least 1, got {self.max_in_flight}"
            raise ValueError(message)
        rates = (self.requests_per_minute, self.tokens_per_minute)
        if any(rate is not None and rate <= 0 for rate in rates):
            message = f"rates per minute must be above 0, got {rates}"
            raise ValueError(message)


class Quota(Protocol):
    """What the rate-limit headers of one answer said; None, 0 and -1 say nothing."""

    @property
    def limit_requests(self) -> float | None: ...
    @property
    def remaining_requests(self) -> float | None: ...
    @property
    def reset_requests_s(self) -> float | None: ...
    @property
    def limit_tokens(self) -> float | None: ...
    @property
    def remaining_tokens(self) -> float | None: ...
    @property
    def reset_tokens_s(self) -> float | None: ...


class Observation(Protocol):
    """
    What one HTTP attempt showed. Times are seconds of the limiter's own clock.

    `kind` is "ok", "rate" (refused: too many), "transient" (5xx, connection),
    "timeout", "loading" (the server starts its model) or "other" (a final answer
    that says nothing about load, such as a 400). An observation may carry `tokens`,
    all that a token quota counts; without it `work` stands in.
    """

    @property
    def kind(self) -> str: ...
    @property
    def started_s(self) -> float: ...
    @property
    def finished_s(self) -> float: ...
    @property
    def retry_after_s(self) -> float | None: ...
    @property
    def work(self) -> int:
        """Output tokens of the answer; 0 where the server does not say."""

    @property
    def group(self) -> str: ...
    @property
    def quota(self) -> Quota | None: ...


@dataclass(frozen=True, slots=True)
class LimiterEvent:
    """One thing that a lane did, and its limit afterwards."""

    at_s: float
    lane: str
    kind: str
    limit: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSnapshot:
    """One lane at one moment; `history` pairs seconds of the clock with the limit."""

    name: str
    limit: int
    in_flight: int
    peak_in_flight: int
    sleeping: int
    waiting: int
    starts: int
    refused: int
    cuts: int
    pauses: int
    breaker_openings: int
    waits: int
    waited_s: float
    pace_per_s: float | None
    history: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterSnapshot:
    """The whole run at one moment, lanes by name in the order of their creation."""

    max_in_flight: int
    in_flight: int
    peak_in_flight: int
    sleeping: int
    lanes: dict[str, LaneSnapshot]
