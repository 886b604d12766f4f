"""
One endpoint: its one shared HTTP client, its gate, and what it has refused.

It sends one attempt at a time and says what came of it. It neither repeats nor reads
the journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.errors import EndpointRejected, SettingsError
from pipeline.llm.abilities import OBJECT, PROMPT, SCHEMA, Abilities
from pipeline.llm.call import Request
from pipeline.llm.deadline import Deadlines, bound_sockets
from pipeline.llm.gate import Gate, Observation
from pipeline.llm.outcome import Kind, Outcome, outcome_of_body, outcome_of_error
from pipeline.llm.presets import Preset
from pipeline.text_safety import redactor

_CONNECT_S = 10.0
_KEY_REFUSED = (401, 402, 403)
_SPARE_CONNECTIONS = 8
_SAME_REJECTIONS = 3
_ANSWERED = (Kind.OK, Kind.CUT_OFF)
_CONGESTION = (Kind.RATE, Kind.TRANSIENT, Kind.TIMEOUT, Kind.LOADING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a preset's requests go; `timeout_s` bounds one request as a whole.

    `secrets` are the keys of the whole run: no answer may carry one further.
    """

    preset: Preset
    base_url: str
    api_key: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    max_in_flight: int = 1
    timeout_s: float = 120.0


class Connection:
    """One endpoint and model, shared by every thread that calls it."""

    def __init__(self, endpoint: Endpoint, gate: Gate) -> None:
        """Build the shared client; nothing is sent yet."""
        self.preset = endpoint.preset
        self.gate = gate
        self._endpoint = endpoint
        self._deadlines = Deadlines()
        self._abilities = Abilities()
        self._redact = redactor([endpoint.api_key, *endpoint.secrets])
        # Guards _rejections and _ended.
        self._lock = threading.Lock()
        self._rejections: list[str] | None = []
        self._ended: EndpointRejected | None = None
        self._sdk, self._response_type = _shared_client(endpoint)
        bound_sockets(self._sdk._client, self._deadlines)
        self.model = endpoint.preset.model or ""

    def find_model(self) -> str:
        """The preset's model, or the only one that the server offers."""
        if not self.model:
            self.model = _only_model(self._sdk, self.preset, redact=self._redact)
        return self.model

    def close(self) -> None:
        """Close the connections; calls under way fail."""
        self._sdk.close()

    def attempt(self, request: Request) -> tuple[Outcome, float, float]:
        """Send once: what came, the seconds it took, the seconds to wait before more.

        Waits for a place at the gate and has given it back when it returns.
        """
        form = self._abilities.form
        stage = request.call.stage
        parameters = self._abilities.taken(_parameters(request, form))
        with self.gate.admit(stage):
            self._check_alive()
            started_s = time.monotonic()
            outcome = self._post(request, parameters, form)
            finished_s = time.monotonic()
        if outcome.kind is Kind.STEP_DOWN and outcome.parameter:
            self._abilities.give_up(outcome.parameter, form=form)
        outcome = self._judged(self._redacted(outcome))
        usage = outcome.usage
        wait_s = self.gate.note(
            Observation(
                kind=_shown(outcome.kind),
                started_s=started_s,
                finished_s=finished_s,
                group=stage,
                retry_after_s=outcome.retry_after_s,
                work=usage.completion_tokens if usage else 0,
                tokens=usage.prompt_tokens + usage.completion_tokens if usage else 0,
                quota=outcome.quota,
            )
        )
        return outcome, finished_s - started_s, wait_s

    def _post(
        self, request: Request, parameters: Mapping[str, Any], form: str
    ) -> Outcome:
        extra_body = self._abilities.taken(request.extra_body)
        in_prompt = "response_format" not in parameters or form != SCHEMA
        body = {
            "model": self.model,
            "messages": request.messages(schema_in_prompt=in_prompt),
            **parameters,
            **extra_body,
        }
        try:
            with self._deadlines.within(self._endpoint.timeout_s):
                # Not chat.completions.create: a fifth of a call's CPU time would go
                # into checking a body that is plain JSON already.
                response = self._sdk.post(
                    "/chat/completions", body=body, cast_to=self._response_type
                )
                return outcome_of_body(response.content, response.headers)
        except Exception as error:
            outcome = outcome_of_error(error, sent=[*parameters, *extra_body])
            if outcome is None:
                raise
            return outcome

    def _redacted(self, outcome: Outcome) -> Outcome:
        """The outcome as it may be kept and shown: careless servers echo the key."""
        if outcome.error is not None:
            outcome.error.args = (self._redact(str(outcome.error)),)
        return replace(outcome, text=self._redact(outcome.text))

    def _check_alive(self) -> None:
        """Send nothing more to an endpoint that has refused the whole run."""
        with self._lock:
            ended = self._ended
        if ended is not None:
            raise EndpointRejected(str(ended))

    def _judged(self, outcome: Outcome) -> Outcome:
        """The outcome, or the end of the run when every first request is refused."""
        with self._lock:
            if outcome.kind in _ANSWERED or outcome.finish_reason:
                self._rejections = None  # a refusal by the model is an answer, too
            elif outcome.kind is Kind.FATAL_ITEM and self._rejections is not None:
                self._rejections.append(str(outcome.error))
                if self._rejections == [str(outcome.error)] * _SAME_REJECTIONS:
                    error = EndpointRejected(f"{outcome.error}, to every request")
                    outcome = replace(outcome, kind=Kind.FATAL_RUN, error=error)
            if isinstance(outcome.error, EndpointRejected):
                self._ended = outcome.error
        return outcome


def _parameters(request: Request, form: str) -> dict[str, Any]:
    return {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.request_seed(),
        "response_format": _response_format(request, form),
    }


def _response_format(request: Request, form: str) -> dict[str, Any] | None:
    if request.call.schema is None or form == PROMPT:
        return None
    if form == OBJECT:
        return {"type": "json_object"}
    schema = {
        "name": request.call.record_name,
        "strict": True,
        "schema": request.call.schema,
    }
    return {"type": "json_schema", "json_schema": schema}


def _shown(kind: Kind) -> str:
    if kind in _ANSWERED:
        return "ok"
    return kind.value if kind in _CONGESTION else "other"


def _shared_client(endpoint: Endpoint) -> tuple[Any, type]:
    """The SDK's client, and the type under which it hands out a raw response."""
    import httpx2
    import openai  # here: it takes 0.4 s, and --help needs none of it

    room = endpoint.max_in_flight + _SPARE_CONNECTIONS
    timeout_s = endpoint.timeout_s
    http_client = openai.DefaultHttpxClient(
        limits=httpx2.Limits(max_connections=room, max_keepalive_connections=room),
        # A proxy of the environment cannot reach a server on this machine.
        trust_env=not endpoint.preset.is_on_this_machine,
    )
    sdk = openai.OpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        max_retries=0,
        timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
        http_client=http_client,
    )
    return sdk, httpx2.Response


def _only_model(sdk: Any, preset: Preset, *, redact: Callable[[str], str]) -> str:
    remedy = "set OPENAI_MODEL, or `model` of the preset, to the one to use"
    try:
        names = sorted(model.id for model in sdk.models.list().data)
    except Exception as error:
        outcome = outcome_of_error(error, sent=())
        said = redact(str(outcome.error)) if outcome else type(error).__name__
        if getattr(error, "status_code", None) in _KEY_REFUSED:
            raise EndpointRejected(said) from error
        message = (
            f"{preset.base_url} did not say which models it has ({said}); {remedy}"
        )
        raise SettingsError(message) from error
    if len(names) != 1:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        message = f"{preset.base_url} offers {len(names)} models ({shown}); {remedy}"
        raise SettingsError(message)
    only: str = names[0]
    return only
