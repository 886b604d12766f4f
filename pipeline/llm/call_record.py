"""
One finished call: what identifies it, what is kept of it, how it is one line.

The line is a JSON object with a checksum over the record's bytes. Nothing here
touches a file, and what a reply means is not decided here.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

JOURNAL_VERSION = 1
_COMPLETE = (None, "", "stop")  # some servers leave the finish reason out
_HEAD, _MIDDLE, _TAIL = b'{"crc32":"', b'","record":', b"}\n"
_CRC_END = len(_HEAD) + 8
_BODY_START = _CRC_END + len(_MIDDLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What is kept of one finished call, good or bad."""

    key: str
    ok: bool
    stage: str
    item_id: str
    model: str
    content: str | None = None
    error: str | None = None
    error_kind: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    tokens_estimated: bool = False
    requests: int = 1  # HTTP attempts that were sent
    seconds: float = 0.0
    cost: float | None = None  # in the currency of the prices; None is unknown
    ended_at: str = ""  # UTC, ISO 8601

    @property
    def is_replayable(self) -> bool:
        """Whether it may stand in for the call: a whole answer, not a cut one."""
        return self.ok and self.content is not None and self.finish_reason in _COMPLETE


_ACCEPTED: dict[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str | None: (str, type(None)),
    float | None: (int, float, type(None)),
}
_FIELDS = tuple((field.name, _ACCEPTED[field.type]) for field in fields(CallRecord))


def call_key(  # noqa: PLR0913 - everything that makes two calls different
    *,
    base_url: str,
    model: str,
    stage: str,
    item_id: str,
    sample: int,
    attempt: int,
    messages: Sequence[Mapping[str, Any]],
    record_name: str | None,
    sampling: Mapping[str, Any],
) -> str:
    """The identity of a call as the stage asked for it, as hexadecimal SHA-256."""
    question = {
        "version": JOURNAL_VERSION,
        "base_url": base_url.rstrip("/"),
        "model": model,
        "stage": stage,
        "item_id": item_id,
        "sample": sample,
        "attempt": attempt,
        "messages": [dict(message) for message in messages],
        "record_name": record_name,
        "sampling": dict(sampling),
    }
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def encode_line(record: CallRecord, *, redact: Callable[[str], str] = str) -> bytes:
    """The record as one line; every text but the key passes through redact."""
    values = {name: getattr(record, name) for name, _ in _FIELDS}
    for name, value in values.items():
        if isinstance(value, str) and name != "key":
            values[name] = redact(value)
    # ASCII only, so that half a character can be written and comes back the same.
    body = json.dumps(values, separators=(",", ":")).encode("ascii")
    return b"".join((_HEAD, b"%08x" % zlib.crc32(body), _MIDDLE, body, _TAIL))


def decode_line(line: bytes) -> CallRecord | None:
    """The record of one line; None when a single byte of it is not as written."""
    body = line[_BODY_START : -len(_TAIL)]
    frame = b"".join((_HEAD, b"%08x" % zlib.crc32(body), _MIDDLE))
    if line[:_BODY_START] != frame or not line.endswith(_TAIL):
        return None
    try:
        values = json.loads(body)
        return CallRecord(
            **{name: _checked(values[name], kinds) for name, kinds in _FIELDS}
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _checked(value: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(kinds)
    return value
