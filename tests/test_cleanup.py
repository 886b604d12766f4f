"""Deleting old runs: what goes, and everything that must stay."""

import json
import os
from datetime import date
from pathlib import Path

import pytest

from pipeline.errors import SettingsError, StorageError
from pipeline.store.cleanup import delete_run_folder, old_run_folders
from pipeline.store.journal import Journal
from pipeline.store.run_folder import RunFolder

TODAY = date(2026, 3, 31)
OLD_DAY = date(2026, 1, 31)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


def an_old_run(root: Path, name: str = "old") -> Path:
    return RunFolder.create(root, name, today=OLD_DAY).path


def old_runs(root: Path, days: int = 30) -> list[Path]:
    return old_run_folders(root, days=days, today=TODAY)


def test_only_runs_older_than_the_days_are_listed_in_order(root: Path) -> None:
    for day, name in [(30, "b"), (30, "a"), (1, "c"), (2, "d"), (31, "e")]:
        RunFolder.create(root, name, today=date(2026, 3, day))
    expected = ["2026-03-01/c", "2026-03-02/d"]
    assert old_runs(root, 28) == [root / name for name in expected]
    assert old_runs(root, 29) == [root / "2026-03-01/c"]
    assert old_runs(root, 30) == []
    assert len(old_runs(root, 0)) == 4  # today's stays


def test_negative_days_are_refused(root: Path) -> None:
    with pytest.raises(SettingsError, match=r"got -1; use --cleanup-old 30"):
        old_runs(root, -1)


def test_a_root_that_does_not_exist_has_no_runs(root: Path) -> None:
    assert old_runs(root) == []


def test_a_run_from_the_future_is_not_old(root: Path) -> None:
    RunFolder.create(root, "later", today=date(2030, 1, 1))
    assert old_runs(root, 0) == []


def test_the_later_of_the_two_dates_counts(root: Path) -> None:
    run = an_old_run(root)
    written = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(written | {"created_on": "2026-03-30"}))
    assert old_runs(root) == []
    (run / "run.json").write_text(json.dumps(written | {"created_on": "never"}))
    assert old_runs(root) == [run]
    (run / "run.json").write_text(json.dumps(written | {"created_on": "2020-01-01"}))
    assert old_runs(root, 59) == []  # since 2026-01-31
    assert old_runs(root, 58) == [run]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "\0", "[" * 100_000, '{"program": "another"}', '"post_generator"'],
)
def test_a_folder_without_a_run_file_of_ours_stays(root: Path, text: str) -> None:
    other = root / "2026-01-31" / "other"
    other.mkdir(parents=True)
    assert old_runs(root) == []
    (other / "run.json").write_text(text)
    assert old_runs(root) == []
    with pytest.raises(StorageError, match="nothing was deleted"):
        delete_run_folder(other, root)
    assert other.exists()


@pytest.mark.parametrize("day", ["20260131", "2026-W05-6", "notes", "2026-1-31"])
def test_a_folder_that_is_no_date_is_not_looked_into(root: Path, day: str) -> None:
    run = an_old_run(root)
    run.parent.rename(root / day)
    assert old_runs(root) == []
    with pytest.raises(StorageError, match="nothing was deleted"):
        delete_run_folder(root / day / "old", root)
    assert (root / day / "old" / "run.json").exists()


def test_no_link_is_followed_to_a_run(root: Path, tmp_path: Path) -> None:
    elsewhere = an_old_run(tmp_path / "elsewhere")
    root.mkdir()
    (root / "2026-01-31").symlink_to(elsewhere.parent)  # a link as the day
    (root / "2026-01-30").mkdir()
    (root / "2026-01-30" / "linked").symlink_to(elsewhere)  # a link as the run
    half = root / "2026-01-30" / "half"
    half.mkdir()
    (half / "run.json").symlink_to(elsewhere / "run.json")  # a link as its mark
    assert old_runs(root) == []
    for path in ("2026-01-31/old", "2026-01-30/linked", "2026-01-30/half"):
        with pytest.raises(StorageError, match="nothing was deleted"):
            delete_run_folder(root / path, root)
    assert (elsewhere / "run.json").exists()


def test_deleting_removes_the_run_and_not_what_its_links_name(
    root: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    run = an_old_run(root)
    neighbour = an_old_run(root, "neighbour")
    (run / "to_folder").symlink_to(kept)
    (run / "to_file").symlink_to(kept / "file")
    (run / "candidates").mkdir()
    (run / "candidates" / "to_folder").symlink_to(kept)
    (run / "candidates" / "draft.md").write_bytes(b"x" * 1000)
    with Journal.open(run / "calls.jsonl"):
        pass
    size = (run / "run.json").stat().st_size + 1000
    assert delete_run_folder(run, root) == size
    assert not run.exists()
    assert (kept / "file").read_text() == "mine"
    assert old_runs(root) == [neighbour]


def test_a_journal_that_is_a_link_is_removed_and_what_it_names_is_not(
    root: Path, tmp_path: Path
) -> None:
    run = an_old_run(root)
    (tmp_path / "mine").write_text("mine")
    (run / "calls.jsonl").symlink_to(tmp_path / "mine")
    delete_run_folder(run, root)
    assert not run.exists()
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_run_under_way_is_not_deleted(root: Path) -> None:
    run = an_old_run(root)
    (run / "old_FINAL.md").write_text("the article")
    with Journal.open(run / "calls.jsonl"):
        with pytest.raises(StorageError, match="in use by another run"):
            delete_run_folder(run, root)
        assert (run / "old_FINAL.md").exists()
    delete_run_folder(run, root)
    assert not run.exists()


@pytest.mark.parametrize("way", ["..", ".", "../2026-01-31/old", "old/../../../x"])
def test_a_path_that_leaves_its_place_is_refused(root: Path, way: str) -> None:
    run = an_old_run(root)
    with pytest.raises(StorageError, match="nothing was deleted"):
        delete_run_folder(run.parent / way / "..", root)
    with pytest.raises(StorageError, match="nothing was deleted"):
        delete_run_folder(run, root / "another")
    assert (run / "run.json").exists()


def test_a_root_that_is_a_link_is_the_choice_of_the_user(
    root: Path, tmp_path: Path
) -> None:
    run = an_old_run(root)
    (tmp_path / "link").symlink_to(root)
    (found,) = old_runs(tmp_path / "link")
    delete_run_folder(found, tmp_path / "link")
    assert not run.exists()


def test_a_deletion_cut_short_can_be_repeated(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = an_old_run(root)
    (run / "candidates").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        with pytest.raises(StorageError, match="cannot delete"):
            delete_run_folder(run, root)
    assert old_runs(root) == [run]
    delete_run_folder(run, root)
    assert not run.exists()


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")
