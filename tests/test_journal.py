"""The journal: what is on disk after cuts, damage, kills, full disks and two runs."""

import dataclasses
import errno
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StorageError
from pipeline.store.journal import CallRecord, Journal, NoJournal, call_key
from pipeline.text.safety import redactor
from tests.growth import assert_one_pass

FAILSAFE_S = 5.0
SURROGATES = st.text(st.characters(exclude_categories=[]), max_size=40)

HOLD_THE_JOURNAL = """
import sys
from pathlib import Path
from pipeline.store.journal import CallRecord, Journal
journal = Journal.open(Path(sys.argv[1]))
journal.record(
    CallRecord(key="k", ok=True, stage="s", item_id="1", model="m", content="paid")
)
print("held", flush=True)
sys.stdin.read()
"""


def a_record(key: str = "k1", **changed: Any) -> CallRecord:
    values: dict[str, Any] = {
        "key": key,
        "ok": True,
        "stage": "extract",
        "item_id": "1",
        "model": "m",
        "content": f"answer to {key}",
        "finish_reason": "stop",
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "seconds": 1.5,
        "ended_at": "2026-01-31T10:00:00+00:00",
    }
    return CallRecord(**values | changed)


def write_journal(path: Path, *records: CallRecord) -> None:
    with Journal.open(path) as journal:
        for record in records:
            journal.record(record)


def read_back(path: Path, *keys: str) -> list[str | None]:
    with Journal.open(path) as journal:
        found = [journal.lookup(key) for key in keys]
    return [record.content if record else None for record in found]


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """A disk that is full: writes beyond the size are cut short, then refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def a_key(**changed: Any) -> str:
    question: dict[str, Any] = {
        "base_url": "http://127.0.0.1:8080/v1",
        "model": "m",
        "stage": "score",
        "item_id": "3",
        "sample": 1,
        "attempt": 1,
        "messages": [{"role": "user", "content": "Judge this."}],
        "record_name": "article_score",
        "sampling": {"temperature": 0.7, "seed": 5},
    }
    return call_key(**question | changed)


def test_a_key_is_the_same_in_every_version_of_the_program() -> None:
    question = (
        b'{"attempt":1,"base_url":"http://127.0.0.1:8080/v1","item_id":"3",'
        b'"messages":[{"content":"Judge this.","role":"user"}],"model":"m",'
        b'"record_name":"article_score","sample":1,'
        b'"sampling":{"seed":5,"temperature":0.7},"stage":"score","version":1}'
    )
    assert a_key() == hashlib.sha256(question).hexdigest()


def test_the_order_of_sampling_parameters_does_not_change_the_key() -> None:
    assert a_key(sampling={"seed": 5, "temperature": 0.7}) == a_key()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "http://127.0.0.1:8081/v1"),
        ("model", "n"),
        ("stage", "extract"),
        ("item_id", "4"),
        ("sample", 2),
        ("attempt", 2),
        ("messages", [{"role": "user", "content": "Judge that."}]),
        ("record_name", None),
        ("sampling", {"temperature": 0.8, "seed": 5}),
    ],
)
def test_every_part_of_the_question_changes_the_key(name: str, value: Any) -> None:
    assert a_key(**{name: value}) != a_key()


def test_a_record_comes_back_with_every_field(tmp_path: Path) -> None:
    record = a_record(requests=3, cost=0.25, tokens_estimated=True, error_kind="x")
    write_journal(tmp_path / "calls.jsonl", record)
    with Journal.open(tmp_path / "calls.jsonl") as journal:
        assert journal.lookup("k1") == record
        assert journal.replayable == 1
        assert journal.cost_before == 0.25


def test_a_run_is_never_answered_with_its_own_calls(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "calls.jsonl") as journal:
        journal.record(a_record())
        assert journal.lookup("k1") is None
    assert read_back(tmp_path / "calls.jsonl", "k1") == ["answer to k1"]


@pytest.mark.parametrize(
    "changed",
    [
        {"ok": False, "content": None, "error": "500"},
        {"finish_reason": "content_filter"},
        {"finish_reason": "refusal"},
        {"content": None},
    ],
)
def test_what_is_no_answer_is_kept_but_not_replayed(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    write_journal(tmp_path / "calls.jsonl", a_record(**changed))
    with Journal.open(tmp_path / "calls.jsonl") as journal:
        assert journal.lookup("k1") is None
        assert (journal.damaged, journal.replayable) == (0, 0)


@pytest.mark.parametrize("reason", [None, "", "stop", "eos", "end_turn", "length"])
def test_an_answer_that_was_used_is_replayed_whatever_ended_it(
    tmp_path: Path, reason: str | None
) -> None:
    write_journal(tmp_path / "calls.jsonl", a_record(finish_reason=reason))
    assert read_back(tmp_path / "calls.jsonl", "k1") == ["answer to k1"]


def test_the_last_record_of_a_key_wins(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    write_journal(
        path,
        a_record("k1", ok=False, content=None),
        a_record("k1", content="second"),
        a_record("k2", content="first"),
        a_record("k2", ok=False, content=None),
        a_record("k3", content="first"),
        a_record("k3", content="second"),
    )
    assert read_back(path, "k1", "k2", "k3") == ["second", None, "second"]


@contextmanager
def journal_of(contents: list[str]) -> Iterator[tuple[Path, bytes]]:
    """A journal of one record and these, on a disk that is never waited for."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        path = Path(folder) / "calls.jsonl"
        records = [a_record(f"k{at}", content=text) for at, text in enumerate(contents)]
        write_journal(path, a_record("before"), *records)
        yield path, path.read_bytes()


def check_cut(path: Path, written: bytes, cut: int) -> None:
    """Cut there, go on writing: all whole records and the new one read back."""
    path.write_bytes(written)
    keys = ("before", "k0", "k1", "k2")
    expected = read_back(path, *keys)
    path.write_bytes(written[:cut])
    whole = written[:cut].count(b"\n")
    write_journal(path, a_record("after"))
    lost: list[str | None] = [None] * (4 - whole)
    kept = [*expected[:whole], *lost, "answer to after"]
    assert read_back(path, *keys, "after") == kept
    assert path.read_bytes().startswith(written[: written.rfind(b"\n", 0, cut) + 1])


def test_a_cut_at_each_byte_of_the_last_three_loses_at_most_the_cut_record() -> None:
    with journal_of(["plain", "two\nlines, \ud800 half", '{"crc32":']) as (
        path,
        written,
    ):
        for cut in range(written.index(b"\n") + 1, len(written) + 1):
            check_cut(path, written, cut)


@given(contents=st.lists(SURROGATES, min_size=3, max_size=3), data=st.data())
def test_a_cut_of_any_records_at_any_byte_loses_at_most_the_cut_record(
    contents: list[str], data: st.DataObject
) -> None:
    with journal_of(contents) as (path, written):
        least = written.index(b"\n") + 1
        check_cut(path, written, data.draw(st.integers(least, len(written))))


def test_the_fragment_of_a_torn_line_is_kept_beside_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    write_journal(path, a_record("k1"), a_record("k2"))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:-9])
    with Journal.open(path) as journal:
        assert (journal.torn_bytes, journal.damaged) == (len(second) - 9, 0)
    assert path.read_bytes() == first
    assert (tmp_path / "calls.jsonl.torn").read_bytes() == second[:-9] + b"\n"


@settings(max_examples=200)
@given(data=st.data())
def test_a_changed_byte_is_never_trusted_and_harms_no_other_line(
    data: st.DataObject,
) -> None:
    with journal_of(["one", "two", "three"]) as (path, written):
        first, second, *rest = written.splitlines(keepends=True)
        at = data.draw(st.integers(0, len(second) - 2))  # its newline stays
        byte = data.draw(st.integers(0, 255).filter(lambda new: new != second[at]))
        damaged = second[:at] + bytes([byte]) + second[at + 1 :]
        path.write_bytes(first + damaged + b"".join(rest))
        with Journal.open(path) as journal:
            assert journal.lookup("k0") is None
            assert journal.damaged == 1 + (byte == ord("\n"))
            assert journal.replayable == 3


@pytest.mark.parametrize(
    "body",
    [
        *(b"[]", b"{}", b'"x"', b"[" * 100_000, b'{"key":1}', b"\xff"),
        json.dumps(dataclasses.asdict(a_record()) | {"content": 5}).encode(),
        json.dumps(dataclasses.asdict(a_record()) | {"seconds": None}).encode(),
    ],
)
def test_a_line_with_a_right_checksum_but_no_record_is_skipped(
    tmp_path: Path, body: bytes
) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b'{"crc32":"%08x","record":%b}\n' % (zlib.crc32(body), body))
    with Journal.open(path) as journal:
        assert (journal.damaged, journal.replayable) == (1, 0)


@given(text=SURROGATES)
def test_any_text_comes_back_as_it_was(text: str) -> None:
    # Two halves that stand together are one character to every reader of JSON.
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.jsonl"
        write_journal(path, a_record(content=text))
        assert read_back(path, "k1") == [joined]


def test_a_second_journal_in_this_process_is_refused(tmp_path: Path) -> None:
    with (
        Journal.open(tmp_path / "calls.jsonl"),
        pytest.raises(StorageError, match=r"in use by another run; wait") as caught,
    ):
        Journal.open(tmp_path / "calls.jsonl")
    assert str(tmp_path) in str(caught.value)
    Journal.open(tmp_path / "calls.jsonl").close()


def test_another_process_is_refused_until_this_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    command = [sys.executable, "-c", HOLD_THE_JOURNAL, str(path)]
    with subprocess.Popen(  # noqa: S603 - our own text, our own interpreter
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(StorageError, match="in use by another run"):
                Journal.open(path)
        finally:
            holder.kill()
            holder.wait(FAILSAFE_S)
    assert read_back(path, "k") == ["paid"]


def test_records_of_many_threads_are_all_whole(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    start = threading.Barrier(8)

    def write(thread: int) -> None:
        start.wait(FAILSAFE_S)
        for number in range(40):
            journal.record(a_record(f"{thread}-{number}", content="x" * 3000))

    with Journal.open(path) as journal:
        threads = [threading.Thread(target=write, args=(at,)) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(FAILSAFE_S)
    with Journal.open(path) as journal:
        assert (journal.replayable, journal.damaged) == (320, 0)


def test_the_disk_is_forced_every_second_or_64_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    forced: list[int] = []
    journal = Journal.open(tmp_path / "calls.jsonl", clock=lambda: now[0])
    monkeypatch.setattr(os, "fsync", forced.append)
    for _ in range(63):
        journal.record(a_record())
    assert len(forced) == 0
    journal.record(a_record())
    assert len(forced) == 1  # the 64th
    now[0] += 0.9
    journal.record(a_record())
    assert len(forced) == 1
    now[0] += 0.1
    journal.record(a_record())
    assert len(forced) == 2  # a second after the last
    journal.sync()
    assert len(forced) == 2  # nothing new
    journal.record(a_record())
    journal.close()
    assert len(forced) == 3


def test_what_nobody_follows_is_forced_when_it_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    forced: list[int] = []
    journal = Journal.open(tmp_path / "calls.jsonl", clock=lambda: now[0])
    monkeypatch.setattr(os, "fsync", forced.append)
    journal.record(a_record())
    journal.sync_if_due()
    assert len(forced) == 0
    now[0] += 1.0
    journal.sync_if_due()
    assert len(forced) == 1
    now[0] += 60.0
    journal.sync_if_due()
    assert len(forced) == 1  # nothing new
    journal.close()


def test_a_signal_handler_may_sync_while_its_thread_records(tmp_path: Path) -> None:
    interrupted = threading.Event()

    def clock() -> float:  # called in the middle of record, like a signal handler
        if interrupted.is_set():
            interrupted.clear()
            journal.sync()
        return 0.0

    journal = Journal.open(tmp_path / "calls.jsonl", clock=clock)
    interrupted.set()
    worker = threading.Thread(target=journal.record, args=(a_record(),), daemon=True)
    worker.start()
    worker.join(FAILSAFE_S)
    assert not worker.is_alive()
    journal.close()


def test_a_full_disk_is_a_clear_line_and_the_file_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    write_journal(path, a_record("k1"))
    size = path.stat().st_size
    with Journal.open(path) as journal:
        with (
            files_limited_to(size + 100),  # room for a part of the next line
            pytest.raises(StorageError, match=r"calls\.jsonl: .*; make room") as caught,
        ):
            journal.record(a_record("k2"))
        assert "\n" not in str(caught.value)
        assert path.stat().st_size == size
        journal.record(a_record("k3"))
    assert read_back(path, "k1", "k2", "k3") == ["answer to k1", None, "answer to k3"]


def test_a_torn_line_that_cannot_be_cut_harms_no_later_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls.jsonl"

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    with Journal.open(path) as journal:
        for room in (50, 90):  # the second is torn behind the first
            with monkeypatch.context() as patch, files_limited_to(room):
                patch.setattr(os, "ftruncate", refuse)
                with pytest.raises(StorageError):
                    journal.record(a_record("k1"))
        with files_limited_to(95), pytest.raises(StorageError):
            journal.record(a_record("k1"))  # cut back, to a torn tail
        journal.record(a_record("k2"))
    assert read_back(path, "k1", "k2") == [None, "answer to k2"]


def test_a_folder_deleted_under_the_run_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with Journal.open(folder / "calls.jsonl") as journal:
        journal.record(a_record())
        shutil.rmtree(folder)
        with pytest.raises(StorageError, match="deleted or renamed"):
            journal.record(a_record())


def test_a_journal_that_cannot_be_opened_is_a_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StorageError, match=r"cannot open .*missing"):
        Journal.open(tmp_path / "missing" / "calls.jsonl")
    with pytest.raises(StorageError, match="cannot open"):
        Journal.open(tmp_path)

    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match="Read-only file system; make the folder"):
        Journal.open(tmp_path / "calls.jsonl")


def test_a_journal_that_is_a_link_elsewhere_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "calls.jsonl").symlink_to(elsewhere)
    with pytest.raises(StorageError, match="symbolic link"):
        Journal.open(tmp_path / "calls.jsonl")
    assert elsewhere.read_text() == "mine"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "calls.jsonl")
    with pytest.raises(StorageError, match="cannot open"):
        Journal.open(tmp_path / "calls.jsonl")


def test_no_secret_reaches_the_file(tmp_path: Path) -> None:
    path, secret = tmp_path / "calls.jsonl", 'sk-"abc"/12345'
    with Journal.open(path, redact=redactor([secret])) as journal:
        journal.record(a_record(content=f"you said {secret}!", error=f"bad {secret}"))
    assert "abc" not in path.read_text()
    assert read_back(path, "k1") == ["you said [redacted]!"]


def test_a_closed_journal_refuses_and_writes_into_no_other_file(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "calls.jsonl")
    journal.close()
    journal.close()
    with (tmp_path / "other").open("wb") as other:  # likely has its descriptor now
        with pytest.raises(StorageError, match="closed"):
            journal.record(a_record())
        assert other.seek(0, os.SEEK_END) == 0


def test_reading_back_takes_one_pass(tmp_path: Path) -> None:
    def read(text: str) -> None:
        path = tmp_path / f"{len(text)}.jsonl"
        if not path.exists():
            with Journal.open(path, fsync_every=100_000) as journal:
                for at in range(len(text) // 40):
                    journal.record(a_record(f"{at:064}", content="an answer " * 90))
        with Journal.open(path) as journal:
            assert journal.replayable == len(text) // 40

    assert_one_pass(read, "x")


def test_a_record_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        a_record().ok = False  # type: ignore[misc]  # that is the point


def test_no_journal_remembers_nothing() -> None:
    journal = NoJournal()
    journal.record(a_record())
    journal.sync()
    journal.close()
    assert journal.lookup("k1") is None
