"""
What a server says beside an answer: how long to wait, what its limits leave.

Pure. Waits are read in every form met in the field: in headers (seconds, `120ms`,
`1m2.5s`, an HTTP date (RFC 9110, section 10.2.3) or an ISO one, an epoch in seconds or
milliseconds), in the body, and in words. What it cannot read is no hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH_S = 1e9
_EPOCH_MS = 1e12
_WORD = r"(?:ms|millis\w*|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\b"
_IN_WORDS = re.compile(
    r"(?:(?:again|retry|retrying|wait|cool ?down)[^.\d]{0,40}?"
    r"|(?:available|ready|resets?)[^.\d]{0,30}?\b(?:in|after)\s+)(?<![\w.])"
    rf"((?:\d+(?:\.\d+)?\s*{_WORD}[\s,]*(?:and\s+)?)+)",
    re.IGNORECASE,
)
_AMOUNTS = re.compile(rf"(\d+(?:\.\d+)?)\s*({_WORD})", re.IGNORECASE)
_RUN_TOGETHER = re.compile(r"(?<=\d)(ms|[smhd])(?=\d)", re.IGNORECASE)
_WAITS = (
    *("retrydelay", "retry_after", "retry-after", "retry_after_seconds"),
    "x-ratelimit-reset",
)
_DEEPEST = 6
_READ = 4_000  # characters of a message


def seconds_in(value: str, *, now: datetime) -> float | None:
    """Seconds from now that a Retry-After value names, never below 0."""
    value = value.strip().lower()
    try:
        number = float(value)
    except ValueError:
        return _spelled_out(value, now)
    if not 0 <= number < float("inf"):
        return None
    if number > _EPOCH_MS:
        number = number / 1000 - now.timestamp()
    elif number > _EPOCH_S:
        number -= now.timestamp()
    return max(0.0, number)


def _spelled_out(value: str, now: datetime) -> float | None:
    pieces = _PIECE.findall(value)
    if pieces and "".join(a + b for a, b in pieces) == value.replace(" ", ""):
        total_s = sum(float(amount) * _UNIT_S[unit] for amount, unit in pieces)
        return total_s if total_s < float("inf") else None
    when = _moment(value)
    if when is None:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())


def _moment(value: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(value.upper())
        except (ValueError, OverflowError):
            continue
    return None


def hint_in(
    headers: Mapping[str, str], body: object = None, words: str = "", *, now: datetime
) -> float | None:
    """The wait that a refusal asks for, in seconds: by headers, body, or words."""
    if milliseconds := headers.get("retry-after-ms"):
        hint = seconds_in(f"{milliseconds.strip()}ms", now=now)
        if hint is not None:
            return hint
    stated = [headers.get("retry-after"), *_waits_in(body, 0)]
    for value in stated:
        hint = None if value is None else seconds_in(value, now=now)
        if hint is not None:
            return hint
    return _hint_in_words(words)


def _waits_in(body: object, depth: int) -> Iterator[str]:
    """What a body states beside its words: Google's RetryInfo, OpenRouter's headers."""
    if depth > _DEEPEST:
        return
    if isinstance(body, list):
        for each in body:
            yield from _waits_in(each, depth + 1)
    if not isinstance(body, Mapping):
        return
    for name, value in body.items():
        plain = str(name).lower()
        if plain in _WAITS:
            yield str(value)
        else:
            yield from _waits_in(value, depth + 1)


def _hint_in_words(words: str) -> float | None:
    # "7m12.3s" is set apart, so that each unit ends like a word.
    found = _IN_WORDS.search(_RUN_TOGETHER.sub(r"\1 ", words[:_READ]))
    if found is None:
        return None
    total_s = sum(
        float(amount)
        * _UNIT_S["ms" if unit[:2] == "ms" or unit[:3] == "mil" else unit[0]]
        for amount, unit in _AMOUNTS.findall(found[1].lower())
    )
    return total_s if total_s < float("inf") else None


def spelled(seconds: float) -> str:
    """A wait as people say it."""
    for unit, least_s, length_s in (("h", 5400.0, 3600.0), ("min", 90.0, 60.0)):
        if seconds >= least_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What x-ratelimit headers say is left; None where a header is absent or idle."""

    limit_requests: float | None = None
    remaining_requests: float | None = None
    reset_requests_s: float | None = None
    limit_tokens: float | None = None
    remaining_tokens: float | None = None
    reset_tokens_s: float | None = None


def quota_in(headers: Mapping[str, str], *, now: datetime) -> Quota | None:
    """The rate-limit headers of an answer, or None where the server sends none."""
    if not any(name in headers for name in _LIMIT_HEADERS):
        return None
    found: dict[str, float | None] = {}
    for kind in ("requests", "tokens"):
        for part in ("limit", "remaining"):
            found[f"{part}_{kind}"] = _number(headers.get(f"x-ratelimit-{part}-{kind}"))
        reset = headers.get(f"x-ratelimit-reset-{kind}")
        found[f"reset_{kind}_s"] = reset and seconds_in(reset, now=now)  # type: ignore[assignment]  # "" is absent
    return Quota(**{name: value or None for name, value in found.items()})


_LIMIT_HEADERS = ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")


def _number(value: str | None) -> float | None:
    """A positive count; servers say -1 or 0 where they keep none."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if number > 0 else None
