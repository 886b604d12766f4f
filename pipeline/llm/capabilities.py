"""
What one endpoint takes, learnt from what it refused, and the requests made of it.

What a refusal names is read elsewhere. A refusal holds for its own call; for all others
only once that call was answered without what was refused. Every refusal leaves less to
send, so that stepping down ends.

A refusal is kept as a word: the name of a parameter; "system" for messages of that role;
json_schema or json_object for a form, and with ":" and a record's name for that one alone;
"unheeded" where a form was taken and passed over. Whether the endpoint refuses the whole
run (a key, a quota, a model; or the same to the first three requests) is kept here too.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pipeline.errors import EndpointRejected
from pipeline.llm.call import Request
from pipeline.llm.outcome import ANSWERED, Kind, Outcome

SCHEMA, OBJECT, PROMPT = "json_schema", "json_object", "prompt"
SYSTEM, UNHEEDED = "system", "unheeded"
_RENAMED = {"max_tokens": "max_completion_tokens"}
_ONE = f"{SCHEMA}:"
_TOLD = {
    SYSTEM: "takes no system message: its text stands in the user's",
    SCHEMA: "takes no json_schema: forms are asked for as json_object",
    OBJECT: "takes no json_object: forms are asked for by the prompt alone",
    UNHEEDED: "passes response_format over: forms are asked for by the prompt alone",
    "stream": "does not stream: an answer comes whole, and --timeout bounds it",
    "max_tokens": "",  # under its other name it says the same
}


class Capabilities:
    """What every call to an endpoint does without; for many threads."""

    def __init__(self) -> None:
        """Expect everything, until it is refused."""
        # Guards all below.
        self._lock = threading.Lock()
        self._refused: frozenset[str] = frozenset()
        self._proven: frozenset[str] = frozenset()
        self._needed: dict[str, int] = {}
        self._room: dict[str, int] = {}

    @property
    def refused(self) -> frozenset[str]:
        """All that is not sent any more."""
        with self._lock:
            return self._refused

    def is_proven(self, record: str | None) -> bool:
        """Whether such a form was filled in before, held to its schema by the server."""
        with self._lock:
            return record in self._proven

    def limit_of(self, stage: str, limit: int) -> int:
        """The limit of tokens for a call of the stage that asks for this one."""
        with self._lock:
            needed = max(limit, self._needed.get(stage, 0))
            return min(needed, self._room.get(stage, needed))

    def learn_limit(self, stage: str, limit: int, *, is_room: bool) -> None:
        """Answers of the stage need as many tokens, or there is room for no more."""
        with self._lock:
            known = self._room if is_room else self._needed
            best = min if is_room else max
            known[stage] = best(limit, known.get(stage, limit))

    def learn(
        self, refused: Collection[str], *, proven: str | None = None
    ) -> list[str]:
        """Remember what an answered call did without, and the form it was given in.

        A line for each thing that is new, to follow the endpoint's name.
        """
        with self._lock:
            known = self._refused | ({UNHEEDED} if self._proven else set())
            new = sorted(self._widened(set(refused)) - known)
            if proven is not None:
                self._proven |= {proven}
            self._refused |= set(new)
        return list(filter(None, map(_line, new)))

    def _widened(self, refused: set[str]) -> set[str]:
        """Two schemas refused and none ever filled in: it is no matter of the schema."""
        schemas = {word for word in refused | self._refused if word.startswith(_ONE)}
        return refused | {SCHEMA} if len(schemas) > 1 and not self._proven else refused


def _line(word: str) -> str:
    form, _, record = word.partition(":")
    if record:
        instead = "as json_object" if form == SCHEMA else "by the prompt alone"
        return f"takes no {form} for {record}: it is asked for {instead}"
    return _TOLD.get(word, f"takes no {word}: it is sent no more")


def form_for(record: str | None, refused: Collection[str]) -> str:
    """How such a reply is held to its schema: json_schema, json_object or prompt."""
    for form in () if UNHEEDED in refused else (SCHEMA, OBJECT):
        if form not in refused and f"{form}:{record}" not in refused:
            return form
    return PROMPT


def refusal_of(parameter: str, record: str | None, refused: Collection[str]) -> str:
    """The word for what a refusal of the parameter takes away."""
    form = form_for(record, refused)
    if parameter not in ("schema", "response_format"):
        return parameter
    if form == PROMPT or record is None:  # what a preset adds
        return "response_format"
    return form if parameter == "response_format" else f"{form}:{record}"


def body_for(request: Request, refused: Collection[str]) -> dict[str, Any]:
    """All that is sent but the model's name, without what was refused."""
    form = form_for(request.call.record_name, refused)
    sent = _taken({**_parameters(request, form), **request.extra_body}, refused)
    if "stream" not in sent:
        sent["stream"] = False  # some servers stream where nothing is said
        sent.pop("stream_options", None)
    wanted = sent.get("response_format")
    is_held = isinstance(wanted, Mapping) and wanted.get("type") == SCHEMA
    messages = request.messages(
        schema_in_prompt=not is_held,
        has_system=SYSTEM not in refused,
    )
    return {"messages": messages, **sent}


def _parameters(request: Request, form: str) -> dict[str, Any]:
    return {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.request_seed(),
        "response_format": _response_format(request, form),
        "stream": True,
        "stream_options": {"include_usage": True},
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


def _taken(parameters: Mapping[str, Any], refused: Collection[str]) -> dict[str, Any]:
    """The parameters that are set and not refused, under the names that are taken."""
    sent = {}
    for name, value in parameters.items():
        other = _RENAMED.get(name, name) if name in refused else name
        if value is not None and other not in refused:
            sent[other] = value
    return sent


_SAME = 3


class Rejections:
    """What an endpoint has refused before it answered anything; for many threads."""

    def __init__(self) -> None:
        """Nothing was sent."""
        # Guards all below.
        self._lock = threading.Lock()
        self._said: list[str] | None = []  # None: something was answered
        self._ended: str | None = None
        self._in_flight = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request is under way in the block; EndpointRejected when none may be sent."""
        with self._lock:
            if self._ended is not None:
                raise EndpointRejected(self._ended)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def judged(self, outcome: Outcome) -> Outcome:
        """The outcome, or the end of the run when every first request is refused.

        To be called while its request still counts as under way.
        """
        with self._lock:
            if outcome.kind in ANSWERED or outcome.finish_reason:
                self._said = None  # a refusal by the model is an answer, too
            elif outcome.kind is Kind.FATAL_ITEM and self._said is not None:
                self._said.append(str(outcome.error))
                if self._is_refused_to_all(self._said):
                    error = EndpointRejected(f"{outcome.error}, to every request")
                    outcome = replace(outcome, kind=Kind.FATAL_RUN, error=error)
            if isinstance(outcome.error, EndpointRejected):
                self._ended = str(outcome.error)
        return outcome

    def _is_refused_to_all(self, said: list[str]) -> bool:
        """The same words each time, and nothing under way that may be answered."""
        is_same = len(said) >= _SAME and len(set(said)) == 1
        return is_same and self._in_flight == 1
