"""One endpoint: what it learns from refusals, when it ends a run, what it hides."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import EndpointRejected, ItemRejected, SettingsError
from pipeline.llm.abilities import OBJECT, PROMPT, SCHEMA, Abilities
from pipeline.llm.call import Call, CallOptions, Request, strict_schema
from pipeline.llm.connection import Connection, Endpoint
from pipeline.llm.outcome import Kind
from pipeline.llm.presets import Preset
from tests.fakes import FAILSAFE_S, KEY, OpenGate, Verdict, asking, connection_to
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


@contextmanager
def served(**behaviour: Any) -> Iterator[tuple[LoopbackLLM, Connection]]:
    with (
        LoopbackLLM(keep_bodies=True, **behaviour) as server,
        closing(connection_to(server)) as connection,
    ):
        yield server, connection


def settled(connection: Connection, request: Request) -> list[Kind]:
    """What came of each attempt, until one is no step-down."""
    kinds: list[Kind] = []
    while len(kinds) < 12 and kinds[-1:] in ([], [Kind.STEP_DOWN]):
        kinds.append(connection.attempt(request)[0].kind)
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


def test_calls_that_were_refused_together_step_down_once() -> None:
    abilities = Abilities()
    for _ in range(8):
        abilities.give_up("response_format", form=SCHEMA)
        abilities.give_up("max_tokens", form=SCHEMA)
    assert abilities.form == OBJECT
    assert abilities.taken({"max_tokens": 5}) == {"max_completion_tokens": 5}
    abilities.give_up("response_format", form=OBJECT)
    assert abilities.form == PROMPT
    abilities.give_up("response_format", form=SCHEMA)  # late: it was sent long ago
    assert abilities.form == PROMPT


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
                outcome, _, _ = connection.attempt(a_request(item=str(number)))
            except EndpointRejected:
                return True
            return outcome.kind is Kind.FATAL_RUN

        assert all(pool.map(ask, range(60)))
        assert 1 <= server.state().hits <= 8


def test_later_calls_are_refused_with_the_servers_own_words() -> None:
    with served(faults=Faults(always="quota")) as (server, connection):
        connection.attempt(a_request())
        with pytest.raises(EndpointRejected, match="exceeded your current quota"):
            connection.attempt(a_request(item="2"))
        assert server.state().hits == 1


def refusal(message: str) -> RawReply:
    return RawReply(400, json.dumps({"error": {"message": message}}))


def kinds_of(connection: Connection, count: int) -> list[Kind]:
    return [
        connection.attempt(a_request(item=str(number)))[0].kind
        for number in range(count)
    ]


def test_the_same_refusal_of_the_first_three_ends_the_run() -> None:
    with served(faults=Faults(script=[refusal("no")] * 9)) as (server, connection):
        kinds = kinds_of(connection, 3)
        assert kinds == [Kind.FATAL_ITEM, Kind.FATAL_ITEM, Kind.FATAL_RUN]
        with pytest.raises(EndpointRejected, match="answered 400: no, to every"):
            connection.attempt(a_request())
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
        outcome, _, _ = connection.attempt(a_request())
        assert isinstance(outcome.error, EndpointRejected)
        assert "Incorrect API key provided: [redacted]" in str(outcome.error)
        with pytest.raises(EndpointRejected) as caught:
            connection.attempt(a_request())
    assert KEY not in str(caught.value)


def test_a_key_in_an_answer_is_not_passed_on() -> None:
    with served(answer=lambda _request: f"I was told {KEY}") as (_, connection):
        outcome, _, _ = connection.attempt(a_request())
    assert outcome.text == "I was told [redacted]"


def test_a_key_is_in_no_representation() -> None:
    preset = Preset(name="p", base_url="http://127.0.0.1:1/v1", key_env="SOME_KEY")
    endpoint = Endpoint(preset=preset, base_url=preset.base_url, api_key=KEY)
    with closing(Connection(endpoint, OpenGate())) as connection:
        assert KEY not in f"{endpoint!r} {preset!r} {connection!r} {vars(connection)!r}"


def test_the_gate_is_told_what_each_attempt_showed() -> None:
    script: list[Any] = ["ok", "429", "500", "loading", "400", "length"]
    gate = OpenGate(wait_s=1.5)
    with (
        LoopbackLLM(faults=Faults(script=script, retry_after="4")) as server,
        closing(connection_to(server, gate=gate)) as connection,
    ):
        waits = [connection.attempt(a_request())[2] for _ in script]
    shown = [seen.kind for seen in gate.seen]
    assert shown == ["ok", "rate", "transient", "loading", "other", "ok"]
    assert {seen.group for seen in gate.seen} == {"score"}
    served = server.log()[0]
    assert gate.seen[0].work == served.completion_tokens > 0
    both = served.prompt_tokens + served.completion_tokens
    assert gate.seen[0].tokens == both  # what a quota of tokens counts
    assert gate.seen[1].retry_after_s == 4.0
    assert all(seen.started_s <= seen.finished_s for seen in gate.seen)
    assert waits == [1.5] * 6


def test_the_place_is_given_back_before_the_gate_is_told() -> None:
    class Watched(OpenGate):
        inside = 0

        @contextmanager
        def admit(self, _group: str = "", /) -> Iterator[None]:
            self.inside += 1
            try:
                yield
            finally:
                self.inside -= 1

        def note(self, observation: Any, /) -> float:
            assert self.inside == 0
            return super().note(observation)

    gate = Watched()
    with LoopbackLLM() as server, closing(connection_to(server, gate=gate)) as one:
        one.attempt(a_request())
    assert len(gate.seen) == 1


def test_the_only_model_of_a_server_is_found() -> None:
    with (
        LoopbackLLM(models=("lonely",)) as server,
        closing(connection_to(server, model=None)) as connection,
    ):
        assert connection.find_model() == "lonely"


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"models": ("a", "b")}, r"offers 2 models \(a, b\); set OPENAI_MODEL"),
        ({"models": ()}, r"offers 0 models \(\); set OPENAI_MODEL"),
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
        pytest.raises(SettingsError, match=r"\(connection failed .*; set OPENAI_MODEL"),
    ):
        connection.find_model()


def test_an_item_is_refused_in_the_servers_words() -> None:
    with served(faults=Faults(script=["context_openai"])) as (_, connection):
        outcome, _, _ = connection.attempt(a_request())
    assert isinstance(outcome.error, ItemRejected)
    assert "maximum context length is 4096 tokens" in str(outcome.error)
