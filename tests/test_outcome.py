"""What every answer of a server means, over HTTP where the SDK has a say in it."""

import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import EndpointRejected, ItemRejected, RateLimited, Unreachable
from pipeline.llm.call import Call, CallOptions, Request
from pipeline.llm.outcome import Kind, Outcome, outcome_of_body, outcome_of_status
from tests.fakes import asking, connection_to
from tests.loopback_llm import Fault, Faults, LoopbackLLM, RawReply

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
SENT = ("temperature", "max_tokens", "seed", "response_format")


def outcome_over_http(faults: Faults, *, timeout_s: float = 5.0) -> Outcome:
    call = Call(stage="generate", item_id="1", messages=asking(), options=CallOptions())
    request = Request(
        call=call, seed=1, temperature=None, max_tokens=None, extra_body={}
    )
    with (
        LoopbackLLM(faults=faults) as server,
        closing(connection_to(server, timeout_s=timeout_s)) as connection,
    ):
        outcome, _, _ = connection.attempt(request)
    return outcome


@pytest.mark.parametrize(
    ("fault", "kind", "error"),
    [
        ("400", Kind.FATAL_ITEM, ItemRejected),
        ("401", Kind.FATAL_RUN, EndpointRejected),
        ("402", Kind.FATAL_RUN, EndpointRejected),
        ("402_retry", Kind.RATE, RateLimited),
        ("403", Kind.FATAL_RUN, EndpointRejected),
        ("404", Kind.FATAL_RUN, EndpointRejected),
        ("408", Kind.TRANSIENT, Unreachable),
        ("409", Kind.TRANSIENT, Unreachable),
        ("422", Kind.FATAL_ITEM, ItemRejected),
        ("429", Kind.RATE, RateLimited),
        ("500", Kind.TRANSIENT, Unreachable),
        ("502", Kind.TRANSIENT, Unreachable),
        ("503", Kind.TRANSIENT, Unreachable),
        ("529", Kind.TRANSIENT, Unreachable),
        ("quota", Kind.FATAL_RUN, EndpointRejected),
        ("context", Kind.FATAL_ITEM, ItemRejected),
        ("context_openai", Kind.FATAL_ITEM, ItemRejected),
        ("content_filter_400", Kind.FATAL_ITEM, ItemRejected),
        ("loading", Kind.LOADING, Unreachable),
        ("cut_body", Kind.TRANSIENT, Unreachable),
        ("empty_body", Kind.TRANSIENT, Unreachable),
        ("html", Kind.TRANSIENT, Unreachable),
        ("empty_choices", Kind.TRANSIENT, Unreachable),
        ("error_200", Kind.TRANSIENT, Unreachable),
        ("empty_content", Kind.TRANSIENT, Unreachable),
        ("content_filter", Kind.FATAL_ITEM, ItemRejected),
        ("refusal", Kind.FATAL_ITEM, ItemRejected),
        ("finish_error", Kind.TRANSIENT, Unreachable),
        ("dropped", Kind.TRANSIENT, Unreachable),
        ("dropped_partial", Kind.TRANSIENT, Unreachable),
    ],
)
def test_each_answer_over_http_has_its_meaning(
    fault: Fault, kind: Kind, error: type[Exception]
) -> None:
    outcome = outcome_over_http(Faults(always=fault, retry_after="3"))
    assert (outcome.kind, type(outcome.error)) == (kind, error)


def test_a_good_answer_has_its_text_and_the_servers_count() -> None:
    outcome = outcome_over_http(Faults())
    assert outcome.kind is Kind.OK
    assert outcome.error is None
    assert outcome.text
    assert outcome.usage is not None
    assert outcome.usage.completion_tokens > 0
    assert not outcome.usage.is_estimate


def test_an_answer_at_the_token_limit_is_cut_off() -> None:
    outcome = outcome_over_http(Faults(always="length"))
    assert (outcome.kind, outcome.finish_reason) == (Kind.CUT_OFF, "length")
    assert outcome.text


def test_no_answer_in_time_is_a_timeout() -> None:
    outcome = outcome_over_http(Faults(always="hang"), timeout_s=0.1)
    assert (outcome.kind, type(outcome.error)) == (Kind.TIMEOUT, Unreachable)


def test_the_hint_of_a_refusal_is_kept() -> None:
    outcome = outcome_over_http(Faults(always="429", retry_after="7"))
    assert outcome.retry_after_s == 7.0
    assert isinstance(outcome.error, RateLimited)
    assert outcome.error.retry_after_s == 7.0


def test_a_refused_article_says_that_it_was_refused() -> None:
    assert str(outcome_over_http(Faults(always="refusal")).error) == (
        "refused: I cannot help with that."
    )


def of_body(body: object) -> Outcome:
    return outcome_of_body(json.dumps(body).encode(), {})


def of_status(status: int, body: object, **headers: str) -> Outcome:
    return outcome_of_status(status, body, headers=headers, sent=SENT)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("400", Kind.FATAL_ITEM),  # llama.cpp's codes are strings
        (400, Kind.FATAL_ITEM),
        (429, Kind.RATE),
        ("401", Kind.FATAL_RUN),
        (502, Kind.TRANSIENT),
        ("server_error", Kind.TRANSIENT),
        (None, Kind.TRANSIENT),
        (200, Kind.TRANSIENT),
    ],
)
def test_an_error_under_status_200_means_what_its_code_says(
    code: object, kind: Kind
) -> None:
    body = {"error": {"message": "no", "code": code}, "choices": None}
    assert of_body(body).kind is kind


def test_a_403_for_what_was_asked_is_not_one_for_the_key() -> None:
    moderated = {"message": "Your input was flagged by moderation", "code": 403}
    assert of_status(403, moderated).kind is Kind.FATAL_ITEM
    assert of_status(403, {"message": "no such key"}).kind is Kind.FATAL_RUN


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"message": "x", "param": "temperature"}, "temperature"),
        ({"message": "x", "param": "response_format.type"}, "response_format"),
        ({"message": "Unsupported parameter: 'max_tokens'"}, "max_tokens"),
        ({"message": "json_schema is not available"}, "response_format"),
        (
            {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs", "input": 1}]},
            "seed",
        ),
        (
            {
                "message": "Provider returned error",
                "metadata": {"raw": '{"error": "temperature is not supported"}'},
            },
            "temperature",
        ),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_that_names_what_we_sent_is_a_step_down(
    status: int, body: object, parameter: str
) -> None:
    outcome = of_status(status, body)
    assert (outcome.kind, outcome.parameter) == (Kind.STEP_DOWN, parameter)


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Unsupported parameter: 'top_p'", "param": "top_p"},
        {"detail": [{"loc": ["body", "messages"], "input": {"temperature": 1}}]},
        {"message": "This model's maximum context length is 9, max_tokens asks 10"},
    ],
)
def test_a_refusal_of_something_else_is_no_step_down(body: object) -> None:
    assert of_status(400, body).kind is Kind.FATAL_ITEM


def test_a_mark_far_inside_a_long_message_is_found() -> None:
    message = "x " * 300 + "insufficient_quota"
    assert of_status(429, {"message": message}).kind is Kind.FATAL_RUN


def test_a_reason_is_one_line_of_a_readable_length() -> None:
    reason = str(of_status(400, {"message": "a\nb " * 500}).error)
    assert reason.startswith("the server answered 400: a b a b")
    assert len(reason) < 260
    assert "\n" not in reason


def test_a_reason_in_parts_is_told_too() -> None:
    body = {"detail": [{"loc": ["body", "n"], "msg": "not permitted"}]}
    assert "not permitted body n" in str(of_status(418, body).error)


@given(status=st.integers(400, 599), body=JSON, hint=st.text(max_size=10))
def test_any_error_body_has_a_meaning_and_a_reason(
    status: int, body: object, hint: str
) -> None:
    outcome = of_status(status, body, **{"retry-after": hint})
    assert outcome.kind not in (Kind.OK, Kind.CUT_OFF)
    assert str(outcome.error).startswith(f"the server answered {status}")
    assert (outcome.kind is Kind.STEP_DOWN) == (outcome.parameter in SENT)


@given(st.binary(max_size=60) | JSON.map(lambda body: json.dumps(body).encode()))
def test_any_body_is_an_answer_or_an_error_and_never_both(content: bytes) -> None:
    outcome = outcome_of_body(content, {})
    is_answer = outcome.kind in (Kind.OK, Kind.CUT_OFF)
    assert is_answer == (outcome.error is None)


@given(
    st.fixed_dictionaries(
        {}, optional={"message": JSON, "finish_reason": JSON, "index": JSON}
    ),
    JSON,
)
def test_any_choice_is_an_answer_or_an_error(choice: Any, usage: Any) -> None:
    outcome = of_body({"choices": [choice], "usage": usage})
    assert (outcome.kind in (Kind.OK, Kind.CUT_OFF)) == (outcome.error is None)


def test_a_body_nested_without_end_is_no_crash() -> None:
    assert outcome_of_body(b"[" * 200_000, {}).kind is Kind.TRANSIENT


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}, 3]
    assert of_body({"choices": [{"message": {"content": parts}}]}).text == "one two"


def test_a_raw_page_with_an_error_status_is_told_in_its_words() -> None:
    outcome = outcome_over_http(Faults(script=[RawReply(503, "<h1>Down</h1>")]))
    assert outcome.kind is Kind.TRANSIENT
    assert str(outcome.error) == "the server answered 503: <h1>Down</h1>"
