"""The run folder: names, places, whole files, and nothing outside it."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SettingsError, StorageError
from pipeline.store.run_folder import (
    RunFolder,
    check_output_name,
    safe_name,
    write_whole,
)

TODAY = date(2026, 1, 31)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


def a_run(root: Path, name: str = "bar") -> RunFolder:
    return RunFolder.create(root, name, today=TODAY)


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_run_gets_a_folder_of_its_own_under_the_date(root: Path) -> None:
    run = a_run(root)
    assert run.path == root / "2026-01-31" / "bar"
    assert run.journal_path == run.path / "calls.jsonl"
    assert everything_in(root) == [
        "2026-01-31",
        "2026-01-31/bar",
        "2026-01-31/bar/run.json",
    ]


def test_a_folder_that_exists_is_never_used_again(root: Path) -> None:
    (root / "2026-01-31").mkdir(parents=True)
    (root / "2026-01-31" / "bar-2").write_text("a file, not a folder")
    (root / "2026-01-31" / "bar-3").symlink_to(root)
    names = [a_run(root).path.name for _ in range(3)]
    assert names == ["bar", "bar-4", "bar-5"]
    assert a_run(root).name == "bar"


def test_files_are_named_for_the_run_also_in_a_second_folder(root: Path) -> None:
    a_run(root)
    run = a_run(root)
    written = [
        run.write_candidate(1, "GPT 4/mini:latest", "draft"),
        run.write_candidate(12, "../../x", "draft"),
        run.write_article("article"),
        run.write_json("validation", {}),
        run.write_json("pipeline_artifacts", {}),
        run.write_json("metrics", {}),
    ]
    assert [str(path.relative_to(run.path)) for path in written] == [
        "candidates/bar_candidate_01_gpt-4-mini-latest.md",
        "candidates/bar_candidate_12_x.md",
        "bar_FINAL.md",
        "bar_validation.json",
        "bar_pipeline_artifacts.json",
        "bar_metrics.json",
    ]
    assert RunFolder.reopen(run.path) == run


def test_run_data_is_kept_and_cannot_unmark_the_folder(root: Path) -> None:
    run = a_run(root)
    run.write_run({"seed": 7, "program": "another", "name": "../x"})
    expected = {
        "program": "post_generator",
        "version": 1,
        "name": "bar",
        "created_on": "2026-01-31",
        "seed": 7,
    }
    assert run.read_run() == expected
    assert list(run.read_run()) == list(expected)


def test_json_is_canonical_and_half_characters_survive(root: Path) -> None:
    path = a_run(root).write_json("metrics", {"b": "é", "a": ["\ud800", 1.5]})
    assert path.read_bytes() == (
        '{\n  "b": "é",\n  "a": [\n    "\\ud800",\n    1.5\n  ]\n}\n'.encode()
    )


def test_what_is_no_json_is_refused_and_the_old_report_stays(root: Path) -> None:
    run = a_run(root)
    path = run.write_json("metrics", {"seconds": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        run.write_json("metrics", {"seconds": float("inf")})
    assert json.loads(path.read_text()) == {"seconds": 1.0}


@given(st.text(st.characters(exclude_categories=[])))
def test_any_json_text_can_be_written_and_read(text: str) -> None:
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        path = a_run(Path(folder)).write_json("metrics", [text])
        assert json.loads(path.read_bytes()) == [joined]


def test_half_a_character_in_an_article_is_replaced(root: Path) -> None:
    path = a_run(root).write_article("half \ud800 character\r\n")
    assert path.read_bytes() == "half \ufffd character\r\n".encode()


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{}", "{", '{"program": "post_generator"}', "[" * 100_000]
)
def test_a_folder_that_is_no_run_is_not_resumed(
    tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(SettingsError, match=r"holds no run\.json") as caught:
        RunFolder.reopen(tmp_path)
    assert repr(str(tmp_path)) in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "a\0b", "x" * 5000])
def test_a_path_that_is_nothing_is_not_resumed(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"holds no run\.json"):
        RunFolder.reopen(tmp_path / name)


def test_a_run_that_was_moved_is_resumed_where_it_is(
    root: Path, tmp_path: Path
) -> None:
    a_run(root).path.rename(tmp_path / "moved")
    run = RunFolder.reopen(tmp_path / "moved")
    assert run.write_article("x") == tmp_path / "moved" / "bar_FINAL.md"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "../../escaped"}, r"the name '../../escaped' in .* correct it"),
        ({"name": ""}, "is empty"),
        ({"version": 2}, "continue it with a newer post_generator"),
        ({"name": 5}, r"holds no run\.json"),
    ],
)
def test_a_run_file_that_would_lead_elsewhere_is_refused(
    root: Path, changed: dict[str, Any], words: str
) -> None:
    run = a_run(root)
    (run.path / "run.json").write_text(json.dumps(run.read_run() | changed))
    with pytest.raises(SettingsError, match=words):
        RunFolder.reopen(run.path)


def test_candidates_that_are_a_link_elsewhere_are_refused(
    root: Path, tmp_path: Path
) -> None:
    run = a_run(root)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run.path / "candidates").symlink_to(elsewhere)
    with pytest.raises(SettingsError, match="remove the link"):
        RunFolder.reopen(run.path)
    with pytest.raises(SettingsError, match="remove the link"):
        run.write_candidate(1, "p", "draft")
    assert everything_in(elsewhere) == []


def test_a_file_that_is_a_link_is_replaced_and_not_followed(
    root: Path, tmp_path: Path
) -> None:
    run = a_run(root)
    (tmp_path / "mine").write_text("mine")
    (run.path / "bar_FINAL.md").symlink_to(tmp_path / "mine")
    path = run.write_article("article")
    assert (tmp_path / "mine").read_text() == "mine"
    assert path.read_text() == "article"
    assert not path.is_symlink()


def test_a_date_folder_that_is_a_link_out_of_the_root_is_refused(
    root: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root.mkdir()
    (root / "2026-01-31").symlink_to(elsewhere)
    with pytest.raises(SettingsError, match="link out of the output root"):
        a_run(root)
    assert everything_in(elsewhere) == []


def test_a_root_that_is_a_link_is_the_choice_of_the_user(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    root.symlink_to(tmp_path / "disk")
    a_run(root)
    assert (tmp_path / "disk" / "2026-01-31" / "bar" / "run.json").exists()


@pytest.mark.parametrize("place", ["outputs", "outputs/2026-01-31"])
def test_a_file_in_the_place_of_a_folder_is_a_clear_line(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("a file")
    with pytest.raises(StorageError, match="cannot create"):
        a_run(tmp_path / "outputs")


def test_a_run_folder_deleted_under_the_run_stays_deleted(root: Path) -> None:
    run = a_run(root)
    shutil.rmtree(root)
    writers: list[Callable[[], object]] = [
        lambda: run.write_article("x"),
        lambda: run.write_candidate(1, "p", "x"),
        lambda: run.write_run({}),
        lambda: run.read_run(),
    ]
    for write in writers:
        with pytest.raises(StorageError, match=r"deleted or renamed|gone"):
            write()
    assert not root.exists()


@pytest.mark.parametrize("step", ["fsync", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    path = tmp_path / "article.md"
    write_whole(path, "old")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        with pytest.raises(StorageError, match=os.strerror(code)) as caught:
            write_whole(path, "new")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert everything_in(tmp_path) == ["article.md"]


def test_a_full_disk_leaves_no_empty_run_behind(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StorageError, match="make room on the disk"):
            a_run(root)
    assert everything_in(root) == ["2026-01-31"]


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_makes_a_safe_name(text: str) -> None:
    name = safe_name(text)
    assert 1 <= len(name) <= 60
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    check_output_name(name, Path("no-such-root"))
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Why Remote Work Doesn’t Scale", "why-remote-work-doesnt-scale"),
        ("Café au lait: Größe & ﬁne_tuning", "cafe-au-lait-grosse-fine_tuning"),
        ("漢字だけ", "article"),
        ("", "article"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON", "con-article"),
        ("lpt1.txt", "lpt1-txt"),
        ("--rm -rf /", "rm-rf"),
        ("word " * 50, ("word-" * 12)[:59]),
    ],
)
def test_names_are_made_from_topics(text: str, name: str) -> None:
    assert safe_name(text) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", ".", "..", "../x", "/etc", "a/b", "a\\b", "C:x", "a\0b", "a\nb",
        "-rf", ".hidden", " a", "a.", "a ", "con", "NUL.txt", "x" * 101, "é" * 51,
        "a\u202eb", "a\ud800",
    ],
)  # fmt: skip
def test_an_output_name_that_is_not_one_plain_name_is_refused(
    root: Path, name: str
) -> None:
    with pytest.raises(SettingsError, match="use letters, digits, _ and -") as caught:
        check_output_name(name, root)
    assert repr(name) in str(caught.value)
    with pytest.raises(SettingsError):
        a_run(root, name)
    assert not root.exists()


@pytest.mark.parametrize(
    "name", ["bar", "my article", "v1.2", "日本語", "x" * 100, "_"]
)
def test_other_output_names_are_taken(root: Path, name: str) -> None:
    run = a_run(root, name)
    run.write_candidate(12345, "p" * 200, "draft")
    assert run.path.parent == root / "2026-01-31"


def test_a_name_that_is_a_link_out_of_the_root_is_refused(
    root: Path, tmp_path: Path
) -> None:
    root.mkdir()
    (root / "bar").symlink_to(tmp_path)
    with pytest.raises(SettingsError, match="leads elsewhere by a link"):
        check_output_name("bar", root)
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(SettingsError, match="output name 'loop'"):
        check_output_name("loop", root)


@given(st.text(st.characters(exclude_categories=[]), max_size=12))
def test_every_name_that_is_taken_stays_right_under_its_folder(name: str) -> None:
    base = Path("/no-such-root/day")
    try:
        check_output_name(name, base)
    except SettingsError:
        return
    assert Path(os.path.normpath(base / name)).parent == base
