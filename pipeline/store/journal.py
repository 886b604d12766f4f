"""
Every finished call on disk, so that a resumed run pays for none of them twice.

The file only grows; what is damaged is skipped, counted and never trusted. It
does not send, repeat or judge calls, and there is no thread behind it: what was
recorded last is forced to the disk with the next record, by sync_if_due(), which somebody
with a clock should call now and then, by sync() or by close().
"""

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from pipeline.errors import StorageError
from pipeline.store.journal_file import (
    JOURNAL_VERSION,
    CallRecord,
    Earlier,
    call_key,
    check_not_deleted,
    cut_tail,
    encode_line,
    open_locked,
    read_lines,
    write_all,
)
from pipeline.store.whole_file import storing, sync_folder

__all__ = ["JOURNAL_VERSION", "CallRecord", "Journal", "NoJournal", "call_key"]


class Journal:
    """
    The calls of one run folder; open it with Journal.open, close it at the end.

    Safe to use from many threads. Another journal on the same file, in this process
    or another, is refused until this one is closed or its process is gone.
    """

    def __init__(
        self,
        path: Path,
        descriptor: int,
        *,
        earlier: Earlier,
        redact: Callable[[str], str],
        clock: Callable[[], float],
        fsync_every_s: float,
        fsync_every: int,
    ) -> None:
        """Take over an open, locked file whose last line is whole."""
        self._path = path
        self._earlier = earlier
        self._redact = redact
        self._clock = clock
        self._fsync_every_s = fsync_every_s
        self._fsync_every = fsync_every
        # Guards the four below, and each line's write and flush. Reentrant, because
        # a signal handler may sync while the same thread is recording.
        self._lock = threading.RLock()
        self._descriptor = descriptor
        self._unsynced = 0
        self._synced_at = clock()
        self._has_torn_tail = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        redact: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
        fsync_every_s: float = 1.0,
        fsync_every: int = 64,
    ) -> Self:
        """
        Lock the file, cut a torn last line, and read what is there.

        The fragment that was cut is kept in a file beside it. StorageError when
        another process holds the file, or when it cannot be read and written.
        """
        with storing("open", path):
            descriptor = open_locked(path)
            try:
                earlier = read_lines(descriptor)
                if earlier.fragment:
                    cut_tail(path, descriptor, earlier=earlier)
                sync_folder(path.parent)
            except BaseException:
                os.close(descriptor)
                raise
        return cls(
            path,
            descriptor,
            earlier=earlier,
            redact=redact,
            clock=clock,
            fsync_every_s=fsync_every_s,
            fsync_every=fsync_every,
        )

    @property
    def replayable(self) -> int:
        """For how many calls lookup() has an answer."""
        return len(self._earlier.replayable)

    @property
    def damaged(self) -> int:
        """How many whole lines were skipped because they are not as written."""
        return self._earlier.damaged

    @property
    def torn_bytes(self) -> int:
        """The size of the fragment that was cut off on opening."""
        return len(self._earlier.fragment)

    @property
    def cost_before(self) -> float:
        """What all earlier calls cost, as far as their prices were known."""
        return self._earlier.cost

    @property
    def answered(self) -> Mapping[str, int]:
        """Answers that lookup() has, by stage."""
        return Counter(record.stage for record in self._earlier.replayable.values())

    @property
    def has_unknown_cost(self) -> bool:
        """Whether the price of any earlier call was not known."""
        return self._earlier.has_unknown_cost

    def lookup(self, key: str) -> CallRecord | None:
        """
        The answer to this call from before the file was opened, if there is one.

        Never one that this journal recorded itself: a run must not answer one of
        its own calls with another's.
        """
        return self._earlier.replayable.get(key)

    def record(self, record: CallRecord) -> None:
        """
        Append one finished call; it survives the end of the process at once.

        It survives power loss within fsync_every_s seconds or fsync_every records,
        counted when something is recorded. Replies should be redacted before they
        are used as well, or a replay differs from the call. StorageError when it
        cannot be written; the file then still ends with a whole line.
        """
        line = encode_line(record, redact=self._redact)
        with self._lock, storing("write", self._path):
            self._append(line)
            self._unsynced += 1
            if self._is_sync_due():
                self._flush()

    def sync_if_due(self) -> None:
        """Force to the disk what has waited for long enough; for somebody's clock."""
        with self._lock:
            if self._unsynced and self._is_sync_due():
                self.sync()

    def sync(self) -> None:
        """Force everything recorded to the disk; StorageError when that fails."""
        with self._lock, storing("write", self._path):
            self._flush()

    def close(self) -> None:
        """Sync and release the file; closing again does nothing."""
        with self._lock:
            try:
                self.sync()
            finally:
                if self._descriptor >= 0:
                    os.close(self._descriptor)
                    self._descriptor, self._unsynced = -1, 0

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _is_sync_due(self) -> bool:
        waited_s = self._clock() - self._synced_at
        return self._unsynced >= self._fsync_every or waited_s >= self._fsync_every_s

    def _flush(self) -> None:
        if self._unsynced:
            os.fsync(self._descriptor)
            self._unsynced = 0
        self._synced_at = self._clock()

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0:
            message = f"cannot write {self._path}: the journal is closed"
            raise StorageError(message)
        check_not_deleted(self._path, self._descriptor)
        size = os.fstat(self._descriptor).st_size
        was_torn = self._has_torn_tail
        if was_torn:
            line = b"\n" + line  # it spoils the fragment, not this record
        self._has_torn_tail = True
        try:
            write_all(self._descriptor, line)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)
                self._has_torn_tail = was_torn
            raise
        self._has_torn_tail = False


class NoJournal:
    """For callers without a run folder: remembers nothing, answers nothing."""

    cost_before = 0.0
    has_unknown_cost = False
    answered: Mapping[str, int] = MappingProxyType({})

    def lookup(self, key: str) -> CallRecord | None:  # noqa: ARG002 - as Journal's
        """Nothing, always."""
        return None

    def record(self, record: CallRecord) -> None:
        """Nothing."""

    def sync(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
