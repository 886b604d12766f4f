"""
What came back means: an answer, whole or cut, or an error by its status and its words.

Pure. Libraries let many failures through as successes (an error object, a page, a cut
body, no choices, all with status 200), so every answer is judged here. Of errors the
first rule that applies decides: servers say the same under many statuses and in many
words, so that a rule looks at both, and at what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import ItemRejected, Unreachable, UnreadableReply
from pipeline.llm import endpoint_rules, request_rules
from pipeline.llm.endpoint_rules import wrong_address
from pipeline.llm.error_words import one_line, told_by
from pipeline.llm.outcome import Asked, Kind, Outcome, Refusal, fault
from pipeline.llm.server_words import Quota, hint_in, quota_in
from pipeline.llm.stream import AnswerReader
from pipeline.metrics import Usage

_ANY_STATUS: tuple[Callable[[Refusal], Outcome | None], ...] = (
    endpoint_rules.larger_than_a_minute,
    endpoint_rules.can_be_afforded,
    endpoint_rules.money_ends,
    endpoint_rules.too_long_a_wait,
    endpoint_rules.too_many_calls,
    endpoint_rules.of_the_endpoint,
    endpoint_rules.no_such_model,
    endpoint_rules.no_such_path,
    request_rules.about_the_content,
    endpoint_rules.not_allowed,
)
_OF_A_BAD_REQUEST = (
    request_rules.not_valid_json,
    request_rules.crashed,
    request_rules.too_much_room_asked,
    request_rules.too_long,
    request_rules.names_a_parameter,
    request_rules.no_system_role,
    request_rules.about_the_form,
    request_rules.does_not_say_why,
)


def outcome_of_status(
    status: int, body: object, *, headers: Mapping[str, str], asked: Asked
) -> Outcome:
    """What an error status means, with the server's own words as the reason."""
    told, now = told_by(body), datetime.now(UTC)
    refusal = Refusal(
        status=status,
        told=told,
        headers=headers,
        hint_s=hint_in(headers, body, told.said, now=now),
        asked=asked,
    )
    rules = _ANY_STATUS
    if refusal.is_about_the_request:
        rules = (*rules, *_OF_A_BAD_REQUEST)
    found = (rule(refusal) for rule in (*rules, endpoint_rules.of_this_call))
    return next(filter(None, found), None) or refusal.ends_the_item()


_STATUS_OF = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "too_many_requests": 429,
    "insufficient_quota": 429,
    "resource_exhausted": 429,
    "overloaded_error": 529,
    "overloaded": 529,
    "unavailable": 503,
    "timeout": 504,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
    "json_validate_failed": 400,
    "content_filter": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
}


def outcome_of_error(
    body: object, *, headers: Mapping[str, str], asked: Asked
) -> Outcome:
    """What an error means that came in place of an answer, or in the midst of one."""
    told = told_by(body)
    return wrong_address(told) or outcome_of_status(
        _status_in(body), body, headers=headers, asked=asked
    )


def _status_in(body: object) -> int:
    """The status that an error object names: a number, its digits, or a word for it."""
    error = body.get("error") if isinstance(body, Mapping) else body
    for part in (error, body):
        if not isinstance(part, Mapping):
            continue
        for key in ("code", "status", "status_code", "type"):
            value = str(part.get(key) or "").lower()
            status = (
                int(value)
                if value.isdecimal() and len(value) == 3
                else _STATUS_OF.get(value, 0)
            )
            if 400 <= status <= 599:
                return status
    return 500


_LENGTH = ("length", "model_length", "max_tokens", "max_output_tokens")
_FILTERED = (
    *("content_filter", "content_filtered", "prohibited_content", "safety"),
    *("recitation", "blocklist", "spii", "refusal", "sensitive", "image_safety"),
    *("guardrail_intervened", "language"),
)
_FAILED = ("error", "insufficient_system_resource", "abort", "aborted", "cancelled")
THOUGHT_FILLED = (
    "the model used the whole limit of tokens up and wrote no text: raise --max-tokens,"
    " or the context that the server gives the model"
)


def outcome_of_answer(
    read: AnswerReader, *, headers: Mapping[str, str], asked: Asked
) -> Outcome:
    """What came with a good status means, once no more of it comes."""
    if read.error is not None:
        return outcome_of_error(read.error, headers=headers, asked=asked)
    if read.endless:
        return Outcome(
            kind=Kind.REASK, text=read.text, error=UnreadableReply(read.endless)
        )
    if read.words and not read.has_choices:
        words = told_by(read.words)
        return wrong_address(words) or fault(f"the server sent {words.said}")
    if not read.is_whole:
        return cut_answer(read)
    if not read.has_choices:
        return fault("the server sent no choices")
    return _outcome_of_choice(
        read, usage_in(read.usage), quota_in(headers, now=datetime.now(UTC))
    )


def _outcome_of_choice(
    read: AnswerReader, usage: Usage | None, quota: Quota | None
) -> Outcome:
    reason = (read.finish_reason or "").lower()
    text = read.text
    if read.refusal or reason in _FILTERED:
        said = one_line(read.refusal) or "content filter"
        return Outcome(
            kind=Kind.FATAL_ITEM,
            finish_reason="refusal",
            error=ItemRejected(f"refused: {said}"),
            usage=usage,
            quota=quota,
        )
    if reason in _LENGTH:
        return Outcome(
            kind=Kind.CUT_OFF,
            text=text,
            finish_reason="length",
            error=None if text.strip() else UnreadableReply(THOUGHT_FILLED),
            usage=usage,
            quota=quota,
        )
    if read.choice_error or reason in _FAILED or not text.strip():
        error = Unreachable(_why_empty(read, reason))
        return Outcome(kind=Kind.TRANSIENT, error=error, usage=usage, quota=quota)
    return Outcome(
        kind=Kind.OK,
        text=text,
        finish_reason=read.finish_reason,
        usage=usage,
        quota=quota,
    )


def _why_empty(read: AnswerReader, reason: str) -> str:
    if read.choice_error:
        return f"the server failed to answer: {told_by(read.choice_error).said}"
    if reason in _FAILED:
        return f"the server stopped answering: {reason}"
    if read.thought_characters:
        return "the server sent thinking and no text"
    return "the server sent an empty reply"


def cut_answer(read: AnswerReader, why: str = "") -> Outcome:
    """An answer that stopped before its end, through no limit of tokens."""
    said = "the answer broke off" if read.pieces else "the server sent no whole answer"
    return fault(f"{said} ({why})" if why else said)


def usage_in(usage: Mapping[str, Any] | None) -> Usage | None:
    """The server's own count of tokens, where it is one."""
    usage = usage or {}
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    total = usage.get("total_tokens")
    if isinstance(total, int):  # some count and bill thinking, but not as completion
        completion = max(completion, total - prompt)
    return Usage(
        prompt_tokens=max(prompt, 0),
        completion_tokens=max(completion, 0),
        cached_tokens=min(_cached_in(usage), max(prompt, 0)),
        told_cost=_cost_in(usage),
    )


def _cached_in(usage: Mapping[str, Any]) -> int:
    """Tokens of the prompt that a cache held, under the names that servers give them."""
    details = usage.get("prompt_tokens_details")
    inner = details.get("cached_tokens") if isinstance(details, Mapping) else None
    names = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
    for count in (inner, *map(usage.get, names)):
        if isinstance(count, int) and count > 0:
            return int(count)
    return 0


def _cost_in(usage: Mapping[str, Any]) -> float | None:
    """Dollars, where the server says them; with what goes through a key of the user's
    own to the provider behind it.
    """
    cost = _dollars(usage.get("cost"))
    details = usage.get("cost_details")
    if cost is None or not usage.get("is_byok") or not isinstance(details, Mapping):
        return cost
    return cost + (_dollars(details.get("upstream_inference_cost")) or 0.0)


def _dollars(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < math.inf else None
