"""
One simulated server's character: what it refuses and what it answers.

Decisions only; they depend on the request and on the settings, never on the time or
on other requests.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.loopback_caps import Cap
from tests.loopback_errors import (
    Wire,
    answer_wire,
    error_wire,
    fault_at_once,
    refused_format,
    refused_parameter,
)
from tests.loopback_faults import Faults
from tests.loopback_replies import content_for, wrapped
from tests.loopback_request import ChatRequest, cut_to, tokens_in
from tests.loopback_service import Fixed, Service, chance_of, service_for
from tests.loopback_stream import Streams

Answer = Callable[[ChatRequest], str | Mapping[str, Any] | None]
Habit = Literal["json_schema", "refuses_schema", "ignores_schema"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Behaviour:
    """
    Everything that sets one simulated server apart from another.

    `service` is one distribution, or one per stage with a "default". `answer` scripts
    the content: None gives the usual one, an object is sent as JSON and wrapped as the
    habit has it, a text goes as it stands. With `api_key`, every other key is refused.

    `streams` is whether an answer comes piece by piece, in so many `pieces` over its
    service time, after `first_piece` of silence (in which a model writes `thoughts`, or
    the server a comment every `keepalive_s`). A proxy in front cuts what is silent for
    `proxy_silence_s`.
    """

    seed: int = 0
    service: Service | Mapping[str, Service] = field(default_factory=Fixed)
    faults: Faults = field(default_factory=Faults)
    caps: Cap | Sequence[Cap] = ()
    habit: Habit = "json_schema"
    refuses_json_object: bool = False
    refuses: frozenset[str] | set[str] = frozenset()  # names of parameters
    models: Sequence[str] = ("loopback",)
    api_key: str | None = None
    usage: bool | Mapping[str, Any] = True  # what is said beside the usual counts
    headers: Mapping[str, str] = field(default_factory=dict)  # needed of a client
    reads_tokens: int | None = None  # of a longer prompt only so many, as it counts
    finish_reason: str = "stop"
    obeys_max_tokens: bool = False
    max_words: int = 2000
    answer: Answer | None = None
    keep_bodies: bool = False
    streams: Streams = "as_asked"
    pieces: int = 8
    first_piece: Service | Mapping[str, Service] | None = None
    thoughts: int = 0
    words_per_s: float | None = None  # of an article: as long as its time
    keepalive_s: float | None = None
    proxy_silence_s: float | None = None

    def silence_s(self, item: str, *, stage: str) -> float:
        """Seconds of the item's work before its first piece."""
        if self.first_piece is None:
            return 0.0
        chance = chance_of("silence", self.seed, item)
        return service_for(self.first_piece, stage).time_s(chance)

    def is_streamed(self, request: ChatRequest) -> bool:
        """Whether the answer is sent piece by piece."""
        if self.streams == "always":
            return request.body.get("stream") is not False
        return request.wants_stream and self.streams != "ignores"

    def service_time_s(self, item: str, *, stage: str) -> float:
        """Seconds that this work item takes, whenever it comes."""
        chance = chance_of("service", self.seed, item)
        return service_for(self.service, stage).time_s(chance)

    def refused_client(self, headers: Mapping[str, str]) -> Wire | None:
        """What a firewall says to a client without the headers that it wants."""
        wanted = ((name.lower(), value) for name, value in self.headers.items())
        if all(headers.get(name) == value for name, value in wanted):
            return None
        return Wire(403, b"blocked by the firewall")

    def refused_key(self, key: str) -> Wire | None:
        """The refusal of a key; it echoes the key, as careless servers do."""
        if self.api_key is None or key == self.api_key:
            return None
        return fault_at_once("401", model="", key=key)

    def refused_request(self, request: ChatRequest) -> Wire | None:
        """The refusal of a parameter or of a response_format, the first that applies."""
        for name in sorted(self.refuses):
            if request.body.get(name) is not None:
                return refused_parameter(name)
        if request.wants_stream and self.streams == "refuses":
            return refused_parameter("stream")
        if self.streams == "refuses_options" and "stream_options" in request.body:
            return refused_parameter("stream_options")
        asked = request.asked_format
        if asked == "json_schema" and self.habit == "refuses_schema":
            return refused_format(asked)
        if asked == "json_object" and self.refuses_json_object:
            return refused_format(asked)
        return None

    def models_wire(self, key: str) -> Wire:
        """The list of models; refused where the key is."""
        always = str(self.faults.always)
        if always in {"401", "403"}:
            return fault_at_once(always, model="", key=key)
        if (refused := self.refused_key(key)) is not None:
            return refused
        rows = [{"id": name, "object": "model", "created": 0} for name in self.models]
        listed = [{**row, "owned_by": "loopback"} for row in rows]
        return Wire(200, json.dumps({"object": "list", "data": listed}).encode())

    def answer_to(self, request: ChatRequest, *, fault: str) -> Wire:
        """The reply with 200, or a 500 that tells why there is none."""
        try:
            content = self._content(request)
        except Exception as error:  # noqa: BLE001  (a test's own code or schema: tell it)
            return error_wire(500, f"no answer could be made: {error!r}")
        finish = self.finish_reason
        if self.obeys_max_tokens and tokens_in(content) > _max_tokens(request):
            content = cut_to(content, _max_tokens(request))
            finish = "length"
        usage = self.usage
        if usage and self.reads_tokens is not None:
            read = min(request.prompt_tokens, self.reads_tokens)
            more = {} if usage is True else usage
            usage = {"prompt_tokens": read, **more}
        return answer_wire(
            request, content, fault=fault, finish_reason=finish, has_usage=usage
        )

    def _content(self, request: ChatRequest) -> str:
        scripted = self.answer(request) if self.answer is not None else None
        if isinstance(scripted, str):
            return scripted
        if scripted is None:
            most = self.max_words
            if self.words_per_s is not None:
                time_s = self.service_time_s(request.item, stage=request.stage)
                most = max(20, round(self.words_per_s * time_s))
            content = content_for(request, max_words=most)
        else:
            content = json.dumps(scripted, ensure_ascii=False)
        if self.habit == "ignores_schema":
            return wrapped(content, is_json=request.wants_json)
        return content


def _max_tokens(request: ChatRequest) -> float:
    given = request.body.get("max_completion_tokens") or request.body.get("max_tokens")
    return float(given) if isinstance(given, int | float) else float("inf")
