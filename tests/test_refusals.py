"""What every refusal of a server means, in the servers' own forms."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import (
    EndpointRejected,
    ItemRejected,
    RateLimited,
    UnreadableReply,
)
from pipeline.llm.answers import outcome_of_status
from pipeline.llm.outcome import ANSWERED, Asked, Kind, Outcome

KEYS = ["error", "message", "detail", "loc", "msg", "code", "type", "metadata", "raw"]
CHOICE_KEYS = ["choices", "usage", "content", "finish_reason", "refusal", "param"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*KEYS, *CHOICE_KEYS]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
SCHEMA_SENT: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "card"}}
SENT: dict[str, Any] = {
    "temperature": 0.7,
    "max_tokens": 4000,
    "seed": 1,
    "response_format": SCHEMA_SENT,
    "stream": True,
    "stream_options": {"include_usage": True},
}
NO_FORM = {name: value for name, value in SENT.items() if name != "response_format"}


def of_status(
    status: int,
    body: object,
    *,
    headers: Mapping[str, str] | None = None,
    sent: Mapping[str, Any] = SENT,
    **asked: Any,
) -> Outcome:
    return outcome_of_status(
        status, body, headers=headers or {}, asked=Asked(sent=sent, **asked)
    )


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


# --- refusals: the run

DAY = {"retry-after": "86400"}
GEMINI_SAYS = "You exceeded your current quota, please check your plan and billing"


def gemini(message: str, *details: object) -> list[Any]:
    return [{"error": {"code": 429, "message": message, "details": list(details)}}]


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, error("Slow down"), Kind.RATE),
        (429, error("Used it up", code="insufficient_quota"), Kind.FATAL_RUN),
        (429, error("Your account is not active, check billing"), Kind.FATAL_RUN),
        (
            429,
            error("Quota exceeded for metric: x, limit: 0, model: y"),
            Kind.FATAL_RUN,
        ),
        (429, gemini(f"{GEMINI_SAYS}. Please retry in 17.2s."), Kind.RATE),
        (429, gemini(GEMINI_SAYS, RETRY_INFO), Kind.RATE),
        (429, gemini(GEMINI_SAYS), Kind.FATAL_RUN),
        (429, gemini(f"{GEMINI_SAYS} limit: 0. Retry in 9s."), Kind.FATAL_RUN),
        (
            429,
            gemini(GEMINI_SAYS, RETRY_INFO, {"violations": [{"quotaId": "XPerDayY"}]}),
            Kind.FATAL_RUN,
        ),
        (429, gemini("Resource has been exhausted (e.g. check quota)."), Kind.RATE),
        (429, error("free-models-per-day: add credits"), Kind.FATAL_RUN),
        (400, error("Budget has been exceeded! Max budget: 10"), Kind.FATAL_RUN),
        (400, error("Your credit balance is too low"), Kind.FATAL_RUN),
        (402, error("Insufficient Balance"), Kind.FATAL_RUN),
        (402, error("you can only afford 0"), Kind.FATAL_RUN),
        (
            403,
            {"code": "no permission", "error": "Your team doesn't have any credits"},
            Kind.FATAL_RUN,
        ),
        (401, error("Wrong key"), Kind.FATAL_RUN),
        (403, error("no such key"), Kind.FATAL_RUN),
        (405, "Method Not Allowed", Kind.FATAL_RUN),
        (404, error('model "m" not found, try pulling it first'), Kind.FATAL_RUN),
        (
            400,
            error("No models loaded. Please load a model", param="model"),
            Kind.FATAL_RUN,
        ),
        (400, error("The model `x` has been decommissioned"), Kind.FATAL_RUN),
    ],
)
def test_money_and_keys_end_the_run_and_busy_servers_do_not(
    status: int, body: object, kind: Kind
) -> None:
    outcome = of_status(status, body)
    assert outcome.kind is kind
    error_of = {Kind.RATE: RateLimited, Kind.FATAL_RUN: EndpointRejected}
    assert type(outcome.error) is error_of[kind]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (error("Slow down"), DAY),
        (error("Please retry after 86400 seconds."), {}),
        (error("Please try again in 16m2.5s."), {}),
        (
            error(
                "free-models-per-day", metadata={"headers": {"X-RateLimit-Reset": "R"}}
            ),
            {},
        ),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_longer_wait_than_the_run_allows_ends_it_at_once(
    status: int, body: Any, headers: dict[str, str]
) -> None:
    reset = datetime.now(UTC) + timedelta(hours=9)
    told = json.loads(
        json.dumps(body).replace('"R"', str(int(reset.timestamp() * 1000)))
    )
    outcome = of_status(status, told, headers=headers)
    assert outcome.kind is Kind.FATAL_RUN
    assert "it asks to wait" in str(outcome.error)
    assert of_status(status, told, headers=headers, longest_wait_s=1e6).kind in (
        Kind.RATE,
        Kind.DOWN,
    )


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (404, error('model "m" not found, try pulling it first'), "ollama pull"),
        (404, error("The model `m` does not exist"), "--model"),
        (404, {"detail": "Not Found"}, "/v1"),
        (404, "404 page not found", "/v1"),
        (404, "<html><head><title>404 Not Found</title></head></html>", "/v1"),
    ],
)
def test_a_404_says_what_to_do(status: int, body: object, word: str) -> None:
    outcome = of_status(status, body)
    assert outcome.kind is Kind.FATAL_RUN
    assert word in str(outcome.error)


# --- refusals: the endpoint and the call


@pytest.mark.parametrize("status", [502, 503, 529])
def test_an_endpoint_that_is_out_is_no_calls_fault(status: int) -> None:
    outcome = of_status(status, error("Overloaded"), headers={"retry-after": "4"})
    assert (outcome.kind, outcome.retry_after_s) == (Kind.DOWN, 4.0)


@pytest.mark.parametrize("status", [408, 409, 500, 504, 520, 521, 522, 523, 524, 599])
def test_other_faults_may_be_the_calls_own(status: int) -> None:
    assert of_status(status, error("Oh"), sent=NO_FORM).kind is Kind.TRANSIENT


def test_a_model_that_starts_is_waited_for() -> None:
    assert of_status(503, error("Loading model")).kind is Kind.LOADING
    assert (
        of_status(503, {"error": "Model x is currently loading"}).kind is Kind.LOADING
    )


def test_an_engine_that_died_is_an_outage() -> None:
    said = error("EngineCore encountered an issue. See stack trace", code=500)
    assert of_status(500, said).kind is Kind.DOWN


def test_a_model_that_crashed_is_asked_again() -> None:
    said = error("The model has crashed without additional information.")
    assert of_status(400, said).kind is Kind.TRANSIENT


def test_402_waits_where_it_says_for_how_long() -> None:
    outcome = of_status(402, error("Busy"), headers={"retry-after": "4"})
    assert (outcome.kind, outcome.retry_after_s) == (Kind.RATE, 4.0)


# --- refusals: the item


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (413, "Request too large for model `x`: Limit 12000, Requested 14137"),
        (429, "Request too large for gpt on tokens per min: Limit 3, Requested 2"),
        (429, "on tokens per minute (TPM): Limit 30,000, Used 0, Requested 36,055."),
        (400, "This model's maximum context length is 4096 tokens, you have 9000"),
        (422, "prompt is too long: 250000 tokens"),
        (500, "the request exceeds the available context size"),
        (400, "triggering Azure OpenAI's content management policy"),
        (403, "Your input was flagged by moderation"),
        (400, "Something else is wrong"),
        (418, "I am a teapot"),
    ],
)
def test_what_is_wrong_with_one_item_loses_that_one(status: int, message: str) -> None:
    outcome = of_status(status, error(message), sent=NO_FORM)
    assert (outcome.kind, type(outcome.error)) == (Kind.FATAL_ITEM, ItemRejected)


def test_a_limit_of_a_minute_that_is_used_up_is_no_request_that_is_too_large() -> None:
    said = error("(TPM): Limit 12000, Used 11034, Requested 1443. Try again in 2.3s.")
    outcome = of_status(429, said)
    assert (outcome.kind, outcome.retry_after_s) == (Kind.RATE, 2.3)


@pytest.mark.parametrize(
    ("status", "message", "room"),
    [
        (
            400,
            "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's"
            " maximum context length is 4096 tokens and your request has 120 input"
            " tokens (4000 > 4096 - 120).",
            3976,
        ),
        (400, "max_tokens is too large: 4000. This model supports at most 2048", 2048),
        (
            400,
            "maximum context length is 4,097 tokens. However, you requested 5000 tokens"
            " (1000 in the messages, 4000 in the completion).",
            3097,
        ),
        (400, "`max_tokens` must be less than or equal to `1024`", 1024),
        (400, "Invalid max_tokens value, the valid range is [1, 3000]", 3000),
        (422, "max_tokens: 4000 > 2000, which is the maximum allowed", 2000),
        (
            422,
            "`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 997 `inputs`",
            3100,
        ),
        (500, "The maximum tokens you requested exceeds the model limit of 512", 512),
        (402, "fewer max_tokens. You requested 4000, but can only afford 900", 900),
    ],
)
def test_a_server_that_names_its_room_is_asked_for_that_much(
    status: int, message: str, room: int
) -> None:
    outcome = of_status(status, error(message))
    assert (outcome.kind, outcome.room) == (Kind.BUDGET, room)


def test_no_room_at_all_is_a_prompt_that_is_too_long() -> None:
    said = "context length is 4096. You requested 9 (4500 in the messages)"
    assert of_status(400, error(f"max_tokens: maximum {said}")).kind is Kind.FATAL_ITEM
    limit = "maximum context length is 9, max_tokens asks 10"
    assert of_status(400, error(limit)).kind is Kind.FATAL_ITEM


def test_json_that_the_server_found_wrong_is_asked_again() -> None:
    said = error("Failed to generate JSON.", code="json_validate_failed")
    outcome = of_status(400, said)
    assert (outcome.kind, type(outcome.error)) == (Kind.REASK, UnreadableReply)


# --- refusals: a parameter


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (error("x", param="temperature"), "temperature"),
        (error("x", param="stream_options.include_usage"), "stream_options"),
        (error("Unsupported parameter: 'max_tokens'"), "max_tokens"),
        (error("`temperature` is deprecated for this model."), "temperature"),
        (error('Unknown name "seed": Cannot find field.'), "seed"),
        (error("Unrecognized request argument supplied: seed"), "seed"),
        (error("parameter: temperature is out of range"), "temperature"),
        (error("'stream_options' is not supported"), "stream_options"),
        (error("stream_options is unknown here"), "stream_options"),
        (error("'stream_options' is only allowed with 'stream'"), "stream_options"),
        (error("Unsupported parameter: 'stream'"), "stream"),
        (error("stream is not supported"), "stream"),
        (error("Streaming is not supported for this model"), "stream"),
        (error("temperature: Input should be less than 1"), "temperature"),
        (
            {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs", "input": 1}]},
            "seed",
        ),
        (
            {"message": {"detail": [{"loc": ["body", "seed"], "msg": "Extra"}]}},
            "seed",
        ),
        (
            error(
                "Provider returned error",
                metadata={"raw": '{"error": "temperature is not supported"}'},
            ),
            "temperature",
        ),
    ],
)
@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_refusal_that_names_what_we_sent_goes_again_without_it(
    status: int, body: object, parameter: str
) -> None:
    outcome = of_status(status, body, sent=NO_FORM)
    assert (outcome.kind, outcome.parameter) == (Kind.STEP_DOWN, parameter)


@pytest.mark.parametrize(
    "body",
    [
        error("Unsupported parameter: 'top_p'", param="top_p"),
        {"detail": [{"loc": ["body", "messages"], "input": {"temperature": 1}}]},
        error("A text about temperature and seed cannot be processed"),
        error("The stream of water is too hot, and its temperature is not known"),
    ],
)
def test_a_word_of_prose_names_no_parameter(body: object) -> None:
    assert of_status(400, body, sent=NO_FORM).kind is Kind.FATAL_ITEM


ROUTER = error(
    "Provider returned error",
    metadata={"raw": '{"message": "Unsupported JSON schema fields: [1]"}'},
)


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (error("'response_format' of type 'json_schema' is not supported"), None),
        (error("This response_format type is unavailable now"), None),
        (error("json_schema is not available"), None),
        (
            error("Extra inputs are not permitted", loc=["body", "response_format"]),
            None,
        ),
        (error("x", param="response_format.type"), "schema"),
        (error("Invalid schema for response_format 'card': In context=()"), "schema"),
        (error("Unsupported JSON schema fields: {'minItems'}"), "schema"),
        (error("schema produces a constraint that has too many states"), "schema"),
        (error("Failed to initialize samplers: failed to parse grammar"), "schema"),
        (error("schema contains features not supported by xgrammar."), "schema"),
        (ROUTER, "schema"),
        (error("Request contains an invalid argument."), "schema"),
        ("", "schema"),
    ],
)
def test_a_refused_form_is_the_endpoints_or_of_one_schema(
    body: object, parameter: str | None
) -> None:
    outcome = of_status(400, body)
    assert outcome.kind is Kind.STEP_DOWN
    assert outcome.parameter == (parameter or "response_format")


@pytest.mark.parametrize(
    "message",
    [
        "'response_format.type' must be 'json_schema' or 'text'",
        "response_format.type: Input should be 'json_schema'",
        "Prompt must contain 'json' to use 'response_format' of type 'json_object'.",
    ],
)
def test_a_refused_object_steps_down_too(message: str) -> None:
    sent = {**SENT, "response_format": {"type": "json_object"}}
    outcome = of_status(400, error(message), sent=sent)
    assert outcome.kind is Kind.STEP_DOWN
    assert outcome.parameter in ("response_format", "schema")


def test_a_refusal_without_a_reason_is_no_schemas_where_one_was_answered() -> None:
    said = error("Request contains an invalid argument.")
    assert of_status(400, said, is_proven=True).kind is Kind.FATAL_ITEM
    sent = {**SENT, "response_format": {"type": "json_object"}}
    assert of_status(400, said, sent=sent).kind is Kind.FATAL_ITEM


def test_a_500_must_come_twice_before_a_schema_is_blamed() -> None:
    said = error("Internal server error")
    assert of_status(500, said).kind is Kind.TRANSIENT
    assert of_status(500, said, faults=1).parameter == "schema"
    assert of_status(500, said, faults=1, is_proven=True).kind is Kind.TRANSIENT
    assert of_status(504, said, faults=1).kind is Kind.TRANSIENT


@pytest.mark.parametrize(
    "message",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Developer instruction is not enabled for models/gemma-3",
    ],
)
def test_a_refused_system_message_goes_into_the_users(message: str) -> None:
    refused = of_status(400, error(message), sent=NO_FORM, has_system=True)
    assert refused.parameter == "system"
    assert of_status(400, error(message), sent=NO_FORM).kind is Kind.FATAL_ITEM


def test_a_404_on_parameters_gives_them_up_one_by_one() -> None:
    said = error("No endpoints found that can handle the requested parameters.")
    sent, given_up = {**SENT, "provider": {"require_parameters": True}}, []
    while (outcome := of_status(404, said, sent=sent)).kind is Kind.STEP_DOWN:
        assert outcome.parameter is not None
        given_up.append(outcome.parameter)
        del sent[outcome.parameter]
    assert set(given_up) == set(SENT)
    assert outcome.kind is Kind.FATAL_ITEM
    assert "models.yaml" in str(outcome.error)


# --- the words


def test_a_mark_far_inside_a_long_message_is_found() -> None:
    message = "x " * 300 + "insufficient_quota"
    assert of_status(429, error(message)).kind is Kind.FATAL_RUN


def test_a_reason_is_one_line_and_says_much() -> None:
    reason = str(of_status(418, error("a\nb " * 900)).error)
    assert reason.startswith("the server answered 418: a b a b")
    assert 1000 < len(reason) < 1060
    assert "\n" not in reason


def test_a_page_is_told_by_its_title_and_never_shown() -> None:
    page = "<!DOCTYPE html><html><head><title>502\n Bad &amp; Gateway</title></head></html>"
    for told in (page, error(f"Upstream said: {page}"), {"detail": page}):
        reason = str(of_status(502, told).error)
        assert reason.endswith("an HTML page (502 Bad & Gateway)")
        assert "<" not in reason
    assert str(of_status(503, "<p>").error).endswith("503: an HTML page")


def test_a_proxy_that_gave_up_is_named_as_the_cause() -> None:
    page = "<html><title>example.com | 524: A timeout occurred</title></html>"
    reason = str(of_status(524, page).error)
    assert "A timeout occurred" in reason
    assert "in front" in reason


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": [{"loc": ["body", "n"], "msg": "not permitted"}]}, "body n"),
        ({"error": "in plain words"}, "in plain words"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ({"object": "error", "message": {"detail": [{"msg": "deep"}]}}, "deep"),
        (
            error("Provider returned error", metadata={"raw": "limited upstream"}),
            "Provider returned error: limited upstream",
        ),
        (
            error("Wrapped", metadata={"raw": '{"error": {"message": "inner"}}'}),
            "Wrapped: inner",
        ),
        ("just text", "just text"),
    ],
)
def test_the_servers_words_are_found_wherever_they_stand(
    body: object, said: str
) -> None:
    assert said in str(of_status(418, body).error)


@given(status=st.integers(400, 599), body=JSON, hint=st.text(max_size=10))
def test_any_error_body_has_a_meaning_and_a_reason(
    status: int, body: object, hint: str
) -> None:
    outcome = of_status(status, body, headers={"retry-after": hint})
    assert outcome.kind not in ANSWERED
    assert str(outcome.error)
    assert (outcome.kind is Kind.STEP_DOWN) == (outcome.parameter is not None)
