"""The command line end to end, against the simulated server over HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parallel.limiter import Limiter
from tests.cli_fakes import PRICED, Cli, Ran
from tests.loopback_llm import (
    ChatRequest,
    Faults,
    Fixed,
    Lognormal,
    LoopbackLLM,
    Served,
)
from tests.loopback_replies import content_for
from tests.process_runs import even_marks
from tests.stage_fakes import FAILSAFE_S

SMALL = ("--topic", "Why keep a log", "--target-word-count", 120)
PARALLEL = (*SMALL, "--parallel", "--max-concurrent", 6)
SEQUENTIAL = (*SMALL, "--enable-synthesis")
CALLS = 5 + 6 + 18 + 3 + 4  # with the article's card, votes and comparisons
FILES = (
    *("FINAL.md", "RUNNER_UP.md", "pipeline_artifacts.json"),
    *("provenance.json", "validation.json"),
)
START_S = 30.0  # for a process on a busy machine


@pytest.fixture
def server(cli: Cli) -> Iterator[LoopbackLLM]:
    with LoopbackLLM() as one:
        cli.use(one.base_url)
        yield one


def serve(cli: Cli, **how: Any) -> LoopbackLLM:
    one = LoopbackLLM(**how)
    cli.use(one.base_url)
    return one


def repeated(log: Iterable[Served]) -> list[str]:
    """Work items that were answered well more than once."""
    counts = Counter(served.item for served in log if served.is_good)
    return [item for item, count in counts.items() if count > 1]


def most_at_once(log: Iterable[Served]) -> int:
    """The most calls whose times overlap."""
    ends = [(served.finished_s, -1) for served in log]
    edges = sorted([*ends, *((served.arrived_s, 1) for served in log)])
    level = peak = 0
    for _, change in edges:
        level += change
        peak = max(peak, level)
    return peak


def test_all_stages_run_and_only_results_are_on_stdout(cli: Cli) -> None:
    with serve(cli, answer=even_marks) as server:
        ran = cli(*PARALLEL, "--output", "bar")
    assert len(server.log()) == CALLS
    assert ran.code == 0
    article, beside, score, compared, *_ = ran.out.splitlines()
    assert article.startswith("article: outputs/")
    assert (cli.folder / article.removeprefix("article: ")).read_text().startswith("# ")
    assert score.startswith("score: ")
    assert beside.startswith("beside it, draft 1: outputs/")
    assert compared.startswith("compared with draft 1: a tie, so the article (4 ")
    assert "OPENAI_BASE_URL set" in ran.err.splitlines()[0]
    assert f"planned: {CALLS} calls" in ran.err
    assert "100%" in ran.err
    assert {p.name for p in cli.run_of("bar").iterdir()} == {
        *(f"bar_{kind}" for kind in FILES),
        "bar_metrics.json",
        "run.json",
        "calls.jsonl",
        "candidates",
    }
    assert len(list((cli.run_of("bar") / "candidates").iterdir())) == 5
    assert json.loads(cli.file("bar", "metrics.json"))["total"]["calls"] == CALLS


def fails_some(request: ChatRequest) -> str | None:
    """Extractions and votes by their item: about one in five is unusable for good."""
    lost = request.stage in {"extract", "score"} and hash_of(request) % 5 == 0
    return "I cannot say." if lost else None


def hash_of(request: ChatRequest) -> int:
    """The same for every re-ask: from the card or draft alone, not from the seed."""
    return sum(request.body["messages"][1]["content"].split("Your last")[0].encode())


@pytest.mark.parametrize("mode", ["absolute", "pairwise"])
@pytest.mark.parametrize("answer", [None, fails_some], ids=["all well", "some fail"])
def test_parallel_and_sequential_leave_the_same_bytes(
    cli: Cli, mode: str, answer: Any
) -> None:
    spread = Lognormal(median_s=0.003, sigma=1.2)
    how = ("--scoring-mode", mode, "--iterations", 6)
    with serve(cli, seed=3, service=spread, answer=answer) as server:
        assert cli(*SEQUENTIAL, *how, "--output", "one").code == 0
        assert most_at_once(server.log()) == 1
        assert cli(*PARALLEL, *how, "--output", "two").code == 0
        assert most_at_once(server.log()) > 1
    for kind in FILES:
        assert cli.file("one", kind) == cli.file("two", kind), kind
    assert bool(cli.artifacts("one")["failed"]) is bool(answer)


def test_two_runs_with_one_output_leave_two_folders(
    cli: Cli, server: LoopbackLLM
) -> None:
    first = cli(*SMALL, "--output", "bar")
    kept = cli.file("bar", "FINAL.md")
    second = cli(*SMALL, "--output", "bar", "--seed", 9)
    assert (first.code, second.code) == (0, 0)
    assert cli.file("bar", "FINAL.md") == kept
    assert cli.file("bar-2", "FINAL.md", prefix="bar") != kept
    assert "bar-2/bar_FINAL.md" in second.out
    assert server.state().hits == 2


@pytest.mark.parametrize(
    "habits",
    [
        {"refuses": {"temperature"}},
        {"refuses": {"max_tokens", "seed", "temperature"}},
        {"habit": "refuses_schema"},
        {"habit": "refuses_schema", "refuses_json_object": True},
        {"habit": "ignores_schema"},
    ],
    ids=lambda habits: "-".join(sorted(habits)),  # the order of a set is chance
)
def test_a_server_s_habits_change_nothing_of_the_result(
    cli: Cli, server: LoopbackLLM, habits: dict[str, Any]
) -> None:
    cli(*PARALLEL, "--output", "plain")
    with serve(cli, **habits):
        ran = cli(*PARALLEL, "--output", "odd")
    assert ran.code == 0
    assert cli.artifacts("odd")["failed"] == []
    if "seed" not in str(habits):
        assert cli.file("odd", "FINAL.md") == cli.file("plain", "FINAL.md")
    assert server.state().hits == CALLS


def with_wrong_ids(request: ChatRequest) -> dict[str, Any] | None:
    if not request.wants_json:
        return None
    usual: dict[str, Any] = json.loads(content_for(request))
    return {"article_id": 99, "id": "2", "card_id": 1, **usual, "candidate_id": [7]}


def test_wrong_ids_in_every_reply_mix_nothing_up(cli: Cli, server: LoopbackLLM) -> None:
    cli(*PARALLEL, "--output", "right")
    with serve(cli, answer=with_wrong_ids):
        assert cli(*PARALLEL, "--output", "wrong").code == 0
    for kind in FILES:
        assert cli.file("wrong", kind) == cli.file("right", kind)
    assert server.state().hits == CALLS


def one_sentence(request: ChatRequest) -> Any:
    number = int(request.item, 16) % 1000
    if request.stage == "generate":
        return f"Sentence {number}."
    return even_marks(request)


def test_drafts_of_one_sentence_end_in_an_article(cli: Cli) -> None:
    with serve(cli, answer=one_sentence):
        ran = cli(*PARALLEL, "--output", "bar")
    assert ran.code == 0
    assert "article: " in ran.out
    assert len(cli.artifacts("bar")["cards"]) == 5
    assert cli.artifacts("bar")["failed"] == []


def test_limits_hold_for_the_run_and_for_each_stage(cli: Cli) -> None:
    limits = ("--max-concurrent", 3, "--extract-concurrent", 2, "--score-concurrent", 4)
    with serve(cli, service=Fixed(0.02)) as server:
        assert cli(*SMALL, "--parallel", *limits, "--iterations", 6).code == 0
        log = server.log()
    stages = {
        stage: [s for s in log if s.stage == stage]
        for stage in ("generate", "extract", "score")
    }
    assert most_at_once(log) == max(served.in_flight for served in log) == 4
    assert most_at_once(stages["generate"]) == 3
    assert most_at_once(stages["extract"]) <= 2
    assert most_at_once(stages["score"]) == 4


FAR = """
providers: {far: {base_url: "https://models.example/v1"}}
presets: {far: {provider: far, model: little}}
"""
BAD_INPUT = {
    "missing topic file": (["--topic-file", "none.md"], "none.md"),
    "empty topic": (["--topic", "  "], "topic is empty"),
    "topic twice": (["--topic", "a", "--topic-file", "b"], "use one"),
    "unknown preset": (["--preset", "gpt-0"], "gpt-0"),
    "unknown writer": (["--candidate-presets", "gpt-0"], "gpt-0"),
    "no concurrency": (["--max-concurrent", "0"], "at least 1, got 0"),
    "no extraction": (["--extract-concurrent", "0"], "at least 1, got 0"),
    "no drafts": (["--iterations", "0"], "at least 1, got 0"),
    "no votes": (["--synthesis-votes", "0"], "at least 1, got 0"),
    "no time": (["--timeout", "nan"], "--timeout"),
    "too hot": (["--temperature", "9"], "from 0 to 2"),
    "output outside": (["--output", "../bar"], "'../bar'"),
    "broken models file": (["--models-file", "broken.yaml"], "line 3"),
    "wrong models file": (["--models-file", "wrong.yaml"], "line 3"),
    "no models file": (["--models-file", "none.yaml"], "none.yaml"),
    "folder without drafts": (["--candidates-dir", "empty"], "empty"),
    "folder that is not": (["--candidates-dir", "none"], "none"),
    "context file": (["--context-file", "none.md"], "none.md"),
    "folder of no run": (["--resume", "empty"], "empty"),
    "cost without price": (
        ["--max-cost", "1", "--models-file", "far.yaml", "--preset", "far"],
        "needs a price",
    ),
    "clean-up": (["--cleanup-old", "-1"], "at least 0, got -1"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_one_line_and_exit_code_2(
    cli: Cli, server: LoopbackLLM, case: str
) -> None:
    (cli.folder / "empty").mkdir()
    (cli.folder / "broken.yaml").write_text("presets:\n  a: [1\n b: 2")
    (cli.folder / "wrong.yaml").write_text(
        "providers:\n  far:\n    base_url: ftp://x\n"
    )
    (cli.folder / "far.yaml").write_text(FAR)
    flags, named = BAD_INPUT[case]
    topic = [] if "topic" in str(flags) else ["--topic", "A topic"]
    ran = cli(*topic, *flags, "--quiet")
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert line.startswith("error: ")
    assert named in line
    assert ran.out == ""
    assert server.state().hits == 0
    assert not list(cli.folder.glob("outputs/*/*"))


@pytest.mark.parametrize("flags", [["--iterations", "many"], ["--paralel"]])
def test_a_flag_that_cannot_be_read_gets_exit_code_2(
    cli: Cli, flags: list[str]
) -> None:
    ran = cli(*flags)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_an_endpoint_with_several_models_asks_for_one_by_its_variable(cli: Cli) -> None:
    with serve(cli, models=("a", "b")):
        ran = cli(*SMALL, "--quiet")
    assert ran.code == 2
    assert "OPENAI_MODEL" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_refused_key_ends_the_run_with_what_to_do(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "loopback")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-key-1234567")
    with serve(cli, api_key="sk-right-key") as server:
        ran = cli(*PARALLEL, "--max-concurrent", 2, "--output", "bar")
        assert server.state().hits <= 2
    assert ran.code == 1
    assert [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert "to start again: python " in ran.err
    assert "Traceback" not in ran.err
    assert "sk-wrong-key" not in ran.err
    assert list(cli.folder.iterdir()) == []


def no_drafts(request: ChatRequest) -> str | None:
    return "<think>nothing" if request.stage == "generate" else None


def test_without_one_draft_the_run_fails_in_one_line(cli: Cli) -> None:
    with serve(cli, answer=no_drafts):
        ran = cli(*PARALLEL, "--output", "bar", "--quiet")
    assert ran.code == 1
    first, second = ran.err.splitlines()
    assert first.startswith("error: no draft could be written: ")
    assert second.startswith("to finish the run: ")
    assert ran.out == ""


def no_cards(request: ChatRequest) -> str | None:
    return "I cannot say." if request.stage == "extract" else None


def test_without_cards_the_best_draft_is_delivered_and_said_first(cli: Cli) -> None:
    with serve(cli, answer=no_cards):
        ran = cli(*PARALLEL, "--output", "bar", "--retry-count", 0)
    assert ran.code == 0
    first, *rest = ran.out.splitlines()
    assert first.startswith("NOTE: draft 1 is delivered as it is: there is no card")
    assert any(line.startswith("best draft: ") for line in rest)
    assert len(cli.artifacts("bar")["failed"]) == 5
    (draft,) = (cli.run_of("bar") / "candidates").glob("*_01_*")
    assert cli.file("bar", "FINAL.md") == draft.read_bytes()


def no_plan(request: ChatRequest) -> str | None:
    return "I cannot say." if request.stage == "select" else None


def test_without_a_selection_the_best_draft_is_delivered(cli: Cli) -> None:
    with serve(cli, answer=no_plan):
        ran = cli(*PARALLEL, "--output", "bar")
    assert ran.code == 0
    assert "select failed" in ran.out.splitlines()[0]
    assert cli.artifacts("bar")["delivered"] == "draft"


def test_a_dry_run_makes_no_request_and_no_folder(
    cli: Cli, server: LoopbackLLM
) -> None:
    ran = cli(*PARALLEL, "--dry-run")
    assert ran.code == 0
    models, plan = ran.out.split("\n\n")
    assert "the only one" in models
    assert models.endswith("on this machine")  # where the price is from
    rows = {line.split()[0]: line.split()[1] for line in plan.splitlines()}
    assert (rows["generate"], rows["score"], rows["total"]) == ("5", "18", str(CALLS))
    assert server.state().hits == 0
    assert list(cli.folder.iterdir()) == []


def test_a_spent_budget_ends_the_run_and_more_money_finishes_it(cli: Cli) -> None:
    with serve(cli) as server:
        (cli.folder / "m.yaml").write_text(PRICED % server.base_url)
        priced = ("--models-file", "m.yaml", "--preset", "priced", "--output", "bar")
        ran = cli(*PARALLEL, *priced, "--max-cost", 5, "--max-concurrent", 2)
        assert ran.code == 1
        assert re.search(
            r"--max-cost 5 is spent; .*; \$\d\.\d\d went into 5 drafts, .* in outputs/.*bar",
            ran.err,
        )
        assert ran.resume[-2:] == ["--max-cost", "10"]
        spent = server.state().hits
        assert 5 < spent < CALLS
        again = cli(*ran.resume, "--max-cost", 1000)
        assert again.code == 0
        assert repeated(server.log()) == []
        assert server.state().hits == CALLS


def test_drafts_alone_are_written_and_started_from(
    cli: Cli, server: LoopbackLLM
) -> None:
    ran = cli(*PARALLEL, "--candidates-only", "--iterations", 3, "--output", "drafts")
    assert ran.code == 0
    assert ran.out.startswith("3 drafts: outputs/")
    assert server.state().hits == 3
    folder = cli.run_of("drafts") / "candidates"
    ran = cli(*PARALLEL, "--candidates-dir", folder, "--output", "bar")
    assert ran.code == 0
    stages = Counter(served.stage for served in server.log())
    assert (stages["generate"], stages["extract"]) == (3, 4)
    kept = (cli.run_of("bar") / "candidates").iterdir()
    assert {p.read_bytes() for p in kept} == {p.read_bytes() for p in folder.iterdir()}


def test_one_draft_is_the_default_without_synthesis(
    cli: Cli, server: LoopbackLLM
) -> None:
    ran = cli("--target-word-count", 120, "--output", "bar")
    assert ran.code == 0
    assert "topic: the example" in ran.err
    assert ran.out.startswith("draft: ")
    assert server.state().hits == 1


def test_models_are_listed_with_prices_and_the_built_in_one(cli: Cli) -> None:
    (cli.folder / "m.yaml").write_text(PRICED % "http://127.0.0.1:9/v1")
    ran = cli("--list-models", "--models-file", "m.yaml")
    assert ran.code == 0
    head, priced, builtin = ran.out.splitlines()
    assert head.startswith("preset")
    assert "1000/1000" in priced
    assert builtin.startswith("builtin")
    assert ran.err == ""


def test_old_runs_are_deleted_after_asking_or_with_yes(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = cli.folder / "outputs" / "2020-01-02" / "old"
    run.mkdir(parents=True)
    header = {"program": "post_generator", "version": 1, "name": "old"}
    (run / "run.json").write_text(json.dumps(header))
    monkeypatch.setattr("builtins.input", lambda: "n")
    ran = cli("--cleanup-old", 30)
    assert "nothing was deleted" in ran.out
    assert ran.err == "delete these 1 folders? [y/N] "
    assert run.exists()
    ran = cli("--cleanup-old", 30, "--yes")
    assert (ran.code, run.exists()) == (0, False)
    assert "outputs/2020-01-02/old" in ran.out
    assert "no run folder" in cli("--cleanup-old", 30).out


def test_an_unreachable_server_is_said_without_a_traceback(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "loopback")
    with serve(cli, faults=Faults(always="404")):
        ran = cli(*PARALLEL, "--quiet")
    assert ran.code == 1
    assert re.match("error: loopback at http://.*/v1: the server answered 404", ran.err)
    assert len(ran.err.splitlines()) == 2


class Interrupts:
    """Sends this process a signal at a request, and answers when it was heard."""

    def __init__(self, at: int, heard: threading.Event) -> None:
        self._left, self._heard = at, heard

    def __call__(self, _request: ChatRequest) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGINT)
            assert self._heard.wait(FAILSAFE_S)


@pytest.mark.parametrize("flags", [SEQUENTIAL, PARALLEL], ids=["one", "many"])
@pytest.mark.parametrize("at", [3, 14, CALLS - 5])
def test_an_interrupted_run_is_finished_without_repeating_a_call(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, flags: tuple[object, ...], at: int
) -> None:
    heard, stop = threading.Event(), Limiter.stop

    def stop_and_tell(limiter: Limiter) -> None:
        stop(limiter)
        heard.set()

    monkeypatch.setattr(Limiter, "stop", stop_and_tell)
    with serve(cli, answer=Interrupts(at, heard)) as server:
        ran = cli(*flags, "--output", "bar")
        assert ran.code == 130
        assert "stopping: " in ran.err
        assert "interrupted" in ran.err
        assert at <= server.state().hits < CALLS
        again = cli(*ran.resume)
        assert again.code == 0
        assert server.state().hits == CALLS
        assert repeated(server.log()) == []
        finished = cli(*ran.resume)  # a finished run makes no call
        assert (finished.code, server.state().hits) == (0, CALLS)
    with serve(cli):
        cli(*flags, "--output", "whole")
    for kind in FILES:
        assert cli.file("bar", kind) == cli.file("whole", kind), kind


HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202ereversed \x9b2J"


def hostile(request: ChatRequest) -> str | None:
    if request.stage == "select":
        return "no"
    return f"# {HOSTILE}\n\n{HOSTILE}." if request.stage == "generate" else None


def test_nothing_reaches_the_terminal_that_it_would_obey(cli: Cli) -> None:
    with serve(cli, answer=hostile):
        ran = cli("--topic", HOSTILE, "--parallel", "--verbose")
    assert ran.code == 0
    for char in "\x1b\x07\x9b\u202e":
        assert char not in ran.out + ran.err


# In processes of their own.


def ended(process: "subprocess.Popen[str]", within_s: float) -> Ran:
    out, err = process.communicate(timeout=within_s)
    return Ran(process.returncode, out, err)


def test_a_signal_ends_a_process_within_its_grace_and_resume_finishes_it(
    cli: Cli,
) -> None:
    slow = {"default": Fixed(0.0), "score": Fixed(1.0)}
    with serve(cli, service=slow) as server:
        process = cli.start(*PARALLEL, "--max-concurrent", 4, "--output", "bar")
        server.wait_for(in_flight=4, timeout_s=START_S)
        process.send_signal(signal.SIGINT)
        ran = ended(process, within_s=10.0)
        assert ran.code == 130
        assert ran.out == ""
        assert "Traceback" not in ran.err
        good = sum(served.is_good for served in server.log())
        assert good == server.state().hits < CALLS, "a call under way was cut off"
        assert ran.resume[0] == "--resume"
        assert Path(cli.folder / ran.resume[1]).samefile(cli.run_of("bar"))


def test_a_second_signal_ends_a_process_at_once(cli: Cli) -> None:
    with serve(cli, service=Fixed(60.0)) as server:
        process = cli.start(*PARALLEL, "--quiet", "--max-concurrent", 4)
        server.wait_for(in_flight=4, timeout_s=START_S)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        ran = ended(process, within_s=2.0)
    assert ran.code == 130
    assert ran.resume[0] == "--resume"
    assert "Traceback" not in ran.err


def test_the_command_runs_as_the_user_types_it(cli: Cli) -> None:
    with serve(cli, answer=even_marks) as server:
        ran = ended(cli.start(*PARALLEL, "--output", "bar"), within_s=START_S)
    assert len(server.log()) == CALLS
    assert ran.code == 0
    assert [line.split(":")[0] for line in ran.out.splitlines()[:4]] == [
        "article",
        "beside it, draft 1",
        "score",
        "compared with draft 1",
    ]
    assert "Traceback" not in ran.err


def test_importing_the_command_does_no_work() -> None:
    code = (
        "import sys, post_generator;"
        " print(bool({'openai', 'genai_prices'} & {*sys.modules}))"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(  # noqa: S603 - our own import
        [sys.executable, "-c", code], cwd=root, capture_output=True, check=True
    )
    assert done.stdout.strip() == b"False"
