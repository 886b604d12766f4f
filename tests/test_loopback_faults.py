"""What goes wrong on request: each fault as a client sees it, and when it comes."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args

import openai
import pytest
from openai import OpenAI

from tests.loopback_ask import ask, connect, schema_format
from tests.loopback_errors import AT_ONCE
from tests.loopback_faults import RATES, Fault, FaultPlan, Scripted
from tests.loopback_llm import Faults, Fixed, LoopbackLLM, RawReply, Uniform
from tests.loopback_request import parse_chat_request

SCHEMA = {
    "type": "object",
    "properties": {key: {"type": "string"} for key in ("claim", "tone", "audience")},
}
CARD: dict[str, Any] = {"response_format": schema_format("article_card", SCHEMA)}


@pytest.fixture
def http_clients() -> Iterator[list[OpenAI]]:
    clients: list[OpenAI] = []
    yield clients
    for client in clients:
        client.close()


def always(fault: Fault | int) -> LoopbackLLM:
    return LoopbackLLM(faults=Faults(always=fault, retry_after="7"))


@pytest.mark.parametrize("fault", [name for name in get_args(Fault) if name in AT_ONCE])
def test_a_refusal_has_its_status_and_openais_form(fault: Fault) -> None:
    with always(fault) as server:
        got = ask(server)
    error = got.json["error"]
    assert {"message", "type", "param", "code"} == set(error)
    statuses = {"quota": 429, "context": 400, "context_openai": 400, "loading": 503}
    statuses |= {"content_filter_400": 400}
    assert got.status == (statuses.get(fault) or int(fault.removesuffix("_retry")))
    assert got.headers.get("retry-after") == (
        "7" if fault in {"429", "402_retry"} else None
    )


def test_the_refusals_that_a_client_must_tell_apart_are_told_apart() -> None:
    def error(fault: Fault) -> dict[str, Any]:
        with always(fault) as server:
            return dict(ask(server).json["error"])

    assert error("quota")["code"] == "insufficient_quota"
    assert "exceeded your current quota" in error("quota")["message"]
    assert error("context")["code"] == "400"  # a string
    assert "context" in error("context")["message"]
    assert error("loading")["message"] == "Loading model"
    assert "`m`" in error("404")["message"]


def test_a_wrong_key_is_echoed_and_refused_for_the_models_too(
    http_clients: list[OpenAI],
) -> None:
    with always(401) as server:
        url = server.base_url
        http_clients.append(OpenAI(base_url=url, api_key="sk-secret", max_retries=0))
        with pytest.raises(openai.AuthenticationError):
            http_clients[0].models.list()
        with pytest.raises(openai.AuthenticationError, match="sk-secret"):
            http_clients[0].chat.completions.create(
                model="m", messages=[{"role": "user", "content": "x"}]
            )


SEEN_BY_THE_SDK = {
    "error_200": "choices is None",
    "html": "a str",
    "empty_body": "JSONDecodeError",
    "cut_body": "JSONDecodeError",
    "empty_choices": "no choice",
    "dropped": "APIConnectionError",
    "dropped_partial": "APIConnectionError",
    "finish_error": "finish error",
    "length": "finish length",
    "content_filter": "finish content_filter",
    "refusal": "refused",
    "empty_content": "empty",
    "ok": "text",
}


def what_the_sdk_sees(client: OpenAI) -> str:
    try:
        reply: Any = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Write."}]
        )
    except (json.JSONDecodeError, openai.APIError) as error:
        return type(error).__name__
    if isinstance(reply, str):
        return "a str"
    if reply.choices is None:
        return "choices is None"
    if not reply.choices:
        return "no choice"
    (choice,) = reply.choices
    if choice.finish_reason != "stop":
        return f"finish {choice.finish_reason}"
    if choice.message.refusal:
        return "refused"
    return "text" if choice.message.content else "empty"


@pytest.mark.parametrize("fault", SEEN_BY_THE_SDK)
def test_a_spoilt_answer_reaches_the_sdk(
    fault: Fault, http_clients: list[OpenAI]
) -> None:
    with always(fault) as server:
        url = server.base_url
        http_clients.append(OpenAI(base_url=url, api_key="k", max_retries=0))
        assert what_the_sdk_sees(http_clients[0]) == SEEN_BY_THE_SDK[fault]
    (served,) = server.log()
    assert served.fault == fault
    assert served.status == (0 if fault.startswith("dropped") else 200)
    assert served.is_good == (fault == "ok")


@pytest.mark.parametrize("habit", ["json_schema", "ignores_schema"])
def test_a_cut_reply_ends_inside_its_object(habit: Any) -> None:
    with LoopbackLLM(faults=Faults(always="cut_json"), habit=habit) as server:
        content = ask(server, **CARD).content
        assert ask(server).content.endswith("\n")  # an article stays whole
    start = content.index('{"claim"')
    assert "}" not in content[start:]
    assert len(content) - start > 20
    assert [one.fault for one in server.log()] == ["cut_json", "ok"]


def test_a_reply_of_another_form_is_json_all_the_same() -> None:
    with always("wrong_schema") as server:
        assert not set(json.loads(ask(server, **CARD).content)) & set(
            SCHEMA["properties"]
        )
    with always("not_json") as server, pytest.raises(json.JSONDecodeError):
        json.loads(ask(server, **CARD).content)


def test_a_script_gives_the_first_requests_their_fate() -> None:
    raw = RawReply(418, "short and stout", {"retry-after": "120ms"})
    script: list[Scripted] = [429, "ok", raw, "empty_choices"]
    with LoopbackLLM(faults=Faults(script=script, retry_after="1")) as server:
        got = [ask(server) for _ in range(5)]
    assert [one.status for one in got] == [429, 200, 418, 200, 200]
    assert got[0].headers["retry-after"] == "1"
    assert (got[2].body, got[2].headers["retry-after"]) == (b"short and stout", "120ms")
    assert [len(got[3].json["choices"]), len(got[4].json["choices"])] == [0, 1]
    faults = ["429", "ok", "raw", "empty_choices", "ok"]
    assert [one.fault for one in server.log()] == faults


def test_refused_requests_use_up_neither_script_nor_attempts() -> None:
    faults = Faults(script=[500])
    with LoopbackLLM(faults=faults, refuses={"temperature"}) as server:
        assert ask(server, temperature=1).status == 400
        assert ask(server).status == 500
    assert [one.attempt for one in server.log()] == [0, 1]


def test_a_hang_lasts_until_the_client_leaves() -> None:
    with LoopbackLLM(faults=Faults(script=["hang"])) as server:
        connection = connect(server)
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps({"model": "m", "messages": [{"content": "x"}]}),
        )
        server.wait_for(in_flight=1)
        assert ask(server).status == 200
        connection.close()
        server.wait_for(finished=2)
    assert server.log()[-1].fault == "abandoned"


def test_a_hang_with_an_end_is_answered_after_it() -> None:
    with LoopbackLLM(faults=Faults(always="hang", hang_s=0.02)) as server:
        assert ask(server).status == 200
    (served,) = server.log()
    assert served.finished_s - served.started_s >= 0.02 - 0.001


def test_a_trickled_answer_comes_whole_but_slowly() -> None:
    with LoopbackLLM(faults=Faults(script=["trickle"], trickle_s=0.1)) as server:
        slow, usual = ask(server), ask(server)
        assert slow.body == usual.body
        served, _ = server.log()
    assert served.finished_s - served.started_s >= 0.08
    assert served.is_good


def test_a_client_may_leave_during_a_trickle() -> None:
    with LoopbackLLM(faults=Faults(script=["trickle"], trickle_s=60.0)) as server:
        connection = connect(server)
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps({"model": "m", "messages": [{"content": "x"}]}),
        )
        response = connection.getresponse()
        assert response.read(5) == b'{"id"'
        response.close()
        connection.close()
        assert server.wait_for(finished=1).in_flight == 0


def plan_request(text: str, **fields: Any) -> Any:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    return parse_chat_request(json.dumps(body).encode())


def test_an_outage_lies_between_two_times() -> None:
    plan = FaultPlan(Faults(outage=(10.0, 20.0)))
    fates = [plan.decide(plan_request("x"), 100.0 + s)[0] for s in (0, 9, 10, 19, 20)]
    assert fates == ["ok", "ok", "503", "503", "ok"]


def test_faults_do_not_depend_on_the_order_of_arrival() -> None:
    faults = Faults(seed=3, rate_429=0.3, cut_json=0.3)
    requests = [plan_request(str(number), **CARD) for number in range(40)] * 2
    fates: list[Counter[tuple[str, int, object]]] = []
    for order in (requests, requests[::-1]):
        plan = FaultPlan(faults)
        decided = [(request.item, plan.decide(request, 0.0)) for request in order]
        fates.append(Counter((item, at, fate) for item, (fate, at) in decided))
    assert fates[0] == fates[1]
    other = FaultPlan(Faults(seed=4, rate_429=0.3, cut_json=0.3))
    again = Counter(
        (one.item, at, fate)
        for one in requests
        for fate, at in [other.decide(one, 0.0)]
    )
    assert again != fates[0]


def test_shares_are_kept_and_a_second_attempt_draws_anew() -> None:
    plan = FaultPlan(Faults(rate_429=0.1, rate_500=0.2, dropped=0.1))
    drawn = [plan.decide(plan_request(str(n)), 0.0)[0] for n in range(3000)]
    shares = {fate: count / 3000 for fate, count in Counter(drawn).items()}
    assert shares["429"] == pytest.approx(0.1, abs=0.02)
    assert shares["500"] == pytest.approx(0.2, abs=0.03)
    assert shares["dropped"] == pytest.approx(0.05, abs=0.02)
    assert shares["dropped_partial"] == pytest.approx(0.05, abs=0.02)
    second = [plan.decide(plan_request(str(n)), 0.0)[0] for n in range(3000)]
    assert second != drawn


def test_every_rate_is_a_field_and_names_a_fault() -> None:
    for field_name, fault in RATES.items():
        certain: dict[str, Any] = {field_name: 1.0}
        plan = FaultPlan(Faults(**certain))
        fate, _ = plan.decide(plan_request("x", **CARD), 0.0)
        assert str(fate).removesuffix("_partial") == fault


def test_faults_can_be_kept_to_first_attempts_and_to_stages() -> None:
    once = FaultPlan(Faults(rate_500=1.0, first_attempt_only=True))
    request = plan_request("x")
    assert [once.decide(request, 0.0)[0] for _ in range(2)] == ["500", "ok"]
    cards = FaultPlan(Faults(rate_500=1.0, stages=frozenset({"extract"})))
    assert cards.decide(request, 0.0)[0] == "ok"
    assert cards.decide(plan_request("x", **CARD), 0.0)[0] == "500"


def test_a_refusal_takes_no_service_time_and_a_spoilt_answer_does() -> None:
    faults = Faults(script=[500, "cut_body"])
    with LoopbackLLM(faults=faults, service=Fixed(0.01)) as server:
        ask(server)
        ask(server)
    refused, spoilt = server.log()
    assert (refused.service_s, spoilt.service_s) == (0.0, 0.01)
    assert spoilt.finished_s - spoilt.started_s >= 0.009


def test_a_dropped_reply_stops_inside_its_body() -> None:
    with always("dropped_partial") as server, pytest.raises(http.client.IncompleteRead):
        ask(server)


def test_a_mixed_run_is_the_same_twice() -> None:
    def run() -> list[tuple[str, str, int]]:
        faults = Faults(seed=5, rate_500=0.3, html=0.2, empty_choices=0.2)
        with LoopbackLLM(faults=faults, service=Uniform(0.0, 0.001)) as server:
            for number in range(30):
                ask(server, str(number))
        return [(one.item, one.fault, one.status) for one in server.log()]

    assert run() == run()
