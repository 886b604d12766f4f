"""
The rules about the endpoint: money, limits, outages, the model, the address.

Pure. Each rule is one thing that can be wrong, and None where it is not that; their order
is that of `answers.py`. The patterns are of words in small letters.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from pipeline.errors import EndpointRejected, ItemRejected, RateLimited, Unreachable
from pipeline.llm.error_words import GROUPED, Told
from pipeline.llm.outcome import Asked, Kind, Outcome, Refusal
from pipeline.llm.server_words import quota_in, spelled

_ASKED_FOR = re.compile(r"\blimit:?\s+(\d+)\b.*?\brequested:?\s+(\d+)", re.DOTALL)


def larger_than_a_minute(refusal: Refusal) -> Outcome | None:
    """One request above what a minute allows."""
    if refusal.status == 413:
        return refusal.ends_the_item()
    if refusal.status != 429:
        return None
    found = _ASKED_FOR.search(GROUPED.sub("", refusal.told.words))
    is_above = found is not None and int(found[2]) > int(found[1])
    if is_above or refusal.told.has("request too large"):
        return refusal.ends_the_item()
    return None


_AFFORDED = re.compile(r"can only afford (\d+)")


def can_be_afforded(refusal: Refusal) -> Outcome | None:
    """Credit for fewer tokens than were asked for."""
    found = _AFFORDED.search(refusal.told.words) if refusal.status == 402 else None
    if found is None or int(found[1]) < 1:
        return None
    return replace(refusal.means(Kind.BUDGET, ItemRejected), room=int(found[1]))


_QUOTA = "exceeded your current quota"
_NOTHING_ALLOWED = r"\blimit\W{1,3}0\b(?!\.\d)"
_A_DAYS = r"per[ -_]?day|\(rpd\)|\(tpd\)|\bdaily\b|midnight"
_MONEY = (
    "insufficient_quota|billing_not_active|billing_hard_limit|billing limit"
    "|insufficient (?:balance|credit|fund)|payment required|credit balance"
    "|(?:any|no|out of|not enough) credits|budget has been exceeded|budget_exceeded"
    "|exceeded your monthly|spending limit|check your plan|account is not active"
)


def money_ends(refusal: Refusal) -> Outcome | None:
    """Credit, budget or billing: no wait helps.

    Gemini's limit of a minute says the same words, with a wait of seconds beside them.
    """
    told = refusal.told
    if refusal.status not in (400, 402, 403, 429):
        return None
    if told.has(_QUOTA) and not told.has("insufficient_quota"):
        is_lasting = refusal.hint_s is None or told.has(f"perday|{_NOTHING_ALLOWED}")
        return refusal.ends_the_run() if is_lasting else None
    is_nothing_allowed = refusal.status == 429 and told.has(_NOTHING_ALLOWED)
    return refusal.ends_the_run() if is_nothing_allowed or told.has(_MONEY) else None


_FAULTS = (408, 409, 425)


def too_long_a_wait(refusal: Refusal) -> Outcome | None:
    """A wait that outlasts what the run may wait, known before it is begun."""
    status, hint_s = refusal.status, refusal.hint_s
    if status not in (402, 429, *_FAULTS) and status < 500:
        return None
    if hint_s is not None and hint_s > refusal.asked.longest_wait_s:
        return refusal.ends_the_run(f"it asks to wait {spelled(hint_s)}")
    if status == 429 and hint_s is None and refusal.told.has(_A_DAYS):
        return refusal.ends_the_run("a limit of the day is used up")
    return None


def too_many_calls(refusal: Refusal) -> Outcome | None:
    """Fewer at once, or later."""
    is_busy = refusal.status == 402 and "retry-after" in refusal.headers
    if refusal.status != 429 and not is_busy:
        return None
    hint_s = refusal.hint_s
    error = RateLimited(refusal.reason, retry_after_s=hint_s)
    quota = quota_in(refusal.headers, now=datetime.now(UTC))
    return Outcome(kind=Kind.RATE, error=error, retry_after_s=hint_s, quota=quota)


_LOADING = r"loading model|(?:is|currently|still) loading|is warming up"
_DEAD = r"enginecore encountered|enginedead|engine (?:is dead|loop has died)"


def of_the_endpoint(refusal: Refusal) -> Outcome | None:
    """Starting up, or out of order for whoever asks."""
    if refusal.status >= 500 and refusal.told.has(_LOADING):
        return refusal.means(Kind.LOADING, Unreachable)
    is_dead = refusal.status == 500 and refusal.told.has(_DEAD)
    if refusal.status in (502, 503, 529) or is_dead:
        return refusal.means(Kind.DOWN, Unreachable)
    return None


_NO_SUCH_MODEL = (
    "no models? loaded|model_not_found|model not (?:found|exist)|unknown model"
    "|not a valid model|invalid model name|decommissioned|try pulling it"
)
_MODEL_MISSING = r"\bmodel\b.{0,120}(?:not found|not exist|no access|not loaded)"


def no_such_model(refusal: Refusal) -> Outcome | None:
    """A model that is not there, or not loaded."""
    told = refusal.told
    if refusal.status not in (400, 404, 422):
        return None
    if refusal.status == 404:
        is_missing = told.has(f"{_NO_SUCH_MODEL}|{_MODEL_MISSING}")
    else:
        is_missing = "model" in told.named or told.has(_NO_SUCH_MODEL)
    if not is_missing:
        return None
    pull = "`ollama pull` fetches it, or " if told.has("pull") else ""
    return refusal.ends_the_run(f"{pull}name another with --model")


_V1 = "does the base URL end in /v1, as most do?"


def no_such_path(refusal: Refusal) -> Outcome | None:
    """A 404 about the request's parameters is OpenRouter's; any other is the URL's."""
    if refusal.status == 404 and refusal.told.has("requested parameters"):
        first = next(iter(_in_order_of_blame(refusal.asked)), None)
        if first is not None:
            return refusal.without(first)
        advice = "see extra_body of this model in models.yaml (require_parameters)"
        return refusal.ends_the_item(advice)
    return refusal.ends_the_run(_V1) if refusal.status in (404, 405) else None


def _in_order_of_blame(asked: Asked) -> list[str]:
    """What could be given up where nobody says which: the likeliest first."""
    first = ["response_format", "seed", "stream_options", "temperature"]
    last = ["max_tokens", "max_completion_tokens", "stream"]
    rest = [name for name in asked.sent if name not in (*first, *last, "provider")]
    return [name for name in (*first, *rest, *last) if name in asked.sent]


def wrong_address(told: Told) -> Outcome | None:
    """A server that knows no such path and says so, under whatever status."""
    if not told.has("unexpected endpoint|404 page not found|cannot post"):
        return None
    message = f"the server said: {told.said}; {_V1}"
    return Outcome(kind=Kind.FATAL_RUN, error=EndpointRejected(message))


def not_allowed(refusal: Refusal) -> Outcome | None:
    """The key, or what it may do."""
    return refusal.ends_the_run() if refusal.status in (401, 402, 403) else None


def of_this_call(refusal: Refusal) -> Outcome | None:
    """A fault that other calls may not meet."""
    if refusal.status in (504, 522, 524):
        advice = "what stands in front of it waits no longer for an answer"
        return refusal.means(Kind.TRANSIENT, Unreachable, advice=advice)
    if refusal.status >= 500 or refusal.status in _FAULTS:
        return refusal.means(Kind.TRANSIENT, Unreachable)
    return None
