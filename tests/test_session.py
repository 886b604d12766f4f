"""What a run shares, and that it is closed and written down however the run ends."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from parallel.progress_line import Waits
from parallel.session import Session, live, open_session
from pipeline.errors import Interrupted, ItemRejected, SettingsError, StorageError
from pipeline.generate import candidate_plans, write_all_candidates
from pipeline.llm.limiting import Observation
from pipeline.models.presets import Preset
from pipeline.models.run_models import Choice
from pipeline.records import Brief
from pipeline.settings import Settings
from pipeline.store.run_folder import RunFolder
from tests.loopback_llm import LoopbackLLM
from tests.stage_fakes import candidate

SETTINGS = Settings(
    topic="t", parallel=True, max_concurrent=6, score_concurrent=9, iterations=2
)
BRIEF = Brief(topic="t", words=60)


@pytest.fixture
def server() -> Iterator[LoopbackLLM]:
    with LoopbackLLM() as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "bar", today=date(2026, 1, 2))


def opened(server: LoopbackLLM, folder: RunFolder, **how: Any) -> Any:
    preset = Preset(
        name="p", base_url=server.base_url, model="loopback", key_env="SOME_KEY"
    )
    usual: dict[str, Any] = {
        "settings": SETTINGS,
        "env": {"SOME_KEY": "sk-very-secret-1"},
    }
    how = usual | how
    return open_session(
        how["settings"],
        Choice(main=how.get("preset", preset), why="test"),
        folder,
        env=how["env"],
        quiet=how.get("quiet", True),
    )


def metrics(folder: RunFolder) -> Any:
    return json.loads((folder.path / "bar_metrics.json").read_text(encoding="utf-8"))


def test_limits_of_the_settings_are_those_of_the_run(
    server: LoopbackLLM, folder: RunFolder
) -> None:
    with opened(server, folder) as session:
        limiter, concurrency = session.limiter, session.concurrency
        name = session.client.endpoint()
        permits = [limiter.reserve(name, "score") for _ in range(10)]
        assert [permit is not None for permit in permits] == [True] * 9 + [False]
        for permit in filter(None, permits):
            limiter.return_unused(permit)
        permits = [limiter.reserve(name, "extract") for _ in range(7)]
        assert [permit is not None for permit in permits] == [True] * 6 + [False]
        for permit in filter(None, permits):
            limiter.return_unused(permit)
    assert concurrency.limiter is limiter
    assert concurrency.stop is session.stop


def test_a_sequential_run_has_one_permit(
    server: LoopbackLLM, folder: RunFolder
) -> None:
    one_by_one = Settings(topic="t", max_concurrent=6)
    with opened(server, folder, settings=one_by_one) as session:
        assert session.limiter.max_in_flight == 1


def test_calls_are_journalled_and_the_metrics_are_written_at_the_end(
    server: LoopbackLLM, folder: RunFolder
) -> None:
    with opened(server, folder) as session:
        write_all_candidates(
            candidate_plans(BRIEF, iterations=2),
            client=session.client,
            watch=session.watch,
        )
        assert live(session.limiter, session.client, Waits()).tokens["generate"] > 0
    kept = metrics(folder)
    assert (kept["total"]["calls"], kept["stages"]["generate"]["calls"]) == (2, 2)
    assert (kept["in_flight_limit"], kept["in_flight_peak"]) == (9, 1)
    (endpoint,) = kept["endpoints"].values()
    assert endpoint["peak_in_flight"] == 1
    assert folder.journal_path.read_bytes().count(b"\n") >= 2
    assert len(list(folder.candidates_path.iterdir())) == 2


def test_a_second_session_replays_the_first_one_s_calls(
    server: LoopbackLLM, folder: RunFolder
) -> None:
    for _ in range(2):
        with opened(server, folder) as session:
            write_all_candidates(
                candidate_plans(BRIEF, iterations=2), client=session.client
            )
    assert server.state().hits == 2
    assert metrics(folder)["total"]["replayed"] == 2


def test_the_metrics_are_written_when_the_run_fails_too(
    server: LoopbackLLM, folder: RunFolder
) -> None:
    with pytest.raises(LookupError), opened(server, folder):
        raise LookupError
    assert metrics(folder)["total"]["calls"] == 0


def test_two_runs_cannot_work_in_one_folder(
    server: LoopbackLLM, folder: RunFolder
) -> None:
    with (
        opened(server, folder),
        pytest.raises(StorageError) as caught,
        opened(server, folder),
    ):
        pass
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_key_is_named_before_any_call(folder: RunFolder) -> None:
    preset = Preset(name="far", base_url="https://x.invalid/v1", key_env="FAR_KEY")
    with (
        LoopbackLLM() as server,
        pytest.raises(SettingsError, match="FAR_KEY"),
        opened(server, folder, preset=preset, env={}),
    ):
        pass


def test_a_key_is_in_no_file_of_the_run(folder: RunFolder) -> None:
    key = "sk-very-secret-1"

    def echo(_request: object) -> str:
        return f"# The key\n\nYour key is {key}."

    with LoopbackLLM(answer=echo) as server, opened(server, folder) as session:
        write_all_candidates(
            candidate_plans(BRIEF, iterations=1),
            client=session.client,
            watch=session.watch,
        )
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert not [path for path in files if key.encode() in path.read_bytes()]


def test_failures_are_kept_counted_and_told_in_item_order(
    server: LoopbackLLM, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(server, folder, quiet=False) as session:
        watch = session.watch
        watch.on_failed("extract", "card 10", ItemRejected("ten"))
        watch.on_failed("extract", "card 2", ItemRejected("two"))
        assert [(f.item, f.reason) for f in session.failed()] == [
            ("card 2", "two"),
            ("card 10", "ten"),
        ]
    assert "card 10 failed: ten" in capsys.readouterr().err


def test_a_draft_is_written_to_the_folder_when_it_is_there(
    server: LoopbackLLM, folder: RunFolder
) -> None:
    with opened(server, folder) as session:
        session.watch.on_candidate(candidate(3, "Words."))
        (kept,) = folder.candidates_path.iterdir()
    assert kept.read_text(encoding="utf-8") == "Words."


def stopped(session: Session) -> object:
    session.stop.set()
    session.limiter.stop()
    return write_all_candidates(
        candidate_plans(BRIEF, iterations=2), client=session.client
    )


def test_after_a_stop_no_call_is_made(server: LoopbackLLM, folder: RunFolder) -> None:
    with opened(server, folder) as session, pytest.raises(Interrupted):
        session.attend(lambda: stopped(session), resume="again")
    assert server.state().hits == 0


def test_the_screen_sees_calls_and_what_is_waited_for(
    server: LoopbackLLM, folder: RunFolder
) -> None:
    refusal = Observation(
        kind="rate", started_s=0.0, finished_s=0.0, said="slow down", retry_after_s=40.0
    )
    waits = Waits()
    waits.note("select 1", "the server answered 524", 40.0)
    with opened(server, folder) as session:
        limiter, client = session.limiter, session.client
        assert live(limiter, client, waits).waits.endswith("s: the server answered 524")
        with limiter.endpoint(client.endpoint()).permit("generate") as permit:
            assert live(limiter, client, waits).in_flight == 1
            assert live(limiter, client, waits).waits == ""
            permit.note(refusal)
        assert live(limiter, client, waits).in_flight == 0
        assert live(limiter, client, waits).waits.endswith("s: slow down")
