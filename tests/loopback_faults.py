"""
What goes wrong on the simulated server, decided apart from arrival order.

A fault is drawn from (fault seed, work item, attempt of that item); outages, permanent
faults and scripts overrule the draw. How a fault looks on the wire is elsewhere.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.loopback_request import ChatRequest
from tests.loopback_service import chance_of

# A status in digits is answered at once, and so are the names up to "loading"; the
# others take the item's time first.
Fault = Literal[
    "ok",
    "400",
    "401",
    "402",
    "402_retry",
    "403",
    "404",
    "408",
    "409",
    "422",
    "429",
    "500",
    "502",
    "503",
    "524",
    "529",
    "quota",
    "context",
    "context_openai",
    "content_filter_400",
    "loading",
    "cut_json",  # the reply's own JSON stops midway; articles stay whole
    "cut_body",  # the HTTP body's JSON stops midway
    "empty_body",
    "html",
    "empty_choices",
    "error_200",
    "empty_content",
    "not_json",
    "wrong_schema",
    "content_filter",
    "refusal",
    "length",
    "finish_error",
    "dropped",  # closed without a byte
    "dropped_partial",  # closed inside the body
    "hang",
    "trickle",
    # Of streams; an answer that is not streamed goes out as if nothing were wrong, and
    # an endless one never.
    "error_in_stream",
    "endless",
    "endless_space",
    "gap",  # silence in the middle
    "no_finish",  # an end without a finish reason
]
RATES: Mapping[str, Fault] = {
    "rate_429": "429",
    "rate_500": "500",
    "rate_503": "503",
    "rate_524": "524",
    "cut_json": "cut_json",
    "wrong_schema": "wrong_schema",
    "html": "html",
    "empty_choices": "empty_choices",
    "error_200": "error_200",
    "dropped": "dropped",
    "hang": "hang",
    "trickle": "trickle",
    "error_in_stream": "error_in_stream",
    "endless": "endless",
    "endless_space": "endless_space",
    "gap": "gap",
    "no_finish": "no_finish",
}


@dataclass(frozen=True, slots=True)
class RawReply:
    """An answer given as it stands, at once."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Scripted = Fault | int | RawReply


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """
    Shares of requests that go wrong (0 to 1 each, together at most 1), and how.

    `script` gives the fate of the first requests by position; `outage` is a pair of
    seconds since the first request between which everything is 503; `always` holds
    for every request. Half of the dropped replies stop inside the body.
    """

    seed: int = 0
    rate_429: float = 0.0
    rate_500: float = 0.0
    rate_503: float = 0.0
    rate_524: float = 0.0
    cut_json: float = 0.0
    wrong_schema: float = 0.0
    html: float = 0.0
    empty_choices: float = 0.0
    error_200: float = 0.0
    dropped: float = 0.0
    hang: float = 0.0
    trickle: float = 0.0
    error_in_stream: float = 0.0
    endless: float = 0.0
    endless_space: float = 0.0
    gap: float = 0.0
    no_finish: float = 0.0
    gap_s: float = 2.0
    retry_after: str | None = None  # of a 429, word for word
    hang_s: float | None = None  # None: never answers
    trickle_s: float = 5.0
    first_attempt_only: bool = False
    stages: frozenset[str] | None = None  # None: all
    script: Sequence[Scripted] = ()
    outage: tuple[float, float] | None = None
    always: Fault | int | None = None


class FaultPlan:
    """The faults of one server; used by its thread alone."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._attempts: Counter[str] = Counter()
        self._position = 0
        self._first_s: float | None = None

    def decide(self, request: ChatRequest, now_s: float) -> tuple[str | RawReply, int]:
        """What befalls this request, and which attempt of its item it is, from 1."""
        self._attempts[request.item] += 1
        attempt = self._attempts[request.item]
        fate = self._overruled(now_s) or self._drawn(request, attempt)
        if fate == "cut_json" and not request.wants_json:
            fate = "ok"  # an article cut short is still an article
        return fate, attempt

    def _overruled(self, now_s: float) -> str | RawReply | None:
        self._first_s = now_s if self._first_s is None else self._first_s
        if self._faults.always is not None:
            return str(self._faults.always)
        if self._position < len(self._faults.script):
            scripted = self._faults.script[self._position]
            self._position += 1
            return scripted if isinstance(scripted, RawReply) else str(scripted)
        if self._faults.outage is not None:
            start_s, end_s = self._faults.outage
            return "503" if start_s <= now_s - self._first_s < end_s else None
        return None

    def _drawn(self, request: ChatRequest, attempt: int) -> str:
        faults = self._faults
        if faults.first_attempt_only and attempt > 1:
            return "ok"
        if faults.stages is not None and request.stage not in faults.stages:
            return "ok"
        chance = chance_of("fault", faults.seed, request.item, attempt)
        for field_name, fault in RATES.items():
            chance -= getattr(faults, field_name)
            if chance < 0:
                return self._drop_kind(request.item) if fault == "dropped" else fault
        return "ok"

    def _drop_kind(self, item: str) -> str:
        half = chance_of("drop", self._faults.seed, item)
        return "dropped" if half < 0.5 else "dropped_partial"
