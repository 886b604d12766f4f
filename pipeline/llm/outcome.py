"""
What one HTTP attempt means: an answer, or an error and who must act on it.

Pure: it reads exceptions of the SDK and bodies of answers; it neither waits nor sends.
The SDK lets some failures through as successes (an error object, HTML, a cut body,
empty choices, all with status 200), so every body is judged here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pipeline.errors import (
    EndpointRejected,
    ItemRejected,
    LLMError,
    RateLimited,
    Unreachable,
)
from pipeline.llm.retry_after import Quota, hint_in, quota_in
from pipeline.llm.server_words import one_line, said_in, words_in
from pipeline.metrics import Usage


class Kind(StrEnum):
    """What is to be done next."""

    OK = "ok"
    CUT_OFF = "cut_off"  # the answer ran into max_tokens: once more with twice as much
    RATE = "rate"  # send fewer; repeats without using up an attempt
    TRANSIENT = "transient"  # repeat, a few times
    TIMEOUT = "timeout"  # the same, and the server is slow
    LOADING = "loading"  # the server starts up: wait
    STEP_DOWN = "step_down"  # drop or rename one parameter, and repeat
    FATAL_ITEM = "fatal_item"  # this request is lost, others are not
    FATAL_RUN = "fatal_run"  # no request will be answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One attempt's result: `text` and `usage` of an answer, or `error`."""

    kind: Kind
    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    error: LLMError | None = None
    parameter: str | None = None
    retry_after_s: float | None = None
    quota: Quota | None = None


_LOADING = ("loading model", "model is loading")
_QUOTA = ("insufficient_quota", "exceeded your current quota")
_TOO_LONG = (
    "context length",
    "context_length_exceeded",
    "context size",
    "maximum context",
    "exceeds the available context",
    "exceed_context_size",
    "too many tokens",
)
_MODERATED = ("moderation", "flagged", "content policy", "safety")
_SCHEMA_WORDS = ("response_format", "json_schema", "structured output", "json_object")
_TRANSIENT_STATUS = (408, 409)


def outcome_of_error(error: Exception, *, sent: Collection[str]) -> Outcome | None:
    """What an exception of the SDK means, or None when it is not the server's doing.

    `sent` are the names of the optional parameters of the request.
    """
    import openai  # here: it takes 0.4 s, and --help needs none of it

    if isinstance(error, openai.APITimeoutError):
        return _failed(Kind.TIMEOUT, Unreachable("the server did not answer in time"))
    if isinstance(error, openai.APIConnectionError):
        cause = type(error.__cause__ or error).__name__
        return _failed(Kind.TRANSIENT, Unreachable(f"connection failed ({cause})"))
    if isinstance(error, openai.APIStatusError):
        return outcome_of_status(
            error.status_code, error.body, headers=error.response.headers, sent=sent
        )
    return None


def outcome_of_status(
    status: int,
    body: object,
    *,
    headers: Mapping[str, str],
    sent: Collection[str],
) -> Outcome:
    """What an error status means, with the server's own words as the reason."""
    said = said_in(body)
    words = words_in(body).lower()
    reason = f"the server answered {status}" + (f": {said}" if said else "")
    now = datetime.now(UTC)
    hint_s = hint_in(headers, now=now)
    if status == 429:
        if any(mark in words for mark in _QUOTA):
            return _failed(Kind.FATAL_RUN, EndpointRejected(reason))
        return _rate_limited(reason, hint_s, quota_in(headers, now=now))
    if status == 402 and hint_s is not None:
        return _rate_limited(reason, hint_s, None)
    if status == 503 and any(mark in words for mark in _LOADING):
        return _failed(Kind.LOADING, Unreachable(reason))
    if status >= 500 or status in _TRANSIENT_STATUS:
        error = Unreachable(reason)
        return Outcome(kind=Kind.TRANSIENT, error=error, retry_after_s=hint_s)
    return _refusal(status, reason, words, sent=_named(body, words, sent))


def _refusal(status: int, reason: str, words: str, *, sent: str | None) -> Outcome:
    if status in (400, 413, 422):
        is_too_long = any(mark in words for mark in _TOO_LONG)
        if sent and not is_too_long:
            error = ItemRejected(reason)
            return Outcome(kind=Kind.STEP_DOWN, error=error, parameter=sent)
        return _failed(Kind.FATAL_ITEM, ItemRejected(reason))
    if status == 403 and any(mark in words for mark in _MODERATED):
        return _failed(Kind.FATAL_ITEM, ItemRejected(reason))
    if status in (401, 402, 403, 404):
        return _failed(Kind.FATAL_RUN, EndpointRejected(reason))
    return _failed(Kind.FATAL_ITEM, ItemRejected(reason))


def _named(body: object, words: str, sent: Collection[str]) -> str | None:
    """The parameter of ours that a refusal names."""
    parameter = str(body.get("param") or "") if isinstance(body, Mapping) else ""
    for name in sent:
        if parameter == name or parameter.startswith(f"{name}."):
            return name
    if "response_format" in sent and any(mark in words for mark in _SCHEMA_WORDS):
        return "response_format"
    return next((name for name in sent if name in words), None)


def outcome_of_body(content: bytes, headers: Mapping[str, str]) -> Outcome:
    """What an answer with a good status holds."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return _failed(Kind.TRANSIENT, Unreachable("the server sent no whole JSON"))
    if not isinstance(body, dict):
        return _failed(Kind.TRANSIENT, Unreachable("the server sent no completion"))
    if body.get("error"):
        return _outcome_of_error_object(body["error"], headers)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return _failed(Kind.TRANSIENT, Unreachable("the server sent no choices"))
    quota = quota_in(headers, now=datetime.now(UTC))
    return _outcome_of_choice(choices[0], _usage(body.get("usage")), quota)


def _outcome_of_error_object(error: object, headers: Mapping[str, str]) -> Outcome:
    """An error under status 200: its code is the status, a string or a number."""
    code = error.get("code") if isinstance(error, dict) else None
    try:
        status = int(str(code))
    except ValueError:
        status = 500
    status = status if 400 <= status <= 599 else 500
    return outcome_of_status(status, error, headers=headers, sent=())


def _outcome_of_choice(
    choice: dict[str, Any], usage: Usage | None, quota: Quota | None
) -> Outcome:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    finish_reason = choice.get("finish_reason")
    text = _text(message.get("content"))
    if message.get("refusal") or finish_reason == "content_filter":
        reason = "refused: " + (one_line(message.get("refusal")) or "content filter")
        return Outcome(
            kind=Kind.FATAL_ITEM,
            finish_reason="refusal",
            error=ItemRejected(reason),
            usage=usage,
            quota=quota,
        )
    if finish_reason == "error" or not (text.strip() or finish_reason == "length"):
        error = Unreachable("the server sent an empty reply")
        return Outcome(kind=Kind.TRANSIENT, error=error, usage=usage, quota=quota)
    return Outcome(
        kind=Kind.CUT_OFF if finish_reason == "length" else Kind.OK,
        text=text,
        finish_reason=finish_reason,
        usage=usage,
        quota=quota,
    )


def _text(content: object) -> str:
    """Content as text; some servers send a list of parts."""
    if isinstance(content, list):
        return "".join(
            str(part.get("text") or "") for part in content if isinstance(part, dict)
        )
    return content if isinstance(content, str) else ""


def _usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    return Usage(prompt_tokens=prompt, completion_tokens=completion)


def _rate_limited(reason: str, hint_s: float | None, quota: Quota | None) -> Outcome:
    error = RateLimited(reason, retry_after_s=hint_s)
    return Outcome(kind=Kind.RATE, error=error, retry_after_s=hint_s, quota=quota)


def _failed(kind: Kind, error: LLMError) -> Outcome:
    return Outcome(kind=kind, error=error)
