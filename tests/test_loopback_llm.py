"""The simulated server over HTTP: habits, times, caps, log, and rough handling."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from pydantic import BaseModel, Field

from tests.loopback_ask import Got, ask, chat_body, connect, schema_format, send
from tests.loopback_llm import (
    FAILSAFE_S,
    ChatRequest,
    Faults,
    Fixed,
    InFlightCap,
    Lognormal,
    LoopbackLLM,
    RateCap,
    Slots,
    Uniform,
)

FOREVER_S = 3600.0


class ArticleScore(BaseModel):
    score: int = Field(ge=1, le=10)
    justification: str


FORMAT = schema_format("article_score", ArticleScore.model_json_schema())
IN_FORM: dict[str, Any] = {"response_format": FORMAT}
LINE = (
    f"Judge.\nJSON schema article_score:\n{json.dumps(FORMAT['json_schema']['schema'])}"
)


@pytest.fixture
def client_of() -> Iterator[Callable[[LoopbackLLM], OpenAI]]:
    """Makes clients as the program has them, without the SDK's retries."""
    clients: list[OpenAI] = []

    def make(server: LoopbackLLM) -> OpenAI:
        clients.append(OpenAI(base_url=server.base_url, api_key="k", max_retries=0))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


class Askers:
    """Requests under way, one thread each."""

    def __init__(self, server: LoopbackLLM, pool: ThreadPoolExecutor) -> None:
        self._server = server
        self._pool = pool

    def ask(self, text: str) -> "Future[Got]":
        return self._pool.submit(ask, self._server, text)


def test_a_schema_is_answered_in_its_form(
    client_of: Callable[[LoopbackLLM], OpenAI],
) -> None:
    with LoopbackLLM() as server:
        reply = client_of(server).chat.completions.create(
            model="some-model",
            messages=[{"role": "user", "content": "Judge."}],
            **IN_FORM,
        )
    ArticleScore.model_validate_json(reply.choices[0].message.content or "")
    assert reply.model == "some-model"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == (
        reply.usage.prompt_tokens + reply.usage.completion_tokens
    )


def test_the_models_are_listed(client_of: Callable[[LoopbackLLM], OpenAI]) -> None:
    with LoopbackLLM(models=("one", "two")) as server:
        listed = client_of(server).models.list()
        assert [model.id for model in listed.data] == ["one", "two"]
        assert server.state().hits == 0


def test_a_server_that_refuses_schemas_names_the_parameter(
    client_of: Callable[[LoopbackLLM], OpenAI],
) -> None:
    with LoopbackLLM(habit="refuses_schema") as server:
        with pytest.raises(BadRequestError, match="response_format") as caught:
            client_of(server).chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": "Judge."}],
                **IN_FORM,
            )
        assert caught.value.param == "response_format"
        stepped = ask(server, LINE, response_format={"type": "json_object"})
        ArticleScore.model_validate_json(stepped.content)


def test_a_server_may_refuse_every_response_format() -> None:
    with LoopbackLLM(habit="refuses_schema", refuses_json_object=True) as server:
        refused = ask(server, LINE, response_format={"type": "json_object"})
        assert refused.status == 400
        ArticleScore.model_validate_json(ask(server, LINE).content)


@pytest.mark.parametrize("fields", [{"response_format": FORMAT}, {}])
def test_a_server_that_ignores_schemas_talks_around_the_object(
    fields: dict[str, Any],
) -> None:
    with LoopbackLLM(habit="ignores_schema") as server:
        content = ask(server, "Judge." if fields else LINE, **fields).content
    assert content.startswith("<think>")
    inner = content.partition("```json\n")[2].partition("\n```")[0]
    ArticleScore.model_validate_json(inner)


def test_the_same_work_has_the_same_answer_under_every_habit() -> None:
    with LoopbackLLM() as plain, LoopbackLLM(habit="ignores_schema") as chatty:
        content = ask(plain, "Judge.", response_format=FORMAT).content
        assert content in ask(chatty, LINE).content


@pytest.mark.parametrize("name", ["temperature", "seed", "max_tokens"])
def test_a_refused_parameter_is_named(
    client_of: Callable[[LoopbackLLM], OpenAI], name: str
) -> None:
    given: dict[str, Any] = {name: 1}
    with LoopbackLLM(refuses={name}) as server:
        with pytest.raises(BadRequestError, match=f"'{name}'") as caught:
            client_of(server).chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Write."}], **given
            )
        assert caught.value.param == name
        assert ("max_completion_tokens" in str(caught.value)) == (name == "max_tokens")
        assert ask(server).status == 200


def test_another_key_is_refused() -> None:
    with LoopbackLLM(api_key="right") as server:
        body = json.dumps(chat_body("Write.")).encode()
        assert send(server, body, key="wrong").status == 401
        assert send(server, body, key="right").status == 200


def test_usage_and_finish_reason_are_as_set() -> None:
    with LoopbackLLM(usage=False, finish_reason="length") as server:
        reply = ask(server).json
    assert "usage" not in reply
    assert reply["choices"][0]["finish_reason"] == "length"


def test_max_tokens_is_obeyed_on_request() -> None:
    with LoopbackLLM(obeys_max_tokens=True) as server:
        cut = ask(server, max_tokens=20).json
        whole = ask(server, max_tokens=2000).json
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] <= 20
    assert whole["choices"][0]["finish_reason"] == "stop"


def scripted(request: ChatRequest) -> str | dict[str, int] | None:
    if "object" in request.text:
        return {"n": 1}
    return "as scripted" if "text" in request.text else None


@pytest.mark.parametrize("process", [False, True])
def test_an_answer_can_be_scripted(process: bool) -> None:
    with LoopbackLLM(answer=scripted, process=process) as server:
        assert ask(server, "text").content == "as scripted"
        assert ask(server, "object").content == '{"n": 1}'
        assert ask(server, "usual").content.startswith("# ")


def test_a_scripted_answer_that_fails_says_so() -> None:
    def fails(_: ChatRequest) -> str:
        raise KeyError("typo")

    with LoopbackLLM(answer=fails) as server:
        got = ask(server)
    assert got.status == 500
    assert "KeyError('typo')" in got.json["error"]["message"]


def test_a_time_depends_on_seed_and_item_alone() -> None:
    texts = [f"Write about tea {number}." for number in range(6)]
    times: list[dict[str, float]] = []
    for order in (texts, texts[::-1]):
        with LoopbackLLM(seed=7, service=Uniform(0.001, 0.004)) as server:
            for text in order:
                ask(server, text)
        times.append({one.item: one.service_s for one in server.log()})
        for one in server.log():
            assert one.service_s == server.service_time_s(one.item, stage=one.stage)
            assert one.finished_s - one.started_s >= one.service_s - 0.001
    assert times[0] == times[1]
    assert len(set(times[0].values())) == 6
    other = LoopbackLLM(seed=8, service=Uniform(0.001, 0.004))
    assert all(
        other.service_time_s(item, stage="generate") != time_s
        for item, time_s in times[0].items()
    )


def test_lognormal_times_have_their_median_and_spread() -> None:
    service = Lognormal(median_s=2.0, sigma=0.5)
    assert service.time_s(0.5) == pytest.approx(2.0)
    assert service.time_s(0.8413447) == pytest.approx(2.0 * 2.718281828**0.5)
    server = LoopbackLLM(service=service)
    drawn = sorted(server.service_time_s(f"{n:x}", stage="score") for n in range(2001))
    assert drawn[1000] == pytest.approx(2.0, rel=0.05)


def test_each_stage_can_have_its_own_service() -> None:
    service = {"generate": Fixed(3.0), "default": Fixed(1.0)}
    server = LoopbackLLM(service=service)
    assert server.service_time_s("a", stage="generate") == 3.0
    assert server.service_time_s("a", stage="score") == 1.0


@pytest.mark.parametrize("process", [False, True])
def test_the_log_tells_what_was_asked(process: bool) -> None:
    with LoopbackLLM(keep_bodies=True, process=process) as server:
        ask(server, "Judge.", response_format=FORMAT, seed=3, temperature=0.5)
        ask(server, "Write.")
        assert (server.pid == os.getpid()) == (not process)
    score, draft = server.log()
    assert (score.stage, draft.stage) == ("score", "generate")
    assert score.body is not None
    assert score.body["seed"] == 3
    assert score.body["response_format"] == FORMAT
    assert score.body_digest != draft.body_digest
    assert score.arrived_s <= score.started_s <= score.finished_s <= draft.arrived_s
    assert (score.status, score.fault, score.attempt) == (200, "ok", 1)
    assert score.prompt_tokens >= 1
    assert score.completion_tokens > 1


def test_repeats_of_an_item_are_counted() -> None:
    with LoopbackLLM() as server:
        for text in ("a", "b", "a"):
            ask(server, text)
    assert [one.attempt for one in server.log()] == [1, 1, 2]


def test_one_too_many_in_flight_is_refused_at_once() -> None:
    caps = InFlightCap(2, retry_after="1")
    with (
        ThreadPoolExecutor(3) as pool,
        LoopbackLLM(service=Fixed(FOREVER_S), caps=caps) as server,
    ):
        asking = Askers(server, pool)
        held = [asking.ask("a"), asking.ask("b")]
        server.wait_for(in_flight=2)
        refused = asking.ask("c").result(FAILSAFE_S)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert not any(future.done() for future in held)
        (logged,) = server.log()
        assert (logged.fault, logged.in_flight, logged.service_s) == ("cap", 3, 0.0)
        server.close()  # releases the held ones without an answer
        assert all(future.exception(FAILSAFE_S) for future in held)


def test_a_place_left_by_a_client_is_free_again() -> None:
    service = {"generate": Fixed(FOREVER_S), "default": Fixed(0.0)}
    with LoopbackLLM(service=service, caps=InFlightCap(1)) as server:
        leaver = connect(server)
        body = json.dumps(chat_body("Write."))
        leaver.request("POST", "/v1/chat/completions", body)
        server.wait_for(in_flight=1)
        leaver.close()
        server.wait_for(finished=1)
        assert ask(server, LINE).status == 200
    assert [one.fault for one in server.log()] == ["abandoned", "ok"]


def test_the_work_for_a_client_that_left_is_dropped() -> None:
    with LoopbackLLM(service=Fixed(0.03)) as server:
        leaver = connect(server)
        leaver.request("POST", "/v1/chat/completions", json.dumps(chat_body("Write.")))
        server.wait_for(in_flight=1)
        leaver.close()
        server.wait_for(finished=1)
        ask(server)  # ends after the first would have
    assert [one.fault for one in server.log()] == ["abandoned", "ok"]


def test_a_rate_is_held_after_its_burst() -> None:
    caps = RateCap(per_s=0.001, burst=3, retry_after="2", sends_headers=True)
    with LoopbackLLM(caps=caps) as server:
        got = [ask(server, str(number)) for number in range(5)]
    assert [one.status for one in got] == [200, 200, 200, 429, 429]
    assert got[3].headers["retry-after"] == "2"
    left = [one.headers["x-ratelimit-remaining-requests"] for one in got]
    assert left == ["2", "1", "0", "0", "0"]
    assert got[2].headers["x-ratelimit-limit-requests"] == "3"
    assert float(got[2].headers["x-ratelimit-reset-requests"].rstrip("s")) > 2900


def test_a_rate_refills() -> None:
    with LoopbackLLM(caps=RateCap(per_s=1000.0, burst=1)) as server:
        good = sum(ask(server, str(n)).status == 200 for n in range(50))
    assert good > 10


def test_slots_make_the_rest_wait_in_line() -> None:
    service = Uniform(0.002, 0.006)
    with (
        ThreadPoolExecutor(12) as pool,
        LoopbackLLM(service=service, caps=Slots(2)) as server,
    ):
        asking = Askers(server, pool)
        got = [asking.ask(str(number)) for number in range(12)]
        assert all(one.result(FAILSAFE_S).status == 200 for one in got)
        log = server.log()
    edges = [(one.started_s, 1) for one in log] + [(one.finished_s, -1) for one in log]
    at_once = itertools.accumulate(step for _, step in sorted(edges))
    assert max(at_once) == 2
    by_arrival = sorted(log, key=lambda one: one.arrived_s)
    starts = [one.started_s for one in by_arrival]
    assert starts == sorted(starts)


def test_many_waiting_without_service_time_do_not_pile_up() -> None:
    with LoopbackLLM(faults=Faults(script=["hang"]), caps=Slots(1)) as server:
        first, *waiting = [connect(server) for _ in range(101)]
        for number, connection in enumerate([first, *waiting], start=1):
            body = json.dumps(chat_body(LINE))
            connection.request("POST", "/v1/chat/completions", body)
            server.wait_for(in_flight=number)
        first.close()  # gives up the only place
        assert {one.getresponse().status for one in waiting} == {200}
        for connection in waiting:
            connection.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: -4\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET //[ HTTP/1.1\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_nonsense_is_answered_and_survived(raw: bytes) -> None:
    with LoopbackLLM() as server:
        connection = connect(server)
        connection.connect()
        connection.sock.sendall(raw)
        status = 411 if b"chunked" in raw else 4
        assert connection.sock.recv(100).startswith(f"HTTP/1.1 {status}".encode())
        connection.close()
        assert ask(server).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"model": "\\ud800", "messages": [{"content": "\\ud800"}], "seed": [1]}',
        json.dumps(chat_body("x", response_format=schema_format("a", {"$ref": "#"})))
        .encode(),
        json.dumps(chat_body("x", response_format={"type": {}, "json_schema": 3}))
        .encode(),
    ],
)  # fmt: skip
def test_a_strange_body_gets_a_response_in_json(body: bytes) -> None:
    with LoopbackLLM() as server:
        got = send(server, body)
        assert isinstance(got.json, dict)
        assert ask(server).status == 200
    assert len(server.log()) == 2


def test_a_body_of_many_megabytes_is_read() -> None:
    with LoopbackLLM() as server:
        assert ask(server, "long " * 2_000_000).status == 200


def test_a_connection_serves_many_requests() -> None:
    with LoopbackLLM() as server:
        connection = connect(server)
        for number in range(3):
            body = json.dumps(chat_body(str(number)))
            connection.request("POST", "/v1/chat/completions", body)
            socket_used = connection.sock
            assert connection.getresponse().read()
            assert connection.sock is socket_used
        connection.close()


def test_waiting_for_what_does_not_come_ends() -> None:
    with LoopbackLLM() as server, pytest.raises(TimeoutError):
        server.wait_for(hits=1, timeout_s=0.05)


def test_a_closed_server_leaves_no_thread() -> None:
    with LoopbackLLM() as server:
        ask(server)
    assert not any(thread.name == "loopback" for thread in threading.enumerate())
    with pytest.raises(ConnectionRefusedError):
        ask(server)


def test_a_port_in_use_is_an_error() -> None:
    with LoopbackLLM() as server:
        port = int(server.base_url.removesuffix("/v1").rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            LoopbackLLM(port=port).__enter__()


def test_it_can_be_started_by_hand() -> None:
    command = [sys.executable, "-m", "tests.loopback_llm", "--rate-429", "1"]
    with subprocess.Popen(  # noqa: S603  (our own module)
        [*command, "--retry-after", "3", "--slots", "2"],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().strip().removesuffix("/v1").split(":")[2])
        # Only for its address: nothing is started.
        server = LoopbackLLM(port=port)
        server.__dict__["_host"] = type("Host", (), {"port": port})
        got = ask(server)
        process.send_signal(signal.SIGINT)
        assert process.wait(FAILSAFE_S) == 0
    assert (got.status, got.headers["retry-after"]) == (429, "3")
