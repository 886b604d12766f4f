"""Judging end to end, as commands against simulated servers over HTTP."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from parallel.limiter import Limiter
from tests.cli_fakes import Cli
from tests.loopback_llm import ChatRequest, LoopbackLLM
from tests.loopback_replies import content_for
from tests.process_runs import even_marks
from tests.test_cli import (
    FILES,
    PARALLEL,
    SEQUENTIAL,
    SMALL,
    Interrupts,
    repeated,
    serve,
)

ROUNDS = [
    ("--synthesis-votes", "auto"),
    ("--scoring-mode", "funnel"),
    ("--scoring-mode", "pairwise"),
]
NAMES = ["auto", "funnel", "pairwise"]
MODELS = """
providers:
  one: {{base_url: "{one}"}}
  two: {{base_url: "{two}"}}
presets:
  writer: {{provider: one, model: loopback, family: first}}
  cousin: {{provider: one, model: loopback, family: first}}
  stranger: {{provider: two, model: loopback, family: second}}
"""


@pytest.mark.parametrize(
    ("scheme", "flags"),
    [*((scheme, PARALLEL) for scheme in ROUNDS), (ROUNDS[0], SEQUENTIAL)],
)
def test_judging_in_rounds_is_resumed_without_repeating_a_call(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[object, ...],
    scheme: tuple[str, str],
) -> None:
    with serve(cli) as server:
        assert cli(*flags, *scheme, "--output", "whole").code == 0
        calls = server.state().hits
    heard, stop = threading.Event(), Limiter.stop

    def stop_and_tell(limiter: Limiter) -> None:
        stop(limiter)
        heard.set()

    monkeypatch.setattr(Limiter, "stop", stop_and_tell)
    with serve(cli, answer=Interrupts(calls - 12, heard)) as server:
        ran = cli(*flags, *scheme, "--output", "bar")
        assert ran.code == 130
        assert server.state().hits < calls
        assert cli(*ran.resume).code == 0
        assert server.state().hits == calls
        assert repeated(server.log()) == []
    for kind in FILES:
        assert cli.file("bar", kind) == cli.file("whole", kind), kind


@pytest.mark.parametrize("scheme", ROUNDS, ids=NAMES)
def test_the_parallel_command_leaves_the_bytes_of_the_sequential_one(
    cli: Cli, scheme: tuple[str, str]
) -> None:
    with serve(cli):
        for name, flags in (("one", SEQUENTIAL), ("many", PARALLEL)):
            assert cli(*flags, *scheme, "--output", name).code == 0
    for kind in FILES:
        assert cli.file("one", kind) == cli.file("many", kind), kind


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "planned: 36 calls, about "),
        (("--no-gate",), "planned: 32 calls, about "),
        (("--synthesis-votes", "auto"), "planned: 30 to 62 calls, at most "),
        (("--scoring-mode", "funnel"), "planned: 48 calls, about "),
        (("--scoring-mode", "pairwise"), "planned: 37 calls, about "),
    ],
)
def test_the_calls_needed_are_said_before_the_first(
    cli: Cli, flags: tuple[str, ...], says: str
) -> None:
    with serve(cli, answer=even_marks) as server:
        ran = cli(*PARALLEL, *flags)
        hits = server.state().hits
    assert ran.code == 0
    assert says in ran.err
    planned = [int(word) for word in says.split() if word.isdecimal()]
    assert min(planned) <= hits <= max(planned)


def judged_by(
    cli: Cli, *flags: object, answer: Callable[[ChatRequest], Any] = even_marks
) -> tuple[Any, Sequence[str], Sequence[str]]:
    """What ran, and the stages of the calls of either server."""
    with ExitStack() as stack:
        one, two = (stack.enter_context(LoopbackLLM(answer=answer)) for _ in range(2))
        models = Path("models.yaml")
        models.write_text(MODELS.format(one=one.base_url, two=two.base_url))
        ran = cli(
            *(*SMALL, "--parallel", "--models-file", models, "--output", "bar"),
            *("--preset", "writer", *flags),
        )
        assert ran.code == 0, ran.err
        ours, theirs = ([s.stage for s in each.log()] for each in (one, two))
        return ran, ours, theirs


def test_nobody_judges_the_own_family_while_another_judge_is_left(cli: Cli) -> None:
    ran, ours, theirs = judged_by(cli, "--judge-presets", "cousin,stranger")
    assert Counter(ours) == {
        "generate": 5,
        "extract": 6,
        "select": 1,
        "synthesize": 1,
        "validate": 1,
    }
    assert Counter(theirs) == {"score": 18, "pairwise": 4}
    assert "by stranger, whose family wrote neither" in ran.out
    metrics = json.loads(cli.file("bar", "metrics.json"))
    assert metrics["judges"] == {
        "stranger": {"mean": 5.0, "votes": 15, "own_family": []}
    }


def test_where_nobody_else_is_left_the_own_family_judges_and_it_is_said(
    cli: Cli,
) -> None:
    ran, ours, theirs = judged_by(cli, "--judge-presets", "cousin")
    assert (ours.count("score"), theirs) == (18, [])
    assert ran.out.startswith(
        "NOTE: drafts 1, 2, 3, 4, 5 were judged by their own family: no other judge of"
        " --judge-presets was left\n"
    )
    assert "whose family wrote the article and the draft" in ran.out


def test_drafts_of_two_families_are_judged_across(cli: Cli) -> None:
    ran, ours, theirs = judged_by(
        cli,
        *("--candidate-presets", "writer,stranger"),
        *("--judge-presets", "cousin,stranger"),
    )
    # Drafts 1, 3 and 5 and the article are the first family's, 2 and 4 the other's.
    assert (ours.count("score"), theirs.count("score")) == (2 * 3, 3 * 3 + 3)
    scores = cli.artifacts("bar")["scores"]
    assert [list(score["by_judge"]) for score in scores] == [
        ["stranger"],
        ["cousin"],
        ["stranger"],
        ["cousin"],
        ["stranger"],
    ]
    assert "own family" not in ran.out


def test_a_preset_that_wrote_neither_stands_in_at_the_gate(cli: Cli) -> None:
    def first_is_best(request: ChatRequest) -> Any:
        marks = even_marks(request)
        if marks and request.stage == "score" and request.item == "1":
            return {name: {**mark, "score": 9} for name, mark in marks.items()}
        return marks

    _, ours, theirs = judged_by(
        cli, "--candidate-presets", "writer,stranger", answer=first_is_best
    )
    # The judge is the writer; draft 1 and the article are its own.
    assert (ours.count("pairwise"), theirs.count("pairwise")) == (0, 4)


QUALITIES = {"poor": 1, "fair": 2, "good": 3}


def reader_of(article: str) -> Callable[[ChatRequest], Any]:
    """Writes fair drafts and an article of that quality; judges by what it reads."""

    def marked(request: ChatRequest, quality: str) -> str:
        return f"{content_for(request)}\n\nThis is {quality} writing.\n"

    def answer(request: ChatRequest) -> Any:
        if request.stage == "generate":
            return marked(request, "fair")
        if request.stage == "synthesize":
            return marked(request, article)
        if request.stage != "pairwise" or request.schema is None:
            return even_marks(request)
        shown = re.findall(r"This is (\w+) writing", request.texts[-1])
        first, second = (QUALITIES[word] for word in shown)
        winner = "tie" if first == second else "AB"[first < second]
        verdict = {"reason": "as read", "winner": winner}
        return dict.fromkeys(request.schema["required"], verdict)

    return answer


@pytest.mark.parametrize(
    ("article", "delivered"), [("poor", "fair"), ("good", "good"), ("fair", "fair")]
)
def test_the_reader_gets_what_a_judge_of_the_texts_finds_better(
    cli: Cli, article: str, delivered: str
) -> None:
    with serve(cli, answer=reader_of(article)):
        ran = cli(*PARALLEL, "--output", "bar")
    assert ran.code == 0
    assert f"This is {delivered} writing." in cli.file("bar", "FINAL.md").decode()
    is_draft = article == "poor"
    assert ran.out.startswith("NOTE: draft 1 is delivered as it is") is is_draft
    kept = cli.artifacts("bar")["delivered"]
    assert kept == ("draft" if is_draft else "synthesis")
    assert (
        json.loads(cli.file("bar", "provenance.json"))["of"] == "NAME_FINAL.md"
    ) is (not is_draft)


def test_a_funnel_says_first_where_a_pair_had_no_judge_of_another_family(
    cli: Cli,
) -> None:
    ran, _, _ = judged_by(
        cli,
        *("--candidate-presets", "writer,stranger", "--scoring-mode", "funnel"),
        *("--judge-presets", "cousin,stranger"),
    )
    # Votes go across; a pair of both families is compared by a judge of one of them.
    first = ran.out.splitlines()[0]
    assert first.startswith("NOTE: drafts ")
    assert "judged by their own family: no other judge of --judge-presets" in first
