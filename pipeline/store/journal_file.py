"""
The journal's file: a line a call, opened and locked, read back, its torn tail cut.

A line is a JSON object with a checksum over the record's bytes. Errors of the system
leave as OSError; which call a record answers and when the file is forced to the disk is
decided in journal.py.
"""

import errno
import hashlib
import json
import os
import stat
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError
from pipeline.metrics import Usage
from pipeline.store.whole_file import PLAIN

JOURNAL_VERSION = 1
_REFUSED = ("content_filter", "refusal")
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
    cached_tokens: int = 0  # of the prompt's
    tokens_estimated: bool = False
    requests: int = 1  # HTTP attempts that were sent
    seconds: float = 0.0
    cost: float | None = None  # in the currency of the prices; None is unknown
    cost_source: str = ""  # where the price was from
    ended_at: str = ""  # UTC, ISO 8601

    @property
    def usage(self) -> Usage:
        """Tokens of all its requests together."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cached_tokens=self.cached_tokens,
            is_estimate=self.tokens_estimated,
        )

    @property
    def is_replayable(self) -> bool:
        """Whether it may stand in for the call: it was used, whole or as cut off."""
        is_refused = self.finish_reason in _REFUSED
        return self.ok and self.content is not None and not is_refused


_ACCEPTED: dict[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str | None: (str, type(None)),
    float | None: (int, float, type(None)),
}
_FIELDS = tuple((field.name, _ACCEPTED[field.type]) for field in fields(CallRecord))
_SINCE = {"cached_tokens": 0, "cost_source": ""}  # journals of before lack them


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
        values = {**_SINCE, **json.loads(body)}
        return CallRecord(
            **{name: _checked(values[name], kinds) for name, kinds in _FIELDS}
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _checked(value: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(kinds)
    return value


if sys.platform == "win32":
    import msvcrt
    import os

    # Windows also stops readers of a locked byte: take one that is never written.
    _FAR_AWAY = 1 << 62

    def try_lock(descriptor: int) -> bool:
        """Take the lock until the descriptor is closed; False when it is held."""
        os.lseek(descriptor, _FAR_AWAY, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take the lock until the descriptor is closed; False when it is held."""
        try:
            # flock, not lockf: a second open in this very process is refused too.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@dataclass(slots=True, kw_only=True)
class Earlier:
    """What the file held when it was opened."""

    replayable: dict[str, CallRecord] = field(default_factory=dict)
    damaged: int = 0
    cost: float = 0.0
    has_unknown_cost: bool = False
    whole_bytes: int = 0
    fragment: bytes = b""

    def note_line(self, line: bytes) -> None:
        """Take in one line; only the last may lack its newline."""
        if not line.endswith(b"\n"):
            self.fragment = line
            return
        self.whole_bytes += len(line)
        record = decode_line(line)
        if record is None:
            self.damaged += 1
            return
        self.cost += record.cost or 0.0
        self.has_unknown_cost |= record.cost is None
        # The last record of a key wins, also when it is a failure.
        self.replayable.pop(record.key, None)
        if record.is_replayable:
            self.replayable[record.key] = record


def open_locked(path: Path) -> int:
    """The file, open for appending and held by this journal alone."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | PLAIN
    descriptor = os.open(path, flags, 0o666)
    try:
        _hold(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _hold(path: Path, descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "it is not a plain file")
    if not try_lock(descriptor):
        message = (
            f"{path.parent} is in use by another run; "
            "wait until that one ends, or start a new one without --resume"
        )
        raise StorageError(message)
    check_not_deleted(path, descriptor)


def check_not_deleted(path: Path, descriptor: int) -> None:
    """FileNotFoundError when what is written would be gone without an error."""
    if os.fstat(descriptor).st_nlink == 0 and not path.exists():
        raise FileNotFoundError(errno.ENOENT, "it was deleted under the run")


def read_lines(descriptor: int) -> Earlier:
    """What the file holds, from its beginning."""
    earlier = Earlier()
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        for line in file:
            earlier.note_line(line)
    return earlier


def cut_tail(path: Path, descriptor: int, *, earlier: Earlier) -> None:
    """Cut the fragment, as the next record would be lost in the same line."""
    aside = path.with_name(path.name + ".torn")
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | PLAIN
    kept = os.open(aside, flags, 0o666)
    try:
        write_all(kept, earlier.fragment + b"\n")
        os.fsync(kept)
    finally:
        os.close(kept)
    os.ftruncate(descriptor, earlier.whole_bytes)
    os.fsync(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """One write; more only to learn why the first was short."""
    rest = memoryview(data)
    while rest:
        written = os.write(descriptor, rest)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[written:]
