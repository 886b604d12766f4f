"""
What one endpoint allows at this moment, as a state machine without threads or clock.

It takes the least of what the rules allow and the most of what they make wait, and
holds nobody: `limiter.py` does.
"""

from __future__ import annotations

import random
from collections import Counter
from math import inf

from parallel.breaker import Breaker
from parallel.limit_records import LaneLimits, LimiterEvent, Observation
from parallel.policies.cap import CapPolicy
from parallel.policies.pace import Pacer
from parallel.policies.rate import RatePolicy
from parallel.policies.throughput import ThroughputPolicy
from parallel.policies.waits import RefusalWaits

HISTORY = 512


class LaneState:
    """
    Told of every start, end and outcome; says how many may run, and from when.

    Times are seconds of one clock that never goes back.
    """

    def __init__(self, name: str, limits: LaneLimits, *, rng: random.Random) -> None:
        self.name = name
        self.limits = limits
        self.in_flight = 0
        self.peak_in_flight = 0
        self.counts: Counter[str] = Counter()  # starts, refused, cuts, pauses
        self.history: list[tuple[float, int]] = []
        self.events: list[LimiterEvent] = []  # the owner takes them away
        self._waits = RefusalWaits(longest_s=limits.max_outage_s, rng=rng)
        self._cap = CapPolicy(limits.max_in_flight)
        self._rate = RatePolicy()
        self._throughput = ThroughputPolicy(limits.max_in_flight)
        self._breaker = Breaker(max_outage_s=limits.max_outage_s)
        self._pacer = Pacer(
            requests_per_s=_per_second(limits.requests_per_minute),
            tokens_per_s=_per_second(limits.tokens_per_minute),
        )
        self._full_s = -inf  # when all places were last taken
        self._crowded_s = -inf  # when there was last more than one call
        self.limit = self._allowed()

    @property
    def is_out(self) -> bool:
        """The breaker is open: a fault seen now is the outage's, not the call's."""
        return self._breaker.is_open

    @property
    def breaker_openings(self) -> int:
        """How often the endpoint was taken for down."""
        return self._breaker.openings

    @property
    def pace_per_s(self) -> float | None:
        """The rate that refusals taught, while there is one."""
        return self._rate.pace

    def take_events(self) -> list[LimiterEvent]:
        """What it did since the last call, oldest first."""
        events, self.events = self.events, []
        return events

    def hold_s(self, now_s: float) -> float:
        """Seconds before a call may start; infinite until an answer changes that."""
        # A fault keeps its place until something is answered, so that an outage
        # that has just begun fails no more calls than were in flight.
        most = self.limit - self._breaker.failures
        if self.in_flight >= max(1, most):
            return inf
        return max(
            self._waits.hold_s(now_s),
            self._pacer.hold_s(now_s),
            self._breaker.hold_s(now_s),
        )

    def outage_s(self, now_s: float) -> float | None:
        """How long the endpoint has been out, once that is too long; else None."""
        return self._breaker.outage_s(now_s)

    def start(self, group: str, now_s: float) -> bool:
        """A call starts; True when it is the breaker's probe."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self.counts["starts"] += 1
        self._mark(now_s)
        if self._waits.is_paused:
            self._waits.end_pause()
            self._tell(now_s, "resume", "the pause is over")
        self._pacer.note_start(now_s)
        self._rate.note_start(now_s)
        self._throughput.note_start(group, now_s)
        is_probe = self._breaker.note_start(now_s)
        if is_probe:
            self._tell(now_s, "probe", "one call to see whether it is back")
        return is_probe

    def end(self, group: str, now_s: float, *, is_probe: bool = False) -> None:
        """A call ends, in whatever way; what it showed comes with `note`."""
        self._mark(now_s)
        self.in_flight -= 1
        self._throughput.note_end(group, now_s)
        if is_probe:
            self._breaker.note_probe_left(now_s)

    def note(self, seen: Observation, now_s: float) -> float:
        """Seconds that this call should wait before it tries again; 0.0 for none."""
        was_open = self._breaker.is_open
        if seen.quota is not None and self.limits.is_adaptive:
            self._pacer.note_quota(seen.quota, now_s)
        wait_s = 0.0
        if seen.kind == "ok":
            self._note_success(seen, now_s)
        elif seen.kind == "rate":
            wait_s = self._note_refused(seen, now_s)
        elif seen.kind in ("transient", "timeout", "loading"):
            self._note_fault(seen, now_s)
        elif seen.kind == "other":
            self._breaker.note_answer(started_s=seen.started_s)
        else:
            message = f"unknown kind of outcome: {seen.kind!r}"
            raise ValueError(message)
        self._note_breaker(now_s, was_open=was_open)
        self._update(now_s, seen.kind)
        return wait_s

    def _mark(self, now_s: float) -> None:
        """Remember the moment, just after a start and just before an end."""
        if self.in_flight >= self.limit:
            self._full_s = now_s
        if self.in_flight > 1:
            self._crowded_s = now_s

    def _note_success(self, seen: Observation, now_s: float) -> None:
        self._waits.note_success(started_s=seen.started_s, now_s=now_s)
        others = self._allowed_by_others()
        self._breaker.note_success(
            started_s=seen.started_s,
            now_s=now_s,
            allowed=min(others, self._throughput.limit),
        )
        self._pacer.note_tokens(getattr(seen, "tokens", 0) or seen.work)
        # Only a call that ran while all places were taken speaks for one more.
        is_full = seen.started_s <= self._full_s
        self._rate.note_success(
            full_limit=self.limit if is_full else None,
            started_s=seen.started_s,
            now_s=now_s,
        )
        if not is_full:
            return
        self._cap.note_success(self.limit)
        self._throughput.note_success(
            seen.group,
            seen.work,
            in_flight=self.in_flight,
            allowed=others,
            started_s=seen.started_s,
            now_s=now_s,
        )

    def _note_refused(self, seen: Observation, now_s: float) -> float:
        self.counts["refused"] += 1
        self._breaker.note_refused(started_s=seen.started_s, now_s=now_s)
        self._throughput.note_trouble()
        wait_s = self._waits.note_refused(
            seen.retry_after_s, started_s=seen.started_s, now_s=now_s
        )
        is_alone = self._crowded_s < seen.started_s
        is_rate = self.limits.is_adaptive and self._rate.note_refused(
            is_alone=is_alone,
            limit=self.limit,
            started_s=seen.started_s,
            now_s=now_s,
        )
        if not is_rate:
            self._cap.note_refused(self.limit)
        if is_alone:
            self._pause(wait_s, is_paced=is_rate, now_s=now_s)
        return wait_s

    def _pause(self, wait_s: float, *, is_paced: bool, now_s: float) -> None:
        pause_s = self._waits.pause_all(wait_s, is_paced=is_paced, now_s=now_s)
        if pause_s > 0.0:
            self.counts["pauses"] += 1
            self._tell(now_s, "pause", f"refused; {pause_s:.1f} s")

    def _note_fault(self, seen: Observation, now_s: float) -> None:
        self._breaker.note_fault(
            started_s=seen.started_s, now_s=now_s, is_certain=seen.kind == "loading"
        )
        self._throughput.note_trouble()
        if seen.kind == "timeout":
            self._cap.note_timeout(self.limit, started_s=seen.started_s, now_s=now_s)
        else:
            self._cap.note_trouble()

    def _note_breaker(self, now_s: float, *, was_open: bool) -> None:
        is_open = self._breaker.is_open
        if is_open and not was_open:
            self._tell(now_s, "breaker open", "the endpoint does not answer")
        elif was_open and not is_open:
            self._breaker.start_ramp(self.limit)
            self._tell(now_s, "breaker closed", "the endpoint answers again")

    def _allowed_by_others(self) -> int:
        """What all rules but throughput allow."""
        ramp = self._breaker.limit
        most = min(self._cap.limit, self.limits.max_in_flight)
        return most if ramp is None else min(most, ramp)

    def _allowed(self) -> int:
        if not self.limits.is_adaptive:
            return self.limits.max_in_flight
        return max(1, min(self._allowed_by_others(), self._throughput.limit))

    def _update(self, now_s: float, reason: str) -> None:
        if self.limits.is_adaptive and self._rate.pace != self._pacer.learned_per_s:
            self._pacer.learned_per_s = self._rate.pace
            pace = self._rate.pace
            told = "no pace any more" if pace is None else f"{pace:.2f} a second"
            self._tell(now_s, "pace", told)
        before, self.limit = self.limit, self._allowed()
        if self.limit < before:
            self.counts["cuts"] += 1
        if self.limit != before:
            self._remember(now_s)
            self._tell(now_s, "cut" if self.limit < before else "grow", reason)

    def _remember(self, now_s: float) -> None:
        self.history.append((now_s, self.limit))
        if len(self.history) > HISTORY:
            # Coarser, but still from the first second to the last.
            del self.history[1:-1:2]

    def _tell(self, now_s: float, kind: str, reason: str) -> None:
        self.events.append(LimiterEvent(now_s, self.name, kind, self.limit, reason))


def _per_second(per_minute: float | None) -> float | None:
    return None if per_minute is None else per_minute / 60.0
