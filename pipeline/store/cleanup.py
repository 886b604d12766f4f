"""
Old run folders: which there are, and deleting one.

Nothing is deleted that is not a run folder of ours, right under a date of the
output root; no link is followed. Asking the user first is the caller's part.
"""

import os
import shutil
import stat
from datetime import date
from pathlib import Path

from pipeline.errors import SettingsError, StorageError
from pipeline.store.journal_file import open_locked
from pipeline.store.run_folder import JOURNAL_FILE, RUN_FILE, read_header
from pipeline.store.whole_file import storing


def old_run_folders(output_root: Path, *, days: int, today: date) -> list[Path]:
    """
    Run folders more than that many days old, by date and name.

    The age is that of the folder's date or of the one in its run.json, whichever
    is later. An output root that does not exist has none.
    """
    if days < 0:
        message = f"days must be at least 0, got {days}; use --cleanup-old 30"
        raise SettingsError(message)
    if not output_root.exists():
        return []
    with storing("read", output_root):
        return [
            folder
            for day in sorted(output_root.iterdir())
            if _as_date(day.name) is not None and _is_real_folder(day)
            for folder in sorted(day.iterdir())
            if _is_old_run(folder, days=days, today=today)
        ]


def delete_run_folder(path: Path, root: Path) -> int:
    """
    Delete one run folder of this output root; the answer is the bytes it held.

    StorageError, with nothing deleted, when it is not one any more or a run is
    using it. Links in it are removed, what they name is not.
    """
    expected = root.resolve() / path.parent.name / path.name
    if path.resolve() != expected or _started_on(path) is None:
        message = (
            f"{path} is not a run folder under {root}; nothing was deleted,"
            " remove it by hand if it is yours"
        )
        raise StorageError(message)
    with storing("delete", path):
        return _delete(path)


def _delete(folder: Path) -> int:
    run_file, journal = folder / RUN_FILE, folder / JOURNAL_FILE
    # A run that is using the folder holds its journal, and then this refuses.
    is_plain = journal.is_file() and not journal.is_symlink()
    held = open_locked(journal) if is_plain else None
    try:
        freed = sum(_size(entry) for entry in folder.rglob("*"))
        for entry in folder.iterdir():
            if entry not in (run_file, journal):
                _remove(entry)
    finally:
        if held is not None:
            os.close(held)  # some systems delete no file that is open
    # run.json last, so that a deletion cut short can be repeated.
    journal.unlink(missing_ok=True)
    run_file.unlink()
    folder.rmdir()
    return freed


def _remove(entry: Path) -> None:
    if _is_real_folder(entry):
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _size(entry: Path) -> int:
    status = entry.lstat()
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_old_run(folder: Path, *, days: int, today: date) -> bool:
    started_on = _started_on(folder)
    return started_on is not None and (today - started_on).days > days


def _started_on(folder: Path) -> date | None:
    """The later of the two dates; None when it is not a run folder in its place."""
    day = _as_date(folder.parent.name)
    if day is None or not _is_real_folder(folder.parent) or not _is_real_folder(folder):
        return None
    header = read_header(folder)
    if header is None:
        return None
    return max(day, _as_date(header.get("created_on")) or day)


def _as_date(text: object) -> date | None:
    try:
        day = date.fromisoformat(str(text))
    except ValueError:
        return None
    return day if day.isoformat() == text else None
