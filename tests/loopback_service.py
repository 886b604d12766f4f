"""
How long the simulated server takes over a request.

A time is drawn from the server's seed and the work item alone, so that every order
of arrival gives the same times. Nothing here sleeps or reads a clock.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from typing import Protocol

_NORMAL = NormalDist()


class Service(Protocol):
    """Turns a number in (0, 1) into seconds."""

    def time_s(self, chance: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same time for every request."""

    seconds: float = 0.0

    def time_s(self, chance: float) -> float:  # noqa: ARG002  (one shape for all)
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any time between two bounds, each as likely."""

    low_s: float
    high_s: float

    def time_s(self, chance: float) -> float:
        return self.low_s + (self.high_s - self.low_s) * chance


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Mostly near the median, with a long tail, as output lengths have."""

    median_s: float
    sigma: float = 0.5

    def time_s(self, chance: float) -> float:
        return self.median_s * math.exp(self.sigma * _NORMAL.inv_cdf(chance))


def chance_of(*parts: object) -> float:
    """A number strictly between 0 and 1 that depends on the parts alone."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogatepass")
    number = int.from_bytes(blake2b(text, digest_size=6).digest(), "big")
    return (number + 0.5) / 2**48


def service_for(service: Service | Mapping[str, Service], stage: str) -> Service:
    """The stage's own service; of a mapping without it, "default", else no time."""
    if isinstance(service, Mapping):
        return service.get(stage) or service.get("default") or Fixed()
    return service
