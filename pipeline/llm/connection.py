"""
One endpoint: its one shared HTTP client, its limit, and what it has refused.

It sends one request at a time, reads the answer as it comes and says what came of it. It
neither repeats nor reads the journal. Bytes that trickle inside the headers of an answer
are not bounded; everything after them is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pipeline.llm.answers import usage_in
from pipeline.llm.bounds import bounds_of
from pipeline.llm.call import Request
from pipeline.llm.capabilities import (
    SCHEMA,
    SYSTEM,
    Capabilities,
    Rejections,
    body_for,
    form_for,
    refusal_of,
)
from pipeline.llm.limiting import EndpointLimit, Observation, Permit, Seen
from pipeline.llm.outcome import ANSWERED, Asked, Kind, Outcome
from pipeline.llm.prompts_read import PromptsRead, cut_prompts
from pipeline.llm.stream import AnswerReader
from pipeline.llm.transport import Exchange, offered_models, only_model, open_client
from pipeline.metrics import Arrivals, Usage, estimated_tokens
from pipeline.models.presets import Preset
from pipeline.text.safety import redactor

_SEEN: Mapping[Kind, Seen] = {
    Kind.OK: "ok",
    Kind.CUT_OFF: "ok",
    Kind.RATE: "rate",
    Kind.ABSENT: "absent",
    Kind.DOWN: "down",
    Kind.TRANSIENT: "fault",
    Kind.TIMEOUT: "timeout",
    Kind.LOADING: "loading",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one request led to.

    `seconds` is from sending to the last byte, `waited_s` the part of it before the first
    piece of a streamed answer, `wait_s` what the limit says to wait before another.
    """

    outcome: Outcome
    seconds: float = 0.0
    waited_s: float = 0.0
    wait_s: float = 0.0


class Connection:
    """One endpoint and model, shared by every thread that calls it."""

    def __init__(  # noqa: PLR0913 - all that sets one endpoint apart from another
        self,
        preset: Preset,
        *,
        base_url: str,
        api_key: str,
        limit: EndpointLimit,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        max_in_flight: int = 1,
        timeout_s: float = 120.0,
        say: Callable[[str], None] = lambda _line: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Build the shared client; nothing is sent yet.

        `secrets` are the keys of the whole run: no answer may carry one further.
        `timeout_s` is the longest silence. `say` gets a line when the endpoint turns out
        to lack something.
        """
        self.preset = preset
        self.limit = limit
        self.model = preset.model or ""
        self.arrivals = Arrivals()
        self._timeout_s = timeout_s
        self._say = say
        self._clock = clock
        self._capabilities = Capabilities()
        self._redact = redactor([api_key, *secrets])
        self._rejections = Rejections()
        self.prompts = PromptsRead()
        # Guards _said.
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._sdk = open_client(
            base_url,
            api_key=api_key,
            headers=headers or {},
            max_in_flight=max_in_flight,
            timeout_s=timeout_s,
            # A proxy of the environment cannot reach a server on this machine.
            uses_proxies=not preset.is_on_this_machine,
        )

    @property
    def address(self) -> str:
        """Model and URL."""
        return f"{self.model} at {self.preset.base_url}"

    @property
    def refused(self) -> frozenset[str]:
        """What is sent no more, as `capabilities.py` names it."""
        return self._capabilities.refused

    def offered(self) -> list[str] | Outcome:
        """The models that the server lists, or why it lists none."""
        found = offered_models(self._sdk)
        return self._redacted(found) if isinstance(found, Outcome) else found

    def find_model(self) -> str:
        """The preset's model, or the only one that the server offers."""
        if not self.model:
            self.model = only_model(
                self._sdk,
                self.preset.base_url,
                redact=self._redact,
                wait=self._wait_for_start,
            )
            priced = replace(self.preset, model=self.model).priced()
            self.preset = replace(self.preset, price=priced.price)
        return self.model

    def close(self) -> None:
        """Close the connections; calls under way fail."""
        self._sdk.close()

    @contextmanager
    def attempt(self, request: Request) -> Iterator[Attempt]:
        """Send once; what was refused, or has no room, is left out of the next request.

        Waits for a permit and holds it in the block, so that what was answered can be
        written down before the next call is sent. Raises what the limit raises, and
        EndpointRejected where the endpoint has refused the whole run.
        """
        stage = request.call.stage
        with self.limit.permit(stage) as permit:
            with self._rejections.request():
                started_s = self._clock()
                outcome, first_s = self._exchange(request, permit)
                finished_s = self._clock()
                outcome = self._rejections.judged(self._redacted(outcome))
            wait_s = permit.note(
                _observed(request, outcome, started_s, finished_s=finished_s)
            )
            yield Attempt(
                outcome=outcome,
                seconds=finished_s - started_s,
                waited_s=0.0 if first_s is None else first_s - started_s,
                wait_s=wait_s,
            )

    def learn(self, request: Request, *, is_whole: bool) -> None:
        """Remember what an answer took that could be used, whole or cut off."""
        record = request.call.record_name
        is_held = form_for(record, self._refused(request)) == SCHEMA
        lines = self._capabilities.learn(
            request.refused, proven=record if is_held else None
        )
        is_limit_learnt = request.is_fitted or (is_whole and request.is_enlarged)
        if is_limit_learnt and request.max_tokens is not None:
            self._capabilities.learn_limit(
                request.call.stage, request.max_tokens, is_room=request.is_fitted
            )
        for line in lines:
            self._say(f"{self.preset.label} {line}")

    def _refused(self, request: Request) -> frozenset[str]:
        return self._capabilities.refused | request.refused

    def _exchange(
        self, request: Request, permit: Permit
    ) -> tuple[Outcome, float | None]:
        """What came of the request, and when the first piece of a stream did."""
        call, refused = request.call, self._refused(request)
        if request.max_tokens is not None and not (
            request.is_enlarged or request.is_fitted
        ):
            request.max_tokens = self._capabilities.limit_of(
                call.stage, request.max_tokens
            )
        body = {"model": self.model, **body_for(request, refused)}
        read = AnswerReader(bounds_of(call.schema, call.options.words))
        exchange = Exchange(
            read,
            asked=self._asked(request, body),
            timeout_s=self._timeout_s,
            clock=self._clock,
            on_first_piece=permit.note_first_piece,
        )
        with self.arrivals.coming(call.stage, read):
            outcome = exchange.outcome(self._sdk, body)
        self._note_for_next(request, outcome, refused=refused)
        if outcome.kind in ANSWERED:
            read_to = self.prompts.note(outcome.usage, len(request.prompt_text()))
            if read_to is not None:
                self._say_once("prompt", cut_prompts(read_to))
        return _counted(outcome, request, read), exchange.first_piece_s

    def _asked(self, request: Request, body: Mapping[str, Any]) -> Asked:
        return Asked(
            sent={
                name: value
                for name, value in body.items()
                if name not in ("model", "messages")
                and (name, value) != ("stream", False)
            },
            has_system=body["messages"][0]["role"] == SYSTEM,
            is_proven=self._capabilities.is_proven(request.call.record_name),
            faults=request.faults,
            longest_wait_s=request.longest_wait_s,
        )

    def _note_for_next(
        self, request: Request, outcome: Outcome, *, refused: Collection[str]
    ) -> None:
        """What the next request of the call does otherwise."""
        if outcome.kind is Kind.STEP_DOWN and outcome.parameter:
            record = request.call.record_name
            request.refused.add(refusal_of(outcome.parameter, record, refused))
        elif outcome.kind is Kind.BUDGET and outcome.room:
            request.fit_into(outcome.room)
            said = f"has less room than --max-tokens asks for: {outcome.error}"
            self._say_once("room", said)
        elif outcome.kind is Kind.CUT_OFF and outcome.error:
            self._say_once("thinking", f"answered no text: {outcome.error}")
        elif outcome.kind in (Kind.TRANSIENT, Kind.TIMEOUT):
            request.faults += 1
        elif outcome.kind is Kind.ABSENT:
            self._say_once("absent", f"cannot be reached: {outcome.error}; trying on")

    def _wait_for_start(self, seconds: float) -> None:
        self._say_once("start", "is loading its model: it is waited for")
        self.limit.sleep(seconds)

    def _say_once(self, about: str, line: str) -> None:
        with self._lock:
            if about in self._said:
                return
            self._said.add(about)
        self._say(f"{self.preset.label} {self._redact(line)}")

    def _redacted(self, outcome: Outcome) -> Outcome:
        """The outcome as it may be kept and shown: careless servers echo the key."""
        if outcome.error is not None:
            outcome.error.args = (self._redact(str(outcome.error)),)
        return replace(outcome, text=self._redact(outcome.text))


def _counted(outcome: Outcome, request: Request, read: AnswerReader) -> Outcome:
    """The outcome with its tokens: estimated where something came and nobody counted."""
    if outcome.usage is not None or not read.tokens:
        return outcome
    counted = usage_in(read.usage) or Usage(
        prompt_tokens=estimated_tokens(request.prompt_text()),
        completion_tokens=read.tokens,
        is_estimate=True,
    )
    return replace(outcome, usage=counted)


def _observed(
    request: Request,
    outcome: Outcome,
    started_s: float,
    *,
    finished_s: float,
) -> Observation:
    usage, kind = outcome.usage, _SEEN.get(outcome.kind, "other")
    if outcome.kind is Kind.REASK and outcome.text:
        kind = "ok"  # it answers, if not as it should
    return Observation(
        kind=kind,
        started_s=started_s,
        finished_s=finished_s,
        call=request.call.name,
        retry_after_s=outcome.retry_after_s,
        tokens=usage.prompt_tokens + usage.completion_tokens if usage else 0,
        quota=outcome.quota,
        said="" if outcome.error is None else str(outcome.error),
    )
