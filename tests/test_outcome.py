"""What every answer of a server means, and every fault over HTTP."""

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import (
    EndpointRejected,
    ItemRejected,
    RateLimited,
    Unreachable,
    UnreadableReply,
)
from pipeline.llm.answers import outcome_of_answer
from pipeline.llm.bounds import Bounds
from pipeline.llm.call import Call, CallOptions, Request
from pipeline.llm.outcome import ANSWERED, Asked, Kind, Outcome
from pipeline.llm.stream import AnswerReader
from tests.fakes import asking, attempted, connection_to
from tests.loopback_llm import Fault, Faults, LoopbackLLM, RawReply
from tests.test_refusals import JSON, NO_FORM, SENT, error


def outcome_over_http(faults: Faults, *, timeout_s: float = 5.0) -> Outcome:
    call = Call(stage="generate", item_id="1", messages=asking(), options=CallOptions())
    request = Request(
        call=call, seed=1, temperature=None, max_tokens=None, extra_body={}
    )
    with (
        LoopbackLLM(faults=faults) as server,
        closing(connection_to(server, timeout_s=timeout_s)) as connection,
    ):
        return attempted(connection, request).outcome


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
        ("502", Kind.DOWN, Unreachable),
        ("503", Kind.DOWN, Unreachable),
        ("529", Kind.DOWN, Unreachable),
        ("quota", Kind.FATAL_RUN, EndpointRejected),
        ("context", Kind.FATAL_ITEM, ItemRejected),
        ("context_openai", Kind.FATAL_ITEM, ItemRejected),
        ("content_filter_400", Kind.FATAL_ITEM, ItemRejected),
        ("loading", Kind.LOADING, Unreachable),
        ("cut_body", Kind.TRANSIENT, Unreachable),
        ("empty_body", Kind.TRANSIENT, Unreachable),
        ("html", Kind.TRANSIENT, Unreachable),
        ("empty_choices", Kind.TRANSIENT, Unreachable),
        ("error_200", Kind.DOWN, Unreachable),
        ("empty_content", Kind.TRANSIENT, Unreachable),
        ("content_filter", Kind.FATAL_ITEM, ItemRejected),
        ("refusal", Kind.FATAL_ITEM, ItemRejected),
        ("finish_error", Kind.TRANSIENT, Unreachable),
        ("dropped", Kind.DOWN, Unreachable),
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


def test_silence_is_a_timeout_that_names_the_flag() -> None:
    outcome = outcome_over_http(Faults(always="hang"), timeout_s=0.1)
    assert (outcome.kind, type(outcome.error)) == (Kind.TIMEOUT, Unreachable)
    assert "--timeout" in str(outcome.error)


def test_the_hint_of_a_refusal_is_kept() -> None:
    outcome = outcome_over_http(Faults(always="429", retry_after="7"))
    assert outcome.retry_after_s == 7.0
    assert isinstance(outcome.error, RateLimited)
    assert outcome.error.retry_after_s == 7.0


def test_a_refused_article_says_that_it_was_refused() -> None:
    assert str(outcome_over_http(Faults(always="refusal")).error) == (
        "refused: I cannot help with that."
    )


def of_bytes(
    data: bytes, *, bounds: Bounds | None = None, sent: Mapping[str, Any] = NO_FORM
) -> Outcome:
    reader = AnswerReader(bounds) if bounds else AnswerReader()
    reader.feed(data)
    reader.finish()
    return outcome_of_answer(reader, headers={}, asked=Asked(sent=sent))


def of_body(body: object, *, sent: Mapping[str, Any] = NO_FORM) -> Outcome:
    return of_bytes(json.dumps(body).encode(), sent=sent)


def of_choice(message: Mapping[str, Any], reason: object, **choice: Any) -> Outcome:
    return of_body(
        {"choices": [{"message": message, "finish_reason": reason, **choice}]}
    )


@pytest.mark.parametrize("reason", ["stop", "eos", "eos_token", "end_turn", "", None])
def test_text_with_any_other_reason_is_an_answer(reason: object) -> None:
    outcome = of_choice({"content": "A log."}, reason)
    assert (outcome.kind, outcome.text) == (Kind.OK, "A log.")


@pytest.mark.parametrize("reason", ["length", "model_length", "MAX_TOKENS"])
def test_each_name_of_a_token_limit_is_one(reason: str) -> None:
    outcome = of_choice({"content": "A lo"}, reason)
    assert (outcome.kind, outcome.finish_reason) == (Kind.CUT_OFF, "length")
    assert outcome.error is None


@pytest.mark.parametrize("content", ["", None, "  \n"])
def test_no_text_at_the_token_limit_is_thinking_that_used_it_up(content: Any) -> None:
    outcome = of_choice({"content": content, "reasoning": "hm"}, "length")
    assert outcome.kind is Kind.CUT_OFF
    assert "--max-tokens" in str(outcome.error)


@pytest.mark.parametrize(
    "reason",
    ["content_filter", "PROHIBITED_CONTENT", "SAFETY", "RECITATION", "refusal"],
)
def test_each_name_of_a_filter_loses_the_item(reason: str) -> None:
    outcome = of_choice({"content": None}, reason)
    assert (outcome.kind, outcome.finish_reason) == (Kind.FATAL_ITEM, "refusal")


def test_a_server_short_of_resources_is_asked_again() -> None:
    outcome = of_choice({"content": "A lo"}, "insufficient_system_resource")
    assert outcome.kind is Kind.TRANSIENT
    assert "insufficient_system_resource" in str(outcome.error)


def test_an_error_in_the_choice_is_told_in_its_words() -> None:
    said = {"code": 502, "message": "Provider disconnected"}
    outcome = of_choice({"content": "A lo"}, "error", error=said)
    assert outcome.kind is Kind.TRANSIENT
    assert "Provider disconnected" in str(outcome.error)


def test_thinking_alone_is_no_answer_and_says_so() -> None:
    outcome = of_choice({"content": "", "reasoning_content": "hm"}, "stop")
    assert outcome.kind is Kind.TRANSIENT
    assert "thinking" in str(outcome.error)


def test_a_stream_that_broke_off_is_no_answer() -> None:
    outcome = of_bytes(b'data: {"choices": [{"delta": {"content": "A lo"}}]}\n\n')
    assert (outcome.kind, str(outcome.error)) == (
        Kind.TRANSIENT,
        "the answer broke off",
    )


def test_an_answer_without_end_is_asked_again_and_says_why() -> None:
    piece = b'data: {"choices": [{"delta": {"content": "  "}}]}\n\n'
    outcome = of_bytes(piece * 300, bounds=Bounds(blanks=200))
    assert (outcome.kind, type(outcome.error)) == (Kind.REASK, UnreadableReply)
    assert "white space" in str(outcome.error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("400", Kind.FATAL_ITEM),  # llama.cpp's codes are strings
        (400, Kind.FATAL_ITEM),
        (429, Kind.RATE),
        ("rate_limit_exceeded", Kind.RATE),
        ("401", Kind.FATAL_RUN),
        (502, Kind.DOWN),
        (503, Kind.DOWN),
        (529, Kind.DOWN),
        (500, Kind.TRANSIENT),
        (524, Kind.TRANSIENT),
        ("server_error", Kind.TRANSIENT),
        (None, Kind.TRANSIENT),
        (200, Kind.TRANSIENT),
    ],
)
@pytest.mark.parametrize("before", [b"", b'data: {"choices": []}\n\ndata: '])
def test_an_error_under_status_200_means_what_its_code_says(
    code: object, kind: Kind, before: bytes
) -> None:
    body = {"error": {"message": "no", "code": code}, "choices": None}
    assert of_bytes(before + json.dumps(body).encode()).kind is kind


def test_an_error_event_has_its_meaning_by_its_type() -> None:
    said = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    data = f"event: error\ndata: {json.dumps(said)}\n\n".encode()
    assert of_bytes(data).kind is Kind.DOWN


@pytest.mark.parametrize(
    "data",
    [
        b'{"error": "Unexpected endpoint or method. (POST /chat/completions)"}',
        b"404 page not found",
    ],
)
def test_a_wrong_path_is_the_base_urls_whatever_the_status(data: bytes) -> None:
    outcome = of_bytes(data)
    assert outcome.kind is Kind.FATAL_RUN
    assert "/v1" in str(outcome.error)


@given(st.binary(max_size=60) | JSON.map(lambda body: json.dumps(body).encode()))
def test_any_body_is_an_answer_or_an_error_and_never_both(content: bytes) -> None:
    outcome = of_bytes(content)
    assert (outcome.kind in ANSWERED) == (outcome.error is None)


@given(
    st.fixed_dictionaries(
        {}, optional={"message": JSON, "finish_reason": JSON, "index": JSON}
    ),
    JSON,
)
def test_any_choice_is_an_answer_or_an_error(choice: Any, usage: Any) -> None:
    outcome = of_body({"choices": [choice], "usage": usage})
    assert (outcome.kind in ANSWERED) == (outcome.error is None)


def test_a_body_nested_without_end_is_no_crash() -> None:
    assert of_bytes(b"[" * 200_000).kind is Kind.TRANSIENT


def test_a_raw_page_with_an_error_status_is_told_by_its_heading() -> None:
    outcome = outcome_over_http(Faults(script=[RawReply(503, "<h1>Down</h1>")]))
    assert outcome.kind is Kind.DOWN
    assert str(outcome.error) == "the server answered 503: an HTML page (Down)"


def test_an_error_under_200_can_be_a_refused_schema() -> None:
    raw = json.dumps({"message": "Unsupported fields", "param": "response_format"})
    body = error("Provider returned error", code=400, metadata={"raw": raw})
    outcome = of_body(body, sent=SENT)
    assert (outcome.kind, outcome.parameter) == (Kind.STEP_DOWN, "schema")
