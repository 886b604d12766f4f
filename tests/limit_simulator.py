"""
Calls against simulated servers in virtual time, held back by the limiter's own rules.

It drives `EndpointState` as the threads do, without threads: a run of minutes takes
milliseconds. It does not test `limiter.py`, which adds the threads.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import exp, inf
from typing import Any, NamedTuple, Protocol, cast

from parallel.limiter.endpoint import EndpointState
from pipeline.llm.limiting import Observation, Seen
from pipeline.llm.server_words import Quota

ATTEMPTS = 5
BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
FOR_EVER_S = 1e6


def seen(kind: str = "ok", *, started_s: float = 0.0, **more: Any) -> Observation:
    """One outcome, as the limiter is told of it; each is of a call of its own."""
    stated = {"finished_s": started_s, "call": f"call {next(_CALLS)}", **more}
    return Observation(kind=cast(Seen, kind), started_s=started_s, **stated)


_CALLS = count()


class Answer(NamedTuple):
    """How and when a server answers a call that has just come.

    `first_s` is when its first piece comes; None where the answer comes whole.
    """

    at_s: float
    kind: str = "ok"
    retry_after_s: float | None = None
    quota: Quota | None = None
    first_s: float | None = None


class Server(Protocol):
    """Told of each call; it may keep books, but only of what it was told."""

    def answer(self, now_s: float, service_s: float) -> Answer: ...


class NoLimit:
    """Works on all at once; a model that thinks is silent for a while before it writes."""

    def __init__(self, silence_s: Callable[[], float] = lambda: 0.0) -> None:
        self._silence_s = silence_s

    def answer(self, now_s: float, service_s: float) -> Answer:
        first_s = now_s + self._silence_s()
        return Answer(first_s + service_s, first_s=first_s)


class CapInFlight:
    """Refuses at once what would be one too many."""

    def __init__(self, cap: int, *, retry_after_s: float | None) -> None:
        self.cap = cap
        self._retry_after_s = retry_after_s
        self._ends: list[float] = []

    def answer(self, now_s: float, service_s: float) -> Answer:
        self._ends = [end_s for end_s in self._ends if end_s > now_s]
        if len(self._ends) >= self.cap:
            return Answer(now_s + 0.002, "rate", self._retry_after_s)
        self._ends.append(now_s + service_s)
        return Answer(now_s + service_s)


class CapPerSecond:
    """A bucket of tokens; what is refused takes none."""

    def __init__(
        self,
        per_s: float,
        burst: float,
        *,
        retry_after_s: float | None,
        sends_headers: bool = False,
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = burst
        self._seen_s = 0.0
        self._retry_after_s = retry_after_s
        self._sends_headers = sends_headers

    def answer(self, now_s: float, service_s: float) -> Answer:
        gained = (now_s - self._seen_s) * self._per_s
        self._level = min(self._burst, self._level + gained)
        self._seen_s = now_s
        if self._level < 1.0:
            return Answer(now_s + 0.002, "rate", self._retry_after_s, self._quota())
        self._level -= 1.0
        return Answer(now_s + service_s, quota=self._quota())

    def _quota(self) -> Quota | None:
        if not self._sends_headers:
            return None
        return Quota(
            limit_requests=self._burst,
            remaining_requests=int(self._level),
            reset_requests_s=(self._burst - self._level) / self._per_s,
        )


class Slots:
    """Works on so many at once; the others wait their turn, without bound.

    A client that has had no piece for `timeout_s` leaves, and its turn is void.
    """

    def __init__(self, slots: int, *, timeout_s: float = inf) -> None:
        self._free_s = [0.0] * slots
        self._timeout_s = timeout_s

    def answer(self, now_s: float, service_s: float) -> Answer:
        start_s = max(now_s, self._free_s[0])
        if start_s > now_s + self._timeout_s:
            return Answer(now_s + self._timeout_s, "timeout")
        heapq.heapreplace(self._free_s, start_s + service_s)
        return Answer(start_s + service_s, first_s=start_s)


class Faulty:
    """Now and then something else than the server behind it would say."""

    def __init__(
        self,
        server: Server,
        *,
        rng: random.Random,
        chances: dict[str, float],
        until_s: float = inf,
    ) -> None:
        self._server = server
        self._rng = rng
        self._chances = chances
        self._until_s = until_s

    def answer(self, now_s: float, service_s: float) -> Answer:
        draw = self._rng.random()
        for kind, chance in self._chances.items():
            draw -= chance
            if draw < 0.0 and now_s < self._until_s:
                took_s = 30.0 if kind == "timeout" else 0.01
                return Answer(now_s + took_s, kind)
        return self._server.answer(now_s, service_s)


class Outage:
    """Answers 503 between two moments, also to the calls that are then under way."""

    def __init__(self, server: Server, *, from_s: float, to_s: float) -> None:
        self._server = server
        self._from_s = from_s
        self._to_s = to_s

    def answer(self, now_s: float, service_s: float) -> Answer:
        if self._from_s <= now_s < self._to_s:
            return Answer(now_s + 0.01, "down")
        answer = self._server.answer(now_s, service_s)
        if now_s < self._from_s < answer.at_s:
            return Answer(self._from_s, "down")
        return answer


class Call(NamedTuple):
    """One piece of work."""

    service_s: float


@dataclass(slots=True, kw_only=True)
class Run:
    """What happened."""

    wall_s: float = 0.0
    done: int = 0
    lost: int = 0
    refused: int = 0
    failed: int = 0
    sent: int = 0
    in_flight: list[tuple[float, int]] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)
    given_up_s: list[float] = field(default_factory=list)  # when those were sent
    is_out: bool = False

    def median_in_flight(self, *, from_share: float) -> float:
        """By time, of the stretch from that share of the wall to the end."""
        from_s = from_share * self.wall_s
        spans: list[tuple[int, float]] = []
        ends = [at_s for at_s, _ in self.in_flight[1:]] + [self.wall_s]
        for (at_s, number), end_s in zip(self.in_flight, ends, strict=True):
            spans.append((number, max(0.0, end_s - max(at_s, from_s))))
        half_s = sum(span_s for _, span_s in spans) / 2
        for number, span_s in sorted(spans):
            half_s -= span_s
            if half_s <= 0.0:
                return number
        return 0


class Simulator:
    """Sends the calls in order as the state lets them, and repeats what failed."""

    def __init__(
        self,
        server: Server,
        *,
        max_in_flight: int,
        seed: int = 0,
        timeout_s: float | None = None,
        state: EndpointState | None = None,
    ) -> None:
        self.rng = random.Random(seed)
        self.state = state or EndpointState(
            "server", max_in_flight=max_in_flight, timeout_s=timeout_s, rng=self.rng
        )
        self._server = server
        self._now_s = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._ready: list[tuple[int, Call, int]] = []
        self._left = 0
        self._wake_s = inf
        self.run_ = Run()

    def run(self, calls: Sequence[Call]) -> Run:
        """Until all are done, lost, or the endpoint is given up."""
        self._ready = [(number, call, 0) for number, call in enumerate(calls)]
        heapq.heapify(self._ready)
        self._left = len(calls)
        while self._left and not self.run_.is_out and self._now_s < FOR_EVER_S:
            self._start_what_may()
            if not self._events:
                break
            self._now_s, _, act = heapq.heappop(self._events)
            act()
        self.run_.wall_s = self._now_s
        self.run_.limits = list(self.state.history)
        return self.run_

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._numbers), act))

    def _start_what_may(self) -> None:
        state = self.state
        while self._ready and state.in_flight < state.limit:
            if state.outage_s(self._now_s) is not None:
                self.run_.is_out = True
                return
            hold_s = state.hold_s(self._now_s)
            if hold_s > 0.0:
                self._wake_in(hold_s)
                return
            self._send(*heapq.heappop(self._ready))

    def _wake_in(self, hold_s: float) -> None:
        wake_s = self._now_s + hold_s
        if wake_s < inf and not self._now_s < self._wake_s <= wake_s:
            self._wake_s = wake_s
            self._at(wake_s, lambda: None)

    def _send(self, number: int, call: Call, attempt: int) -> None:
        started_s, permit = self._now_s, object()
        self.state.start(permit, started_s)
        self.run_.sent += 1
        self._count()
        answer = self._server.answer(started_s, call.service_s)

        def begin() -> None:
            self.state.note_first_piece(permit, started_s=started_s, now_s=self._now_s)

        def come_back() -> None:
            wait_s = self.state.note(
                Observation(
                    kind=cast(Seen, answer.kind),
                    started_s=started_s,
                    finished_s=self._now_s,
                    call=str(number),
                    retry_after_s=answer.retry_after_s,
                    quota=answer.quota,
                ),
                self._now_s,
            )
            self.state.end(permit, self._now_s)
            self._count()
            if answer.kind == "timeout":
                self.run_.given_up_s.append(started_s)
            self._judge((number, call, attempt), answer.kind, wait_s)

        if answer.first_s is not None and answer.kind == "ok":
            self._at(answer.first_s, begin)
        self._at(answer.at_s, come_back)

    def _judge(self, item: tuple[int, Call, int], kind: str, wait_s: float) -> None:
        number, call, attempt = item
        if kind == "ok":
            self.run_.done += 1
            self._left -= 1
            return
        if kind == "rate":
            self.run_.refused += 1
        else:
            self.run_.failed += 1
            attempt += kind != "down"
            widest_s = min(LONGEST_BACKOFF_S, BACKOFF_S * 2.0 ** (attempt + 1))
            wait_s = self.rng.uniform(0.0, widest_s)
        if attempt >= ATTEMPTS:
            self.run_.lost += 1
            self._left -= 1
            return
        again = (number, call, attempt)
        self._at(self._now_s + wait_s, lambda: heapq.heappush(self._ready, again))

    def _count(self) -> None:
        self.run_.in_flight.append((self._now_s, self.state.in_flight))


def greedy_s(calls: Sequence[Call], places: int) -> float:
    """The wall when each call starts as soon as a place is free, in order."""
    free_s = [0.0] * places
    heapq.heapify(free_s)
    for call in calls:
        heapq.heappush(free_s, heapq.heappop(free_s) + call.service_s)
    return max(free_s)


def lognormal_calls(
    number: int, *, seed: int, median_s: float = 8.0, sigma: float = 0.5
) -> list[Call]:
    """Service times of language models."""
    rng = random.Random(seed)
    times = [median_s * exp(rng.gauss(0.0, sigma)) for _ in range(number)]
    return [Call(time_s) for time_s in times]


def uniform_calls(number: int, *, seed: int, low_s: float, high_s: float) -> list[Call]:
    """Short calls of no particular amount of work."""
    rng = random.Random(seed)
    return [Call(rng.uniform(low_s, high_s)) for _ in range(number)]
