"""
The journal's file: opened and locked, read line by line, its torn tail cut.

Errors of the system leave as OSError; which call a record answers and when the
file is forced to the disk is decided in journal.py.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.file_lock import try_lock
from pipeline.llm.call_record import CallRecord, decode_line
from pipeline.whole_file import PLAIN


@dataclass(slots=True, kw_only=True)
class Earlier:
    """What the file held when it was opened."""

    replayable: dict[str, CallRecord] = field(default_factory=dict)
    records: int = 0
    damaged: int = 0
    cost: float = 0.0
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
        self.records += 1
        self.cost += record.cost or 0.0
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
