"""
What the simulated server can stand: calls in flight, a rate, places to work in.

Caps refuse with 429 at once; places make a request wait, without bound. Time is
handed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InFlightCap:
    """Refuses the request that would be one too many in flight."""

    limit: int
    retry_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCap:
    """Refuses when a token bucket is empty; refused requests take no token."""

    per_s: float
    burst: int = 1
    retry_after: str | None = None
    sends_headers: bool = False  # x-ratelimit-*-requests, as OpenAI does


@dataclass(frozen=True, slots=True)
class Slots:
    """Works on so many at once and lets the others wait, first come first served."""

    count: int


Cap = InFlightCap | RateCap | Slots


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 429 by a cap."""

    retry_after: str | None


class CapBook:
    """The state of one server's caps; used by its thread alone."""

    def __init__(self, caps: Sequence[Cap]) -> None:
        self._in_flight = [cap for cap in caps if isinstance(cap, InFlightCap)]
        self._buckets = [_Bucket(cap) for cap in caps if isinstance(cap, RateCap)]
        slots = [cap.count for cap in caps if isinstance(cap, Slots)]
        self.slots: int | None = min(slots, default=None)

    def refuse(self, now_s: float, *, in_flight: int) -> Refusal | None:
        """Why a request that arrives beside `in_flight` others is refused, if it is."""
        for cap in self._in_flight:
            if in_flight >= cap.limit:
                return Refusal(cap.retry_after)
        for bucket in self._buckets:
            if bucket.level(now_s) < 1.0:
                return Refusal(bucket.cap.retry_after)
        for bucket in self._buckets:
            bucket.take()
        return None

    def headers(self, now_s: float) -> Mapping[str, str]:
        """The rate-limit headers, where a cap sends them."""
        for bucket in self._buckets:
            if bucket.cap.sends_headers:
                return bucket.headers(now_s)
        return {}


class _Bucket:
    def __init__(self, cap: RateCap) -> None:
        self.cap = cap
        self._level = float(cap.burst)
        self._seen_s: float | None = None

    def level(self, now_s: float) -> float:
        if self._seen_s is not None:
            gained = (now_s - self._seen_s) * self.cap.per_s
            self._level = min(float(self.cap.burst), self._level + gained)
        self._seen_s = now_s
        return self._level

    def take(self) -> None:
        self._level -= 1.0

    def headers(self, now_s: float) -> Mapping[str, str]:
        level = self.level(now_s)
        reset_s = (self.cap.burst - level) / self.cap.per_s
        return {
            "x-ratelimit-limit-requests": str(self.cap.burst),
            "x-ratelimit-remaining-requests": str(int(level)),
            "x-ratelimit-reset-requests": f"{reset_s:.3f}s",
        }
