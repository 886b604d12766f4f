"""Settings: every rule, said in one line with the value and a remedy."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.settings import Settings, read_text


def error_of(**values: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings(**{"topic": "t", **values})
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("iterations", 0, "at least 1, got 0; use --iterations 5"),
        ("max_concurrent", 0, "at least 1, got 0; use --max-concurrent 1 for one at a"),
        ("max_concurrent", -3, "at least 1, got -3; use --max-concurrent"),
        ("extract_concurrent", 0, "at least 1, got 0; use --extract-concurrent 1"),
        ("score_concurrent", 0, "at least 1, got 0; use --score-concurrent 1"),
        ("votes", 0, "at least 1, got 0; use --synthesis-votes 3"),
        ("synthesis_retries", -1, "at least 0, got -1; use --synthesis-retries 0"),
        ("max_tokens", 0, "at least 1, got 0; use --max-tokens 4000"),
        ("target_word_count", 19, "at least 20, got 19; use --target-word-count"),
        ("retry_count", -1, "at least 0, got -1; use --retry-count 0"),
        ("retry_delay_s", -0.5, "at least 0, got -0.5; use --retry-delay 1"),
        ("retry_delay_s", float("inf"), "at least 0, got inf; use --retry-delay 1"),
        ("timeout_s", 0, "at least 0.001, got 0; use --timeout 120"),
        ("timeout_s", float("nan"), "got nan; use --timeout 120"),
        ("max_cost", -1, "at least 0, got -1; use --max-cost 2.50"),
        ("temperature", 2.1, "from 0 to 2, got 2.1; use --temperature 0.8"),
        ("temperature", float("nan"), "from 0 to 2, got nan; use --temperature"),
        ("scoring_mode", "best", "one of absolute, pairwise, funnel, got best; use --"),
    ],
)
def test_a_value_that_breaks_a_rule_is_named_with_rule_and_remedy(
    name: str, value: object, rule: str
) -> None:
    error = error_of(**{name: value})
    assert error.startswith(f"{name} must be ")
    assert rule in error
    assert "\n" not in error


@pytest.mark.parametrize("topic", ["", "  \n\t"])
def test_an_empty_topic_is_refused(topic: str) -> None:
    assert error_of(topic=topic) == (
        "the topic is empty; write the brief into the file, or use --topic"
    )


def test_the_smallest_and_largest_values_are_taken() -> None:
    Settings(
        topic="t",
        iterations=1,
        max_concurrent=1,
        votes=1,
        synthesis_retries=0,
        retry_count=0,
        retry_delay_s=0,
        max_cost=0,
        temperature=2,
        target_word_count=20,
    )
    assert Settings(topic="t", temperature=0).temperature == 0


def test_one_at_a_time_unless_parallel() -> None:
    one = Settings(topic="t", max_concurrent=8, extract_concurrent=20)
    assert one.in_flight_limit == 1
    assert one.stage_limits == {}


def test_the_whole_run_has_the_largest_of_the_limits() -> None:
    run = Settings(topic="t", parallel=True, max_concurrent=4, score_concurrent=9)
    assert run.in_flight_limit == 9
    assert run.stage_limits == {"generate": 4, "extract": 4, "score": 9}


@given(
    topic=st.text(min_size=1).filter(str.strip),
    context=st.lists(st.text(), max_size=2).map(tuple),
    iterations=st.integers(1, 99),
    candidates=st.lists(st.tuples(st.text(), st.text()), max_size=2).map(tuple),
    max_cost=st.none() | st.floats(0, 1e6),
)
def test_settings_survive_the_way_to_disk(**values: Any) -> None:
    import json

    made = Settings(**values)
    assert Settings.from_dict(json.loads(json.dumps(made.as_dict()))) == made


def test_what_a_later_version_kept_is_passed_over() -> None:
    kept = {"topic": "t", "iterations": 4, "of_a_later_version": 1}
    assert Settings.from_dict(kept) == Settings(topic="t", iterations=4)


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"topic": None},
        {"topic": 5},
        {"topic": "t", "iterations": "five"},
        {"topic": "t", "candidates": [["only a name"]]},
        {"topic": "t", "context": 3},
    ],
)
def test_a_damaged_run_file_is_one_line(kept: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"run\.json does not describe a run"):
        Settings.from_dict(kept)


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "brief.md").write_text("Ein Ärgernis\n", encoding="utf-8")
    read = read_text(str(tmp_path / "brief.md"), what="brief", remedy="mend it")
    assert read == "Ein Ärgernis\n"


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "latin.md").write_bytes(b"caf\xe9")
    for path, reason in [
        ("gone.md", "cannot be read (No such file or directory); mend it"),
        (".", "cannot be read (Is a directory); mend it"),
        ("latin.md", "is not UTF-8 at byte 3; save it as UTF-8"),
    ]:
        with pytest.raises(SettingsError) as caught:
            read_text(str(tmp_path / path), what="file", remedy="mend it")
        assert str(caught.value) == f"file {tmp_path / path} {reason}"


GB = 1024**3


@pytest.mark.parametrize(
    ("size", "count"), [("512M", 512 * 1024**2), ("2g", 2 * GB), ("1.5GB", 3 * GB // 2)]
)
def test_sizes_are_read_as_users_write_them(size: str, count: int) -> None:
    settings = Settings(topic="t", min_free_memory=size)
    assert settings.min_free_bytes(total=64 * GB) == count


def test_a_share_is_of_the_machines_memory() -> None:
    tenth = Settings(topic="t", min_free_memory="10%").min_free_bytes(total=64 * GB)
    fifth = Settings(topic="t", min_free_memory="20%").min_free_bytes(total=64 * GB)
    assert (tenth, fifth) == (int(6.4 * GB), int(12.8 * GB))
    assert Settings(topic="t").min_free_bytes(total=64 * GB) is None


@pytest.mark.parametrize("size", ["", "much", "12", "M", "-1M"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(SettingsError, match="use --min-free-memory 512M"):
        Settings(topic="t", min_free_memory=size)
