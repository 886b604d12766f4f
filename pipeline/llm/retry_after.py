"""
How long a server asks to be left alone: Retry-After in every form met in the field.

Pure. Seconds, `120ms`, `1m2.5s`, an HTTP date (RFC 9110, section 10.2.3), or an epoch
in seconds or milliseconds. What it cannot read is no hint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH_S = 1e9
_EPOCH_MS = 1e12


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
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What x-ratelimit headers say is left; None where a header is absent or idle."""

    limit_requests: float | None = None
    remaining_requests: float | None = None
    reset_requests_s: float | None = None
    limit_tokens: float | None = None
    remaining_tokens: float | None = None
    reset_tokens_s: float | None = None


def hint_in(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """The wait that the headers of a refusal ask for, in seconds."""
    if milliseconds := headers.get("retry-after-ms"):
        hint = seconds_in(f"{milliseconds.strip()}ms", now=now)
        if hint is not None:
            return hint
    value = headers.get("retry-after")
    return None if value is None else seconds_in(value, now=now)


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
