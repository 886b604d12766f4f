"""
How many calls an endpoint stands, learned from what it answers.

`limiter.py` holds the threads and decides who may start; `endpoint.py` takes the least of
what the rules allow. The rules are pure, without threads, clock or chance of their own:
`concurrency.py` says how many at once, `rate.py` and `pace.py` how often and how long a
refused call waits, `breaker.py` when nobody answers at all.
"""

from parallel.limiter.endpoint import LimiterEvent
from parallel.limiter.limiter import Limiter
from parallel.limiter.permits import EndpointLimiter, Permit, Snapshot

__all__ = [
    "EndpointLimiter",
    "Limiter",
    "LimiterEvent",
    "Permit",
    "Snapshot",
]
