"""The end of a run as a user reads it: where it fell short, first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.compare import GateOutcome, GateReport, GateVote
from pipeline.front.summary import summary
from pipeline.job import Job
from pipeline.records import (
    ArticleCandidate,
    ArticleScore,
    Brief,
    FailedItem,
    HeadToHead,
    Judged,
)
from pipeline.result import Result
from tests.stage_fakes import score

FOLDER = Path("outputs/2026-01-31/topic")


def a_result(
    *failed: FailedItem, scores: Sequence[ArticleScore] = (), **changed: Any
) -> Result:
    job = Job(brief=Brief(topic="t"), plans=[], failed=lambda: list(failed))
    drafts = [
        ArticleCandidate(article_id=n, preset=f"p{n}", model="m", text="x")
        for n in (1, 2)
    ]
    return Result(job=job, judged=Judged(drafts, [], list(scores)), **changed)


def test_an_article_is_reported_with_its_score_against_the_best_draft() -> None:
    result = a_result(
        delivered="synthesis",
        article="x",
        best_draft=2,
        scores=[score(2, 7.0)],
        final_score=score(3, 7.5),
    )
    lines = summary(result, path=FOLDER, article=FOLDER / "a.md").splitlines()
    assert lines[:2] == [
        f"article: {FOLDER}/a.md",
        "score: 7.50 (3 votes) of the article, 7.00 (3 votes) of draft 2",
    ]


def test_where_the_run_fell_short_comes_first() -> None:
    result = a_result(
        FailedItem(item="vote 2 of card 1", reason="no JSON"),
        delivered="draft",
        article="x",
        best_draft=1,
        scores=[score(1, 6.0)],
        notes=["the synthesis failed"],
    )
    lines = summary(result, path=FOLDER, article=FOLDER / "a.md").splitlines()
    assert lines[0] == "NOTE: the synthesis failed"
    assert lines[1].startswith("NOTE: 1 failed")
    assert lines[2] == "  vote 2 of card 1: no JSON"
    assert lines[3] == f"best draft: {FOLDER}/a.md"
    assert lines[4] == "score: 6.00 (3 votes) of draft 1"


def test_drafts_alone_are_counted_and_found() -> None:
    assert summary(a_result(), path=FOLDER, article=None) == (
        f"2 drafts: {FOLDER}/candidates"
    )


def test_every_failure_is_listed_with_its_reason() -> None:
    failed = [FailedItem(item=f"card {n}", reason=f"no {n}") for n in range(9)]
    shown = summary(a_result(*failed), path=FOLDER, article=None)
    assert "NOTE: 9 failed" in shown
    for number in range(9):
        assert f"  card {number}: no {number}" in shown.splitlines()


def test_one_draft_of_one_is_no_best_draft() -> None:
    result = a_result()
    result.delivered, result.article = "draft", "x"
    shown = summary(result, path=FOLDER, article=FOLDER / "a.md")
    assert shown == f"draft: {FOLDER}/a.md"


def gate(outcome: GateOutcome, **changes: Any) -> GateReport:
    vote = GateVote(first="article", round=1, article_points=0.5)
    return GateReport(
        **{
            "draft": 2,
            "judge": "ann",
            "judge_wrote": (),
            "author_unknown": (),
            "compared": "articles",
            "votes": (vote,) * 4,
            "abstained": 0,
            "outcome": outcome,
            **changes,
        }
    )


def gate_line(report: GateReport | None) -> list[str]:
    result = a_result(delivered="synthesis", article="x", best_draft=2, gate=report)
    shown = summary(result, path=FOLDER, article=FOLDER / "a.md").splitlines()
    return [line for line in shown if line.startswith("compared with")]


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("article", "the article is better"),
        ("draft", "draft 2 is better"),
        ("tie", "a tie, so the article"),
        ("not decided", "not decided"),
        ("not compared", "no comparison could be had"),
    ],
)
def test_every_outcome_of_the_gate_is_said(outcome: GateOutcome, said: str) -> None:
    (line,) = gate_line(gate(outcome))
    assert line.startswith(f"compared with draft 2: {said}")


def test_the_gate_s_line_says_what_was_compared_and_by_whom() -> None:
    (line,) = gate_line(gate("tie"))
    assert "(4 comparisons of the articles in both orders by ann, whose" in line
    (line,) = gate_line(
        gate("tie", compared="cards", judge_wrote=("article", "draft"), votes=())
    )
    assert "(0 comparisons of the cards" in line
    assert "whose family wrote the article and the draft" in line
    assert gate_line(None) == []


@pytest.mark.parametrize(
    ("wrote", "unknown", "said"),
    [
        ((), (), "by ann, whose family wrote neither)"),
        ((), ("draft",), "by ann, who wrote the draft is not known)"),
        (
            ("article",),
            ("draft",),
            "by ann, whose family wrote the article; who wrote the draft is not known)",
        ),
    ],
)
def test_independence_is_claimed_only_of_what_is_known(
    wrote: tuple[str, ...], unknown: tuple[str, ...], said: str
) -> None:
    (line,) = gate_line(gate("tie", judge_wrote=wrote, author_unknown=unknown))
    assert line.endswith(said)


def test_what_was_not_delivered_is_named_beside_what_was() -> None:
    result = a_result(delivered="synthesis", article="x", best_draft=2, runner_up="y")
    paths = {"path": FOLDER, "article": FOLDER / "a_FINAL.md"}
    kept = FOLDER / "a_RUNNER_UP.md"
    assert summary(result, **paths).splitlines()[:2] == [
        f"article: {FOLDER}/a_FINAL.md",
        f"beside it, draft 2: {kept}",
    ]
    result.delivered = "draft"
    assert summary(result, **paths).splitlines()[:2] == [
        f"best draft: {FOLDER}/a_FINAL.md",
        f"beside it, the article made of all drafts: {kept}",
    ]


def test_one_order_alone_is_no_contradiction() -> None:
    (line,) = gate_line(gate("not decided"))
    assert "contradict" not in line
    assert "only one order could be had (4 comparisons of the articles by ann" in line
    votes = [
        GateVote(first=first, round=1, article_points=1.0)
        for first in ("article", "draft")
    ]
    (line,) = gate_line(gate("not decided", votes=tuple(votes)))
    assert "the two orders contradict each other (2 comparisons" in line


def test_the_score_of_a_finalist_has_the_interval_of_its_votes() -> None:
    compared = HeadToHead(overall=9.6, interval=(9.3, 9.9), votes=6)
    best = score(2, 7.0).model_copy(
        update={"interval": (6.5, 7.5), "compared": compared}
    )
    result = a_result(delivered="synthesis", article="x", best_draft=2, scores=[best])
    lines = summary(result, path=FOLDER, article=FOLDER / "a.md").splitlines()
    assert "score: 7.00 (6.5-7.5, 3 votes) of draft 2" in lines
