"""One endpoint: what it learns from refusals, when it ends a run, what it hides."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from pipeline.errors import EndpointRejected, ItemRejected, SettingsError
from pipeline.llm.call import Call, CallOptions, Request, strict_schema
from pipeline.llm.capabilities import OBJECT, SCHEMA
from pipeline.llm.connection import Connection
from pipeline.llm.outcome import Kind
from pipeline.models.presets import Preset
from tests.fakes import (
    FAILSAFE_S,
    KEY,
    OpenLimit,
    Verdict,
    asking,
    attempted,
    connection_to,
)
from tests.loopback_llm import Faults, LoopbackLLM, RawReply


def a_request(*, item: str = "1", **changed: Any) -> Request:
    """The first request of a call that asks for a form."""
    call = Call(
        stage="score",
        item_id=item,
        messages=asking(f"Judge {item}."),
        options=CallOptions(),
        record_name="verdict",
        schema=strict_schema(Verdict),
    )
    request = Request(call=call, seed=7, temperature=0.5, max_tokens=50, extra_body={})
    return replace(request, **changed)


def a_text(*, item: str = "1") -> Request:
    """The first request of a call that asks for a text."""
    call = Call(
        stage="generate", item_id=item, messages=asking(), options=CallOptions()
    )
    return Request(call=call, seed=7, temperature=0.5, max_tokens=50, extra_body={})


@contextmanager
def served(**behaviour: Any) -> Iterator[tuple[LoopbackLLM, Connection]]:
    with (
        LoopbackLLM(keep_bodies=True, **behaviour) as server,
        closing(connection_to(server)) as connection,
    ):
        yield server, connection


def settled(connection: Connection, request: Request) -> list[Kind]:
    """What came of each attempt, until one is no step-down; an answer is learnt from."""
    kinds: list[Kind] = []
    while len(kinds) < 12 and kinds[-1:] in ([], [Kind.STEP_DOWN]):
        kinds.append(attempted(connection, request).outcome.kind)
    if kinds[-1] is Kind.OK:
        connection.learn(request, is_whole=True)
    return kinds


def bodies(server: LoopbackLLM) -> list[dict[str, Any]]:
    return [dict(served.body or {}) for served in server.log()]


def test_a_request_carries_what_was_asked() -> None:
    with served() as (server, connection):
        request = a_request(extra_body={"min_p": 0.1})
        assert settled(connection, request) == [Kind.OK]
        (body,) = bodies(server)
    assert (body["model"], body["seed"], body["temperature"]) == ("m", 7, 0.5)
    assert (body["max_tokens"], body["min_p"]) == (50, 0.1)
    assert body["response_format"]["json_schema"] == {
        "name": "verdict",
        "strict": True,
        "schema": strict_schema(Verdict),
    }
    assert "JSON schema" not in body["messages"][-1]["content"]


def test_values_that_nobody_set_are_not_sent() -> None:
    with served() as (server, connection):
        settled(connection, a_request(temperature=None, max_tokens=None))
        (body,) = bodies(server)
    assert not {"temperature", "max_tokens"} & set(body)


def test_a_refused_schema_is_asked_as_an_object_with_the_schema_in_the_prompt() -> None:
    with served(habit="refuses_schema") as (server, connection):
        assert settled(connection, a_request()) == [Kind.STEP_DOWN, Kind.OK]
        last = bodies(server)[-1]
    assert last["response_format"] == {"type": "json_object"}
    _, line, schema = last["messages"][-1]["content"].rpartition(
        "\nJSON schema verdict:\n"
    )
    assert line
    assert json.loads(schema) == strict_schema(Verdict)


def test_a_refused_object_is_asked_by_the_prompt_alone() -> None:
    refuses_all = {"habit": "refuses_schema", "refuses_json_object": True}
    with served(**refuses_all) as (server, connection):
        kinds = settled(connection, a_request())
        assert kinds == [Kind.STEP_DOWN, Kind.STEP_DOWN, Kind.OK]
        assert settled(connection, a_request(item="2")) == [Kind.OK]
        last = bodies(server)[-1]
    assert "response_format" not in last
    assert "\nJSON schema verdict:\n" in last["messages"][-1]["content"]


@pytest.mark.parametrize("name", ["temperature", "seed"])
def test_a_refused_parameter_is_dropped_and_the_drop_remembered(name: str) -> None:
    with served(refuses={name}) as (server, connection):
        assert settled(connection, a_request()) == [Kind.STEP_DOWN, Kind.OK]
        assert settled(connection, a_request(item="2")) == [Kind.OK]
        assert name not in bodies(server)[-1]


def test_a_refused_stream_is_asked_plainly_and_says_so() -> None:
    faults = Faults(script=[refusal("Unsupported parameter: 'stream'")])
    with served(faults=faults) as (server, connection):
        assert settled(connection, a_request()) == [Kind.STEP_DOWN, Kind.OK]
        first, last = bodies(server)
    assert first["stream"] is True
    assert first["stream_options"] == {"include_usage": True}
    assert last["stream"] is False  # some servers stream where nothing is said
    assert "stream_options" not in last


def test_a_refused_max_tokens_goes_under_its_other_name() -> None:
    with served(refuses={"max_tokens"}) as (server, connection):
        assert settled(connection, a_request()) == [Kind.STEP_DOWN, Kind.OK]
        body = bodies(server)[-1]
    assert body["max_completion_tokens"] == 50
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    "extra_body",
    [
        {"grammar": "root ::= [a-z]+"},
        {"max_completion_tokens": 9},
        {"response_format": {"type": "json_object"}},
        {"temperature": 1},
    ],
)
def test_stepping_down_ends_whatever_a_preset_adds(extra_body: dict[str, Any]) -> None:
    refuses = {*extra_body, "max_tokens", "temperature", "seed", "response_format"}
    with served(refuses=refuses) as (server, connection):
        kinds = settled(connection, a_request(extra_body=extra_body))
        body = bodies(server)[-1]
    assert kinds[-1] is Kind.OK
    assert not set(body) & refuses


def test_what_one_call_was_refused_holds_for_others_only_once_it_was_answered() -> None:
    lines: list[str] = []
    with (
        LoopbackLLM(keep_bodies=True, refuses={"seed"}) as server,
        closing(connection_to(server, say=lines.append)) as connection,
    ):
        first, second = a_request(), a_request(item="2")
        assert attempted(connection, first).outcome.kind is Kind.STEP_DOWN
        assert attempted(connection, second).outcome.kind is Kind.STEP_DOWN
        assert not lines
        assert settled(connection, first) == [Kind.OK]
        assert settled(connection, second) == [Kind.OK]
        assert settled(connection, a_request(item="3")) == [Kind.OK]
        sent = [set(body) for body in bodies(server)]
    assert ["seed" in names for names in sent] == [True, True, False, False, False]
    (line,) = lines
    assert line.endswith("takes no seed: it is sent no more")


def test_a_form_that_is_refused_for_one_schema_is_asked_of_the_others() -> None:
    said = "Unsupported JSON schema fields: {'minItems'}"
    with served(faults=Faults(script=[refusal(said)])) as (server, connection):
        assert settled(connection, a_request()) == [Kind.STEP_DOWN, Kind.OK]
        other = a_request(item="2")
        other.call = replace(other.call, record_name="card")
        for request in (a_request(item="3"), other):
            assert settled(connection, request) == [Kind.OK]
        last = [body["response_format"]["type"] for body in bodies(server)]
    assert last == [SCHEMA, OBJECT, OBJECT, SCHEMA]


def test_a_refusal_without_a_reason_costs_a_proven_schema_nothing() -> None:
    script: list[Any] = ["ok", "400"]
    with served(faults=Faults(script=script)) as (_, connection):
        assert settled(connection, a_request()) == [Kind.OK]
        assert settled(connection, a_request(item="2")) == [Kind.FATAL_ITEM]
        assert settled(connection, a_request(item="3")) == [Kind.OK]


def test_a_larger_limit_is_remembered_for_the_stage_that_needed_it() -> None:
    with served() as (server, connection):
        request = a_request()
        assert request.enlarge_once()
        settled(connection, request)
        for limit in (50, 500):
            settled(connection, a_request(max_tokens=limit))
        other = a_request(item="2")
        other.call = replace(other.call, stage="extract")
        settled(connection, other)
        limits = [body["max_tokens"] for body in bodies(server)]
    assert limits == [100, 100, 500, 50]


def test_a_prompt_that_was_cut_is_said_once_with_what_to_do() -> None:
    lines: list[str] = []
    body = {
        "choices": [{"message": {"content": "A."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1024, "completion_tokens": 1},
    }
    faults = Faults(script=[RawReply(200, json.dumps(body))] * 9)
    with (
        LoopbackLLM(faults=faults) as server,
        closing(connection_to(server, say=lines.append)) as connection,
    ):
        for size in range(1, 7):
            request = a_text()
            request.call = replace(request.call, messages=asking("word " * 1000 * size))
            attempted(connection, request)
    (line,) = lines
    assert "OLLAMA_CONTEXT_LENGTH" in line


def test_a_refused_system_message_stands_in_the_users() -> None:
    with served(faults=Faults(script=[refusal("System role not supported")])) as (
        server,
        connection,
    ):
        assert settled(connection, a_request()) == [Kind.STEP_DOWN, Kind.OK]
        (message,) = bodies(server)[-1]["messages"]
    assert message["role"] == "user"
    assert message["content"].startswith("You write.\n\nJudge 1.")


def test_a_server_with_less_room_is_asked_for_that_and_it_is_said_once() -> None:
    said = "max_tokens is too large: 50. This model supports at most 40"
    lines: list[str] = []
    with (
        LoopbackLLM(
            keep_bodies=True, faults=Faults(script=[refusal(said)] * 2)
        ) as server,
        closing(connection_to(server, say=lines.append)) as connection,
    ):
        first, second = a_request(), a_request(item="2")
        for request in (first, second):
            assert attempted(connection, request).outcome.kind is Kind.BUDGET
        assert settled(connection, second) == [Kind.OK]
        settled(connection, a_request(item="3"))
        limits = [body["max_tokens"] for body in bodies(server)]
    assert limits == [50, 50, 40, 40]
    assert len(lines) == 1
    assert "less room than --max-tokens" in lines[0]


@pytest.mark.parametrize("fault", ["401", "quota", "404", "402", "403"])
def test_a_refused_run_costs_at_most_one_request_a_thread(fault: str) -> None:
    with (
        served(faults=Faults(always=fault)) as (server, connection),  # type: ignore[arg-type]  # all are faults
        ThreadPoolExecutor(8) as pool,
    ):
        together = threading.Barrier(8)

        def ask(number: int) -> bool:
            if number < 8:
                together.wait(FAILSAFE_S)
            try:
                outcome = attempted(connection, a_request(item=str(number))).outcome
            except EndpointRejected:
                return True
            return outcome.kind is Kind.FATAL_RUN

        assert all(pool.map(ask, range(60)))
        assert 1 <= server.state().hits <= 8


def test_later_calls_are_refused_with_the_servers_own_words() -> None:
    with served(faults=Faults(always="quota")) as (server, connection):
        attempted(connection, a_request())
        with pytest.raises(EndpointRejected, match="exceeded your current quota"):
            attempted(connection, a_request(item="2"))
        assert server.state().hits == 1


def refusal(message: str) -> RawReply:
    return RawReply(400, json.dumps({"error": {"message": message}}))


def kinds_of(connection: Connection, count: int) -> list[Kind]:
    return [
        attempted(connection, a_text(item=str(number))).outcome.kind
        for number in range(count)
    ]


def test_the_same_refusal_of_the_first_three_ends_the_run() -> None:
    with served(faults=Faults(script=[refusal("no")] * 9)) as (server, connection):
        kinds = kinds_of(connection, 3)
        assert kinds == [Kind.FATAL_ITEM, Kind.FATAL_ITEM, Kind.FATAL_RUN]
        with pytest.raises(EndpointRejected, match="answered 400: no, to every"):
            attempted(connection, a_request())
        assert server.state().hits == 3


@pytest.mark.parametrize(
    "script",
    [
        ["ok", *[refusal("no")] * 5],
        [refusal("no"), refusal("no"), "ok", *[refusal("no")] * 4],
        [refusal("a"), refusal("b"), refusal("a"), refusal("b"), refusal("a")],
        ["refusal"] * 5,
        ["length", *[refusal("no")] * 5],
    ],
)
def test_no_other_row_of_refusals_ends_it(script: list[Any]) -> None:
    with served(faults=Faults(script=script)) as (_, connection):
        assert Kind.FATAL_RUN not in kinds_of(connection, len(script))


def test_a_key_that_the_server_echoes_is_not_passed_on() -> None:
    with served(api_key="another") as (_, connection):
        outcome = attempted(connection, a_request()).outcome
        assert isinstance(outcome.error, EndpointRejected)
        assert "Incorrect API key provided: [redacted]" in str(outcome.error)
        with pytest.raises(EndpointRejected) as caught:
            attempted(connection, a_request())
    assert KEY not in str(caught.value)


def test_a_key_in_an_answer_is_not_passed_on() -> None:
    with served(answer=lambda _request: f"I was told {KEY}") as (_, connection):
        outcome = attempted(connection, a_request()).outcome
    assert outcome.text == "I was told [redacted]"


def test_a_key_is_in_no_representation() -> None:
    preset = Preset(name="p", base_url="http://127.0.0.1:1/v1", key_env="SOME_KEY")
    with closing(connection_to(preset.base_url, key_env="SOME_KEY")) as connection:
        assert KEY not in f"{preset!r} {connection!r} {vars(connection)!r}"


def test_nothing_ends_while_something_else_is_under_way() -> None:
    script: list[Any] = ["hang", *[refusal("no")] * 3]
    with (
        served(faults=Faults(script=script)) as (server, connection),
        ThreadPoolExecutor(1) as pool,
    ):
        pending = pool.submit(attempted, connection, a_text())
        server.wait_for(in_flight=1)
        kinds = kinds_of(connection, 3)
        server.close()
        pending.result(FAILSAFE_S)
    assert kinds == [Kind.FATAL_ITEM] * 3


def test_the_limit_is_told_what_each_attempt_showed() -> None:
    script: list[Any] = ["ok", "429", "503", "500", "loading", "400", "length"]
    limit = OpenLimit(wait_s=1.5)
    with (
        LoopbackLLM(faults=Faults(script=script, retry_after="4")) as server,
        closing(connection_to(server, limit=limit)) as connection,
    ):
        waits = [attempted(connection, a_text()).wait_s for _ in script]
    shown = [seen.kind for seen in limit.seen]
    assert shown == ["ok", "rate", "down", "fault", "loading", "other", "ok"]
    served = server.log()[0]
    both = served.prompt_tokens + served.completion_tokens
    assert limit.seen[0].tokens == both  # what a quota of tokens counts
    assert limit.seen[1].retry_after_s == 4.0
    assert limit.seen[1].said == "the server answered 429: Rate limit reached."
    assert all(seen.started_s <= seen.finished_s for seen in limit.seen)
    assert waits == [1.5] * 7


def test_calls_are_told_apart_and_attempts_of_one_are_not() -> None:
    limit = OpenLimit()
    with LoopbackLLM() as server, closing(connection_to(server, limit=limit)) as one:
        for item in ("1", "1", "2"):
            attempted(one, a_text(item=item))
    first, again, other = (seen.call for seen in limit.seen)
    assert first == again != other


def test_the_limit_is_told_before_the_permit_is_given_back() -> None:
    class Watched(OpenLimit):
        inside = 0

        @contextmanager
        def permit(self, stage: str, /) -> Iterator[OpenLimit]:
            assert stage == "generate"
            self.inside += 1
            try:
                yield self
            finally:
                self.inside -= 1

        def note(self, observation: Any, /) -> float:
            assert self.inside == 1
            return super().note(observation)

    limit = Watched()
    with LoopbackLLM() as server, closing(connection_to(server, limit=limit)) as one:
        attempted(one, a_text())
    assert (len(limit.seen), limit.inside) == (1, 0)


def test_the_only_model_of_a_server_is_found() -> None:
    with (
        LoopbackLLM(models=("lonely",)) as server,
        closing(connection_to(server, model=None)) as connection,
    ):
        assert connection.find_model() == "lonely"


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (
            {"models": ("a", "b")},
            r"offers 2 models \(a, b\); name .* by --model, OPENAI_MODEL",
        ),
        ({"models": ()}, r"offers 0 models \(\); name .* by --model, OPENAI_MODEL"),
    ],
)
def test_without_one_model_the_variable_to_set_is_named(
    behaviour: dict[str, Any], said: str
) -> None:
    with (
        LoopbackLLM(**behaviour) as server,
        closing(connection_to(server, model=None)) as connection,
        pytest.raises(SettingsError, match=said),
    ):
        connection.find_model()


class Lister(HTTPServer):
    """Answers each request with the next of its replies."""

    replies: list[tuple[int, bytes]]


class Listing(BaseHTTPRequestHandler):
    server: Lister

    def do_GET(self) -> None:
        status, body = self.server.replies.pop(0)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@contextmanager
def listing(*replies: tuple[int, object]) -> Iterator[str]:
    """The URL of a server that lists models so."""
    with Lister(("127.0.0.1", 0), Listing) as server:
        server.replies = [(code, json.dumps(body).encode()) for code, body in replies]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join(FAILSAFE_S)


def test_a_server_that_loads_its_model_is_waited_for_and_it_is_said_once() -> None:
    loading = (503, {"error": {"code": 503, "message": "Loading model"}})
    limit = OpenLimit()
    lines: list[str] = []
    with (
        listing(loading, loading, (200, {"data": [{"id": "m7"}]})) as url,
        closing(
            connection_to(url, model=None, limit=limit, say=lines.append)
        ) as connection,
    ):
        assert connection.find_model() == "m7"
    assert limit.naps == [2.0, 2.0]
    assert len(lines) == 1


def test_a_list_of_models_at_a_wrong_address_says_so() -> None:
    said = {"error": "Unexpected endpoint or method. (GET /models)"}
    with (
        listing((200, said)) as url,
        closing(connection_to(url, model=None)) as connection,
        pytest.raises(SettingsError, match="base URL end in /v1"),
    ):
        connection.find_model()


def test_a_key_that_may_not_list_models_is_refused_without_being_repeated() -> None:
    with (
        LoopbackLLM(api_key="another") as server,
        closing(connection_to(server, model=None)) as connection,
        pytest.raises(EndpointRejected, match="401: Incorrect API key") as caught,
    ):
        connection.find_model()
    assert KEY not in str(caught.value)


def test_a_server_that_is_not_there_is_said_with_the_variable_to_set() -> None:
    with LoopbackLLM() as server:
        url = server.base_url
    with (
        closing(connection_to(url, model=None)) as connection,
        pytest.raises(
            SettingsError, match=r"\(connection failed .*; name .* by --model"
        ),
    ):
        connection.find_model()


def test_an_item_is_refused_in_the_servers_words() -> None:
    with served(faults=Faults(script=["context_openai"])) as (_, connection):
        outcome = attempted(connection, a_request()).outcome
    assert isinstance(outcome.error, ItemRejected)
    assert "maximum context length is 4096 tokens" in str(outcome.error)
