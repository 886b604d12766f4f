"""
What one run leaves on disk: which files, what they are called, where they lie.

Each file is written whole as soon as it exists, and never outside the folder. What
is in the files is the stages' business; the journal writes itself.
"""

import contextlib
import json
import re
from dataclasses import dataclass
from datetime import date
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal, Self

from pipeline.errors import SettingsError, StorageError
from pipeline.store.whole_file import (
    broken_rule,
    check_output_name,
    holds,
    safe_name,
    storing,
    sweep_parts,
    write_whole,
)

__all__ = [
    "JOURNAL_FILE",
    "PROGRAM",
    "RUN_FILE",
    "RUN_VERSION",
    "RunFolder",
    "check_output_name",
    "read_header",
    "safe_name",
    "write_whole",
]

PROGRAM = "post_generator"
RUN_VERSION = 1
RUN_FILE = "run.json"
JOURNAL_FILE = "calls.jsonl"
_SURROGATE = re.compile("[\ud800-\udfff]")

Kind = Literal["validation", "provenance", "pipeline_artifacts", "metrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """One run's folder; make it with create or reopen, which check where it is."""

    path: Path
    name: str  # begins every file name; the folder's own may end in -2, -3 ...
    created_on: str  # ISO date

    @classmethod
    def create(
        cls,
        output_root: Path,
        name: str,
        *,
        today: date,
        data: dict[str, Any] | None = None,
    ) -> Self:
        """
        A new folder ROOT/YYYY-MM-DD/NAME, or NAME-2, NAME-3 ... when it exists.

        It holds a run.json with the data when this returns. SettingsError when the
        name or a link leads out of the root, StorageError when the disk refuses.
        """
        check_output_name(name, output_root)
        day = output_root / today.isoformat()
        with storing("create", day):
            day.mkdir(parents=True, exist_ok=True)
        if day.resolve().parent != output_root.resolve():
            message = (
                f"{day} is a link out of the output root {output_root};"
                " remove it or choose another with --output-root"
            )
            raise SettingsError(message)
        run = cls(path=_new_folder(day, name), name=name, created_on=today.isoformat())
        try:
            run.write_run(data or {})
        except StorageError:
            with contextlib.suppress(OSError):
                run.path.rmdir()
            raise
        return run

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """
        The folder of an earlier run, wherever it is now, to be continued.

        SettingsError when it has no run.json of ours, or would lead elsewhere.
        """
        header = read_header(path)
        if header is None:
            message = (
                f"{str(path)!r} holds no run.json of {PROGRAM}; --resume takes the"
                " folder of an earlier run, as in outputs/2026-01-31/my-article"
            )
            raise SettingsError(message)
        _check_header(header, path / RUN_FILE)
        created_on = str(header.get("created_on", ""))
        run = cls(path=path.resolve(), name=header["name"], created_on=created_on)
        run._check_candidates_folder()
        return run

    @property
    def journal_path(self) -> Path:
        """Where the finished calls of this run are kept."""
        return self.path / JOURNAL_FILE

    @property
    def candidates_path(self) -> Path:
        """Where the drafts of this run are kept."""
        return self.path / "candidates"

    def write_candidate(self, article_id: int, preset: str, text: str) -> Path:
        """Write one draft; the answer is its path.

        One that is there already is left: thousands of them would hold up a resume.
        Another one of that number is moved to `earlier/`, never written over.
        """
        self._check_candidates_folder()
        with storing("create", self.candidates_path):
            # Not its parents: a folder deleted under the run stays deleted.
            self.candidates_path.mkdir(exist_ok=True)
        number = f"{self.name}_candidate_{article_id:02d}_"
        path = self.candidates_path / f"{number}{safe_name(preset)}.md"
        if holds(path, text):
            return path
        with storing("read", self.candidates_path):
            names = [entry.name for entry in self.candidates_path.iterdir()]
        for name in names:
            if name.startswith(number):
                self._move_to_earlier(name)
        return _written(path, text)

    def _move_to_earlier(self, name: str) -> None:
        earlier = self.candidates_path / "earlier"
        with storing("move a draft to", earlier):
            earlier.mkdir(exist_ok=True)
            path = Path(name)
            numbers = (f"{path.stem}-{n}{path.suffix}" for n in count(2))
            free = next(
                each for each in chain([name], numbers) if not (earlier / each).exists()
            )
            (self.candidates_path / name).rename(earlier / free)

    def write_article(self, text: str) -> Path:
        """Write the article; the answer is its path."""
        return _written(self.path / f"{self.name}_FINAL.md", text)

    def write_runner_up(self, text: str) -> Path:
        """Write what was compared with the article and not delivered."""
        return _written(self.path / f"{self.name}_RUNNER_UP.md", text)

    def write_json(self, kind: Kind, data: Any) -> Path:
        """Write one report; equal data in equal order gives equal bytes."""
        return _written(self.path / f"{self.name}_{kind}.json", _as_json(data))

    def write_run(self, data: dict[str, Any]) -> Path:
        """Write run.json: what marks the folder as ours, then the caller's data."""
        header = {
            "program": PROGRAM,
            "version": RUN_VERSION,
            "name": self.name,
            "created_on": self.created_on,
        }
        return _written(self.path / RUN_FILE, _as_json(header | data | header))

    def read_run(self) -> dict[str, Any]:
        """What run.json holds now; StorageError when it is gone or damaged."""
        header = read_header(self.path)
        if header is None:
            message = f"{self.path / RUN_FILE} is gone or damaged; start a new run"
            raise StorageError(message)
        return header

    def sweep(self) -> None:
        """Remove what a killed process left half-written; hold the journal first."""
        for folder in (self.path, self.candidates_path):
            if not folder.is_symlink():
                sweep_parts(folder)

    def _check_candidates_folder(self) -> None:
        for path in (self.candidates_path, self.candidates_path / "earlier"):
            if path.is_symlink():
                message = (
                    f"{path} is a link, and a run writes only in its own folder;"
                    " remove the link"
                )
                raise SettingsError(message)


def read_header(folder: Path) -> dict[str, Any] | None:
    """What run.json holds; None when it is missing, unreadable or not ours."""
    path = folder / RUN_FILE
    try:
        if path.is_symlink() or not path.is_file():
            return None
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("program") != PROGRAM:
        return None
    is_whole = isinstance(data.get("version"), int) and isinstance(
        data.get("name"), str
    )
    return data if is_whole else None


def _check_header(header: dict[str, Any], path: Path) -> None:
    version, name = header["version"], header["name"]
    if version > RUN_VERSION:
        message = (
            f"{path} has version {version}, this program reads up to {RUN_VERSION};"
            f" continue it with a newer {PROGRAM}"
        )
        raise SettingsError(message)
    broken = broken_rule(name)
    if broken is not None:
        message = f"the name {name!r} in {path} {broken}; correct it there"
        raise SettingsError(message)


def _new_folder(day: Path, name: str) -> Path:
    """Made here and now: mkdir is the only test that two runs cannot both pass."""
    for number in count(1):
        path = day / (name if number == 1 else f"{name}-{number}")
        with storing("create", path):
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path
    raise AssertionError  # the count has no end


def _as_json(data: Any) -> str:
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    # Half a character cannot be UTF-8, but it can be a JSON escape.
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text) + "\n"


def _written(path: Path, text: str) -> Path:
    write_whole(path, text)
    return path
