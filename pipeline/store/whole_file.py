"""
Files that are either there as a whole or not there.

A reader, a crash or a full disk never shows half a file. What the folder is and
which files belong in it is not known here; what a folder may be called is.
"""

import contextlib
import errno
import os
import re
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import SettingsError, StorageError
from pipeline.text.safety import whole_characters

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_PART = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
# O_BINARY: Windows would write \r\n. O_NOFOLLOW: what a link names is not ours.
PLAIN = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


def write_whole(path: Path, text: str) -> None:
    """
    Replace the file by this text, as UTF-8, surviving power loss once it returns.

    A symbolic link in its place is replaced, not followed. StorageError when it
    cannot be done; nothing but the old file, or the new one whole, is left behind.
    """
    data = whole_characters(text).encode()
    # A name of its own, as a killed run may have left one.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with storing("write", path):
        try:
            _write_new(part, data)
            part.replace(path)
            sync_folder(path.parent)
        finally:
            _remove_if_there(part)


def holds(path: Path, text: str) -> bool:
    """Whether the file, and no link in its place, is there with exactly this text."""
    try:
        data = None if path.is_symlink() else path.read_bytes()
    except OSError:
        return False
    return data == whole_characters(text).encode()


def sweep_parts(folder: Path) -> None:
    """
    Remove the temporary files that a killed process left in the folder.

    Only while no other process writes there. What cannot be removed stays: it is
    in nobody's way.
    """
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            if _PART.fullmatch(entry.name):
                _remove_if_there(entry)


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _remove_if_there(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the error that brought us here says more


def sync_folder(folder: Path) -> None:
    """Make a new name in the folder survive power loss; OSError when it fails."""
    if os.name == "nt":
        return  # folders cannot be opened there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storing(verb: str, path: Path) -> Iterator[None]:
    """Turn OSError into StorageError: the path, the reason and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        message = f"cannot {verb} {path}: {reason}; {_remedy(error.errno)}"
        raise StorageError(message) from error


def _remedy(code: int | None) -> str:
    if code in _NO_ROOM:
        return "make room on the disk, then continue with --resume"
    if code in _NOT_ALLOWED:
        return "make the folder writable or choose another with --output-root"
    if code in (errno.ENOENT, errno.ENOTDIR):
        return "was the folder deleted or renamed? Put it back or start a new run"
    if code == errno.ELOOP:
        return "it is a symbolic link, and a run writes only in its own folder"
    return "see that the disk works, then continue with --resume"


_LONGEST_SLUG = 60
_LONGEST_NAME = 100  # bytes: leaves room for _candidate_01_PRESET.md
_FALLBACK = "article"
# Windows opens devices under these names, whatever follows the first dot.
_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10)
}
_SEPARATORS = re.compile(r"[/\\:]")


def safe_name(text: str) -> str:
    """
    A file name for the text: lower-case letters, digits, _ and -, at most 60.

    Accents are dropped. A text without one letter or digit of these is "article".
    """
    plain = unicodedata.normalize("NFKD", text[: 20 * _LONGEST_SLUG])
    words = re.findall(r"[a-z0-9_]+", _without_marks(plain).casefold())
    name = "-".join(words)[:_LONGEST_SLUG].strip("-_")
    if name in _DEVICES:
        return f"{name}-{_FALLBACK}"
    return name or _FALLBACK


def _without_marks(text: str) -> str:
    """The text without accents, and without apostrophes: dont, not don-t."""
    marks = {"'", "’"}
    return "".join(
        char for char in text if not unicodedata.combining(char) and char not in marks
    )


def check_output_name(name: str, root: Path) -> None:
    """SettingsError when a folder of that name would not be right under the root."""
    broken = broken_rule(name) or _where_it_leads(name, root)
    if broken is not None:
        message = (
            f"output name {name!r} {broken};"
            " use letters, digits, _ and -, as in --output my-article"
        )
        raise SettingsError(message)


def broken_rule(name: str) -> str | None:
    """Which rule for names of folders and files this one breaks, as half a line."""
    rules = (
        (not name.strip(), "is empty"),
        (not name.isprintable(), "must hold printable characters only"),
        (bool(_SEPARATORS.search(name)), r"must be one name, without / \ or :"),
        (name[:1] in "-. ", "must not begin with '-', '.' or a space"),
        (name[-1:] in ". ", "must not end with '.' or a space"),
        (name.split(".")[0].lower() in _DEVICES, "is a device on Windows"),
        (_is_too_long(name), f"must be at most {_LONGEST_NAME} bytes long"),
    )
    return next((rule for is_broken, rule in rules if is_broken), None)


def _is_too_long(name: str) -> bool:
    return len(name.encode("utf-8", "replace")) > _LONGEST_NAME


def _where_it_leads(name: str, root: Path) -> str | None:
    try:
        if (root / name).resolve().parent == root.resolve():
            return None
    except (OSError, RuntimeError, ValueError) as error:
        return f"cannot be looked up under {root} ({error})"
    return f"must stay under the output root {root}, and leads elsewhere by a link"
