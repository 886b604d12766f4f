"""
What one endpoint allows at this moment, as a state machine without threads or clock.

It takes the least of what the rules allow and the most of what they make wait, and
holds nobody: `limiter.py` does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from parallel.limiter.breaker import Breaker
from parallel.limiter.concurrency import CapRule, FirstPieceRule
from parallel.limiter.pace import Pacer, RefusalWaits
from parallel.limiter.rate import RateRule
from pipeline.llm.limiting import Observation

HISTORY = 512


@dataclass(frozen=True, slots=True)
class LimiterEvent:
    """One thing that an endpoint's limiter did, and its limit afterwards."""

    at_s: float
    endpoint: str
    kind: str
    limit: int
    reason: str


class EndpointState:
    """
    Told of every start, first piece, outcome and end; says how many may run, and when.

    Times are seconds of one clock that never goes back; a `call` is any hashable that
    tells the calls in flight apart. The outcome is noted before the end.
    """

    def __init__(  # noqa: PLR0913 - every limit of one endpoint
        self,
        name: str,
        *,
        max_in_flight: int,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        timeout_s: float | None = None,
        max_outage_s: float = 900.0,
        max_absence_s: float | None = None,
        calls_left: Callable[[], float] = lambda: 0.0,
        rng: random.Random,
    ) -> None:
        """Limits that the user states; None where nothing is. Refuses what lets none in.

        `timeout_s` is the longest silence of a call.
        """
        if max_in_flight < 1:
            message = f"max_in_flight must be at least 1, got {max_in_flight}"
            raise ValueError(message)
        self.name = name
        self.max_in_flight = max_in_flight
        self.in_flight = 0
        self.peak_in_flight = 0
        self.counts: Counter[str] = Counter()  # refused, cuts, pauses
        self.history: list[tuple[float, int]] = []
        self.said = ""  # the last words of a server that did not answer
        self._events: list[LimiterEvent] = []
        self._probe: object = None
        self._waits = RefusalWaits(longest_s=max_outage_s, rng=rng)
        self._cap = CapRule(max_in_flight)
        self._rate = RateRule()
        self._first_piece = FirstPieceRule(timeout_s)
        self._breaker = Breaker(max_outage_s=max_outage_s, max_absence_s=max_absence_s)
        self._pacer = Pacer(
            requests_per_s=_per_second(requests_per_minute),
            tokens_per_s=_per_second(tokens_per_minute),
            calls_left=calls_left,
        )
        self._full_s = -inf  # when all permits were last taken
        self._crowded_s = -inf  # when there was last more than one call
        self.limit = self._allowed()

    @property
    def breaker_openings(self) -> int:
        """How often the endpoint was taken for down."""
        return self._breaker.openings

    @property
    def pace_per_s(self) -> float | None:
        """The rate that refusals taught, while there is one."""
        return self._rate.pace

    @property
    def has_events(self) -> bool:
        """There is something to take; may be asked without a lock."""
        return bool(self._events)

    def take_events(self) -> list[LimiterEvent]:
        """What it did since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def hold_s(self, now_s: float) -> float:
        """Seconds before a call may start; infinite until an answer changes that."""
        # A fault keeps its permit until something is answered, so that an outage
        # that has just begun fails no more calls than were in flight.
        most = self.limit - self._breaker.failures
        if self.in_flight >= max(1, most):
            return inf
        return max(
            self._waits.hold_s(now_s),
            self._pacer.hold_s(now_s),
            self._breaker.hold_s(now_s),
        )

    def held_by(self, now_s: float) -> str:
        """What makes calls wait, for the screen; empty when nothing but their number."""
        if self._breaker.is_open:
            tries = self._breaker.failures
            tried = f", try {tries}" if tries else ""
            said = self.said.rstrip(".") or "no reason given"
            return f"does not answer: {said}{tried}"
        wait_s = self._waits.hold_s(now_s)
        return f"refuses for {wait_s:.0f} s: {self.said}" if wait_s >= 1.0 else ""

    def outage_s(self, now_s: float) -> float | None:
        """How long the endpoint has been out, once that is too long; else None."""
        return self._breaker.outage_s(now_s)

    def start(self, call: object, now_s: float) -> None:
        """A call starts; while the breaker is open it is the probe."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self._mark(now_s)
        if self._waits.is_paused:
            self._waits.end_pause()
            self._tell(now_s, "resume", "the pause is over")
        self._pacer.note_start(now_s)
        self._rate.note_start(now_s)
        self._first_piece.note_start(call, now_s)
        if self._breaker.note_start(now_s):
            self._probe = call
            self._tell(now_s, "probe", "one call to see whether it is back")

    def take_back(self, call: object, now_s: float) -> None:
        """A call that was started last has ended without being sent."""
        self._pacer.take_back_start(now_s)
        self._rate.take_back_start()
        self.end(call, now_s)

    def end(self, call: object, now_s: float) -> None:
        """A call ends, in whatever way."""
        self._mark(now_s)
        self.in_flight -= 1
        self._first_piece.note_end(call, in_flight=self.in_flight, now_s=now_s)
        self._update(now_s, "waits in the server's queue")
        if call is self._probe:
            self._probe = None
            self._breaker.note_probe_left(now_s)

    def note_first_piece(self, call: object, *, started_s: float, now_s: float) -> None:
        """The server begins to answer a call."""
        was_open = self._breaker.is_open
        self._breaker.note_answer(started_s=started_s)
        self._note_breaker(now_s, was_open=was_open)
        self._first_piece.note_first_piece(call, in_flight=self.in_flight, now_s=now_s)
        self._update(now_s, "waits in the server's queue")

    def note(self, seen: Observation, now_s: float) -> float:
        """Seconds that this call should wait before it tries again; 0.0 for none."""
        self._mark(now_s)
        was_open = self._breaker.is_open
        if seen.quota is not None:
            self._pacer.note_quota(seen.quota, now_s)
        wait_s = 0.0
        if seen.kind == "ok":
            self._note_success(seen, now_s)
        elif seen.kind == "rate":
            self.said = seen.said
            wait_s = self._note_refused(seen, now_s)
        elif seen.kind in ("absent", "down", "fault", "timeout", "loading"):
            self.said = seen.said
            self._note_fault(seen, now_s)
        else:
            self._breaker.note_answer(started_s=seen.started_s)
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
        self._breaker.note_success(
            started_s=seen.started_s, now_s=now_s, allowed=self._allowed_by_rules()
        )
        self._pacer.note_tokens(seen.tokens)
        # Only a call that ran while all permits were taken speaks for one more.
        is_full = seen.started_s <= self._full_s
        self._rate.note_success(
            full_limit=self.limit if is_full else None,
            started_s=seen.started_s,
            now_s=now_s,
        )
        if is_full:
            self._cap.note_success(self.limit)

    def _note_refused(self, seen: Observation, now_s: float) -> float:
        self.counts["refused"] += 1
        self._breaker.note_refused(started_s=seen.started_s, now_s=now_s)
        wait_s = self._waits.note_refused(
            seen.retry_after_s, started_s=seen.started_s, now_s=now_s
        )
        is_alone = self._crowded_s < seen.started_s
        is_rate = self._rate.note_refused(
            is_alone=is_alone,
            in_flight=self.in_flight,
            started_s=seen.started_s,
            now_s=now_s,
        )
        if not is_rate:
            self._cap.note_refused(self.in_flight)
        if is_alone:
            pause_s = self._waits.pause_all(wait_s, is_paced=is_rate, now_s=now_s)
            if pause_s > 0.0:
                self.counts["pauses"] += 1
                self._tell(now_s, "pause", f"refused; {pause_s:.1f} s")
        return wait_s

    def _note_fault(self, seen: Observation, now_s: float) -> None:
        is_queued = seen.kind == "timeout" and self._first_piece.explains_timeout(
            seen.started_s, in_flight=self.in_flight, now_s=now_s
        )
        if is_queued:  # others are answered: no outage, and the limit is cut already
            return
        self._breaker.note_fault(
            seen.kind, seen.call, started_s=seen.started_s, now_s=now_s
        )
        if seen.kind == "timeout":
            self._cap.note_timeout(
                self.in_flight, started_s=seen.started_s, now_s=now_s
            )
        else:
            self._cap.note_trouble()

    def _note_breaker(self, now_s: float, *, was_open: bool) -> None:
        is_open = self._breaker.is_open
        if is_open and not was_open:
            self._tell(now_s, "breaker open", self.said or "nothing is answered")
        elif was_open and not is_open:
            self._breaker.start_ramp(self.limit)
            self._tell(now_s, "breaker closed", "the endpoint answers again")

    def _allowed_by_rules(self) -> int:
        """What all rules but the breaker allow."""
        queued = self._first_piece.limit
        most = min(self._cap.limit, self.max_in_flight)
        return max(1, most if queued is None else min(most, queued))

    def _allowed(self) -> int:
        ramp, most = self._breaker.limit, self._allowed_by_rules()
        return most if ramp is None else max(1, min(most, ramp))

    def _update(self, now_s: float, reason: str) -> None:
        if self._rate.pace != self._pacer.learned_per_s:
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
        self._events.append(LimiterEvent(now_s, self.name, kind, self.limit, reason))


def _per_second(per_minute: float | None) -> float | None:
    if per_minute is not None and per_minute <= 0:
        message = f"a rate per minute must be above 0, got {per_minute}"
        raise ValueError(message)
    return None if per_minute is None else per_minute / 60.0
