"""
Stdout and stderr that nobody need read: a run goes on when they are gone.

A pipe whose reader left, a terminal that was closed, a stream that was never open or
cannot write a letter: what cannot be written is dropped, and nobody is told.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

_LOST = (OSError, ValueError)  # broken, hung up; closed


class Forgiving:
    """A text stream that drops what cannot be written; None drops everything."""

    def __init__(self, stream: TextIO | None) -> None:
        """Write to `stream`, or to nobody."""
        self._stream = stream

    @property
    def encoding(self) -> str:
        """What its text is written in."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write what can be written; letters that the encoding lacks become ?."""
        if self._stream is not None:
            known = text.encode(self.encoding, "replace").decode(self.encoding)
            with suppress(*_LOST):
                self._stream.write(known)
        return len(text)

    def flush(self) -> None:
        """Send off what can be sent."""
        if self._stream is not None:
            with suppress(*_LOST):
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether a terminal is there to be drawn on."""
        with suppress(*_LOST):
            return self._stream is not None and self._stream.isatty()
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def leave(self) -> None:
        """Flush for the last time, so that the interpreter's own last flush is quiet."""
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except _LOST:
            with suppress(*_LOST):
                _to_nobody(self._stream.fileno())


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """Within, sys.stdout and sys.stderr are forgiving; both are flushed at the end."""
    _open_standard_files()
    before = sys.stdout, sys.stderr
    out, err = Forgiving(sys.stdout), Forgiving(sys.stderr)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        out.leave()
        err.leave()


def _open_standard_files() -> None:
    """Point each of the files 0 to 2 that is closed at nothing.

    Otherwise the next file to be opened, the journal perhaps, would take its number, and
    what a child process writes to its stderr would land in it.
    """
    while (file := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(file, True)
    os.close(file)


def _to_nobody(file: int) -> None:
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, file)
    os.close(nobody)
