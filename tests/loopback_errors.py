"""
How refusals and faults of the simulated server look on the wire.

The wording follows real servers: OpenAI's, and llama.cpp's where it says so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.loopback_replies import completion
from tests.loopback_request import ChatRequest

_HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Wire:
    """A response, ready to be written."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    completion_tokens: int = 0


PROXY_TIMEOUT = Wire(
    504,
    b"<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>",
    {"content-type": "text/html"},
)


@dataclass(frozen=True, slots=True)
class _Says:
    status: int
    message: str
    code: str | int | None = None
    kind: str = "invalid_request_error"


_AT_ONCE: Mapping[str, _Says] = {
    "400": _Says(400, "Invalid request: the messages cannot be processed."),
    "401": _Says(401, "Incorrect API key provided: {key}.", "invalid_api_key"),
    "402": _Says(402, "Insufficient credits. Add more to go on.", 402, "billing"),
    "402_retry": _Says(402, "Your account is busy; try again soon.", 402, "billing"),
    "403": _Says(403, "This API key may not use the model.", "permission_denied"),
    "404": _Says(404, "The model `{model}` does not exist.", "model_not_found"),
    "408": _Says(408, "Request timed out.", None, "timeout"),
    "409": _Says(409, "Conflict; try again.", None, "conflict"),
    "422": _Says(422, "Input should be a valid list.", None),
    "429": _Says(429, "Rate limit reached.", "rate_limit_exceeded", "requests"),
    "500": _Says(500, "The server had an error.", None, "server_error"),
    "502": _Says(502, "Bad gateway.", None, "server_error"),
    "503": _Says(503, "The server is overloaded.", None, "server_error"),
    "524": _Says(524, "A timeout occurred.", None, "server_error"),
    "529": _Says(529, "Overloaded.", None, "overloaded_error"),
    "quota": _Says(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    # llama.cpp, with its code as a string
    "context": _Says(
        400,
        "the request exceeds the available context size, try increasing it",
        "400",
        "exceed_context_size_error",
    ),
    "context_openai": _Says(
        400,
        "This model's maximum context length is 4096 tokens. However, your messages "
        "resulted in 9120 tokens.",
        "context_length_exceeded",
    ),
    "content_filter_400": _Says(
        400, "The response was filtered by the content policy.", "content_filter"
    ),
    "loading": _Says(503, "Loading model", 503, "unavailable_error"),  # llama.cpp
}
AT_ONCE = frozenset(_AT_ONCE)


def error_wire(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Wire:
    """An error in OpenAI's form."""
    body = {"message": message, "type": kind, "param": param, "code": code}
    return Wire(status, json.dumps({"error": body}).encode(), headers or {})


def fault_at_once(
    fault: str, *, model: str, key: str = "", retry_after: str | None = None
) -> Wire:
    """The refusal that a fault of AT_ONCE stands for."""
    says = _AT_ONCE[fault]
    hints = fault in {"429", "402_retry"} and retry_after is not None
    return error_wire(
        says.status,
        says.message.replace("{model}", model).replace("{key}", key),
        kind=says.kind,
        code=says.code,
        headers={"retry-after": str(retry_after)} if hints else None,
    )


def refused_parameter(name: str) -> Wire:
    """OpenAI's answer to a parameter that this model does not take."""
    if name == "temperature":
        message = (
            "Unsupported value: 'temperature' does not support this value with this "
            "model. Only the default (1) value is supported."
        )
        return error_wire(400, message, param=name, code="unsupported_value")
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    if name == "max_tokens":
        message += " Use 'max_completion_tokens' instead."
    return error_wire(400, message, param=name, code="unsupported_parameter")


def refused_format(asked: str) -> Wire:
    """The answer of a server that does not know this kind of response_format."""
    message = (
        f"Invalid parameter: 'response_format' of type '{asked}' is not supported "
        "with this model."
    )
    return error_wire(400, message, param="response_format")


def answer_wire(
    request: ChatRequest,
    content: str,
    *,
    fault: str = "ok",
    finish_reason: str = "stop",
    has_usage: bool | Mapping[str, Any] = True,
) -> Wire:
    """The reply with 200, spoilt as the fault says."""
    content = _spoilt_content(content, fault)
    finish = {"length": "length", "finish_error": "error"}.get(fault, finish_reason)
    reply = completion(
        request, content=content, finish_reason=finish, has_usage=has_usage
    )
    tokens = reply.get("usage", {}).get("completion_tokens", 0)
    body = json.dumps(_spoilt_reply(reply, fault)).encode()
    if fault == "html":
        return Wire(200, _HTML.encode(), {"content-type": "text/html"}, tokens)
    if fault == "cut_body":
        body = body[: len(body) // 2]
    return Wire(200, b"" if fault == "empty_body" else body, {}, tokens)


def _spoilt_content(content: str, fault: str) -> str:
    if fault in {"cut_json", "length"}:
        return _cut(content)
    replaced = {
        "empty_content": "",
        "not_json": "I am sorry, I could not decide on a form for this.",
        "wrong_schema": '{"thoughts": "a valid object of another form"}',
    }
    return replaced.get(fault, content)


def _cut(content: str) -> str:
    """The content up to a place inside its object, else to a place inside."""
    start = max(0, content.find("{", content.find("</think>") + 1))
    end = max(content.rfind("}"), 0) or len(content)
    return content[: start + (end - start) * 3 // 5]


def _spoilt_reply(reply: dict[str, Any], fault: str) -> dict[str, Any]:
    if fault == "error_200":
        return {"error": {"message": "Upstream error from provider", "code": 502}}
    if fault == "empty_choices":
        return {**reply, "choices": []}
    choice = reply["choices"][0]
    if fault == "content_filter":
        choice["finish_reason"] = "content_filter"
        choice["message"]["content"] = None
    if fault == "refusal":
        choice["message"]["content"] = None
        choice["message"]["refusal"] = "I cannot help with that."
    return reply
