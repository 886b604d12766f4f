"""The command line: what flags make of Settings, and what bad ones get."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import post_generator
from pipeline.errors import SettingsError
from pipeline.flags import FLAGS
from pipeline.front.command_line import (
    EXAMPLE_TOPIC,
    changed_settings,
    parse,
    settings_from,
)
from pipeline.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a key in reach."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ["--topic-file", "gone.md"],
            "topic file gone.md cannot be read (No such file",
        ),
        (["--topic", " "], "the topic is empty; write the brief"),
        (["--topic-file", "empty.md"], "the topic is empty; write the brief"),
        (
            ["--topic", "t", "--preset", "nope"],
            "preset nope is not in the models file;",
        ),
        (["--topic", "t", "--candidate-presets", "builtin,nope"], "preset nope is not"),
        (
            ["--max-concurrent", "0"],
            "max_concurrent must be at least 1, got 0; use --max",
        ),
        (
            ["--iterations", "0"],
            "iterations must be at least 1, got 0; use --iterations",
        ),
        (["--max-cost", "nan"], "max_cost must be at least 0, got nan; use --max-cost"),
        (
            ["--quiet", "--topic", "t", "--output", "../away"],
            "../away",
        ),
        (
            ["--topic", "t", "--models-file", "broken.yaml"],
            "broken.yaml cannot be read at line 3",
        ),
        (
            ["--list-models", "--models-file", "gone.yaml"],
            "models file gone.yaml cannot",
        ),
        (["--quiet", "--topic", "t", "--candidates-dir", "bare"], "bare"),
        (["--topic", "t", "--topic-file", "f.md"], "--topic and --topic-file are both"),
        (
            ["--topic", "t", "--context-file", "gone.md"],
            "context file gone.md cannot be",
        ),
        (["--resume", "gone"], "gone"),
        (["--topic", "t", "--judge-presets", "nope"], "preset nope is not in the"),
        (["--synthesis-votes", "0"], "votes must be at least 1, got 0; use --synth"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(
    argv: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "empty.md").write_text("\n")
    (here / "broken.yaml").write_text("providers:\n  a: [\n")
    (here / "bare").mkdir()
    assert post_generator.main(argv) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert ";" in line or "," in line  # rule and remedy
    assert shown.out == ""
    assert not (here / "outputs").exists() or not any(
        (here / "outputs").rglob("*.json")
    )


@pytest.mark.parametrize(
    "argv",
    [
        ["--scoring-mode", "best"],
        ["--max-concurrent", "two"],
        ["--max-cost", "much"],
        ["--synthesis-votes", "many"],
        ["--synthesis-votes", "2.5"],
        ["--synthesis-votes", "Auto"],
        ["--no-judge-presets"],
        ["--frobnicate"],
    ],
)
def test_flags_that_are_none_get_exit_code_2(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(argv)
    assert caught.value.code == 2
    assert argv[-1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "rule"),
    [
        (["--synthesis-votes", "many"], "must be a number or auto, got many"),
        (["--iterations", "5.5"], "must be a whole number, got 5.5"),
        (["--timeout", "a minute"], "must be a number of seconds, got a minute"),
        (["--iterations", "\x1b[2J5"], "must be a whole number, got 5"),
    ],
)
def test_what_cannot_be_read_gets_the_rule_in_one_line(
    argv: list[str], rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(argv)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: argument {argv[0]}: {rule}; --help lists the flags"


def test_without_a_topic_the_example_is_used() -> None:
    assert settings_from(parse([])).topic == EXAMPLE_TOPIC.read_text(encoding="utf-8")
    assert settings_from(parse(["--topic", "t"])).topic == "t"


@pytest.mark.parametrize(
    ("argv", "synthesis", "iterations"),
    [
        ([], False, 1),
        (["--parallel"], True, 5),
        (["--enable-synthesis"], True, 5),
        (["--parallel", "--no-enable-synthesis"], False, 1),
        (["--parallel", "--iterations", "12"], True, 12),
    ],
)
def test_synthesis_and_drafts_follow_the_way_of_the_run(
    argv: list[str], synthesis: bool, iterations: int
) -> None:
    settings = settings_from(parse(["--topic", "t", *argv]))
    assert (settings.synthesis, settings.iterations) == (synthesis, iterations)


def test_every_flag_reaches_its_setting(tmp_path: Path) -> None:
    (tmp_path / "voice.md").write_text("Be brief.\r\n\0")
    argv = ["--topic", "t", "--synthesis-votes", "4", "--retry-delay", "0.5"]
    argv += ["--timeout", "9", "--candidate-presets", "a, b,", "--seed", "7"]
    argv += ["--context-file", str(tmp_path / "voice.md"), "--no-filter-think"]
    argv += ["--scoring-mode", "pairwise", "--max-cost", "1.5", "--verbose"]
    settings = settings_from(parse(argv))
    assert (settings.votes, settings.retry_delay_s, settings.timeout_s) == (4, 0.5, 9.0)
    assert settings.candidate_presets == ("a", "b")
    assert settings.context == ("Be brief.\n",)
    assert (settings.seed, settings.max_cost) == (7, 1.5)
    assert (settings.filter_think, settings.scoring_mode) == (False, "pairwise")


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        ([], "votes", 3),
        (["--synthesis-votes", "auto"], "votes", "auto"),
        (["--synthesis-votes", "12"], "votes", 12),
        ([], "gate", True),
        (["--gate"], "gate", True),
        (["--no-gate"], "gate", False),
        ([], "judge_presets", ()),
        (["--judge-presets", "a"], "judge_presets", ("a",)),
        (["--judge-presets", " a,b ,,c"], "judge_presets", ("a", "b", "c")),
        ([], "scoring_mode", "absolute"),
        (["--scoring-mode", "funnel"], "scoring_mode", "funnel"),
    ],
)
def test_how_to_judge_reaches_the_settings_and_a_resumed_run(
    argv: list[str], name: str, value: object
) -> None:
    assert getattr(settings_from(parse(["--topic", "t", *argv])), name) == value
    changed = changed_settings(parse(["--resume", "d", *argv]))
    assert changed == ({name: value} if argv else {})


@pytest.mark.parametrize("votes", [4, "auto"])
def test_how_to_judge_is_kept_for_a_resume(votes: object) -> None:
    argv = ["--topic", "t", "--synthesis-votes", str(votes), "--no-gate"]
    argv += ["--judge-presets", "a,b", "--scoring-mode", "funnel"]
    settings = settings_from(parse(argv))
    kept = json.loads(json.dumps(settings.as_dict()))
    assert Settings.from_dict(kept) == settings
    assert settings.votes == votes


def test_only_what_was_given_changes_a_resumed_run() -> None:
    assert changed_settings(parse(["--resume", "d"])) == {}
    given = parse(["--resume", "d", "--max-concurrent", "2", "--quiet"])
    assert changed_settings(given) == {"max_concurrent": 2}


def test_a_topic_in_bytes_that_are_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8 at byte 0"):
        settings_from(parse(["--topic-file", str(tmp_path / "b")]))


def test_a_flag_is_never_guessed_from_its_beginning() -> None:
    with pytest.raises(SystemExit):
        parse(["--max-conc", "3"])


def test_help_names_every_flag_and_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "post_generator.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    shown = set(done.stdout.replace(",", " ").split())
    assert {name for flag in FLAGS for name in flag.names} <= shown
    assert "examples:" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    heavy = {"openai", "pydantic", "tqdm", "yaml", "httpx2", "tenacity", "json_repair"}
    assert "pipeline.front.command_line" in imported
    assert not imported & heavy


@pytest.mark.parametrize(
    "argv", [["--output", "x"], ["--output-root", "y"], ["--candidates-dir", "z"]]
)
def test_what_a_resumed_run_cannot_follow_is_refused_and_not_passed_over(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert post_generator.main(["--resume", "d", *argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert " ".join(argv) in line
    assert "--resume" in line


def test_drafts_of_a_folder_are_read_and_counted(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.md").write_text(f"Draft {name}.\r\n")
    argv = ["--topic", "t", "--candidates-dir", str(tmp_path), "--iterations", "9"]
    settings = settings_from(parse(argv))
    assert settings.candidates == (("a", "Draft a.\n"), ("b", "Draft b.\n"))
    assert settings.iterations == 2
