"""The order of the stages, and what is delivered when one cannot be done."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.errors import EndpointRejected, ItemRejected, PipelineError
from pipeline.generate import plans_from_texts
from pipeline.records import Brief
from tests.run_fakes import Run, both, gate_says, scores_by_id, summary_of
from tests.stage_fakes import DRAFT, NOT_THIS, Asked, refuse


def test_all_six_stages_run_in_order_and_the_article_is_delivered() -> None:
    run = Run(both(scores_by_id(), gate_says("article")))
    result = run.go()
    assert run.stages() == [
        *["generate"] * 3,
        *["extract"] * 3,
        *["score"] * 9,
        "select",
        "synthesize",
        "validate",
        "extract",
        *["score"] * 3,
        *["gate"] * 4,
    ]
    assert (result.delivered, result.notes) == ("synthesis", [])
    assert result.article == run.kept.files["FINAL.md"]
    assert result.final_score is not None
    assert result.final_score.article_id == 4


def test_everything_is_written_as_soon_as_it_exists() -> None:
    run = Run()
    run.go(2)
    assert run.kept.events == [
        "candidate 1",
        "candidate 2",
        "pipeline_artifacts",
        "pipeline_artifacts",
        "article",
        "runner-up",
        "article",
        "validation",
        "provenance",
        "pipeline_artifacts",
    ]


def test_the_artifacts_list_cards_and_scores_by_id_and_what_was_chosen() -> None:
    run = Run(scores_by_id(c1=3, c2=9, c3=6))
    result = run.go()
    found = run.artifacts
    assert [c["article_id"] for c in found["cards"]] == [1, 2, 3]
    assert [s["overall"] for s in found["scores"]] == [3.0, 9.0, 6.0]
    assert (result.best_draft, result.absolute_score_of_best_draft) == (2, 9.0)
    assert found["blueprint"]["considered"] == [1, 2, 3]
    assert found["validation"]["passed"] is True
    assert found["failed"] == []


@pytest.mark.parametrize(
    ("stage", "says"),
    [("select", "select failed"), ("synthesize", "synthesize failed")],
)
def test_without_a_synthesis_the_best_draft_is_delivered_and_said_first(
    stage: str, says: str
) -> None:
    run = Run(both(refuse((stage,)), scores_by_id(c1=3, c2=9, c3=6)))
    result = run.go()
    assert (result.delivered, result.best_draft) == ("draft", 2)
    assert run.kept.files["FINAL.md"] == run.kept.drafts[2]
    assert says in result.notes[0]
    first = summary_of(result).splitlines()[0]
    assert first.startswith("NOTE: draft 2 is delivered as it is")
    assert [f["item"] for f in run.artifacts["failed"]] == [stage]


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        ([("extract", "1"), ("extract", "3")], "there is one card"),
        ([("extract",)], "there is no card"),
    ],
)
def test_with_fewer_than_two_cards_the_best_draft_is_delivered(
    lost: Sequence[tuple[object, ...]], says: str
) -> None:
    run = Run(refuse(*lost))
    result = run.go()
    best = 2 if len(lost) == 2 else 1
    assert (result.delivered, result.best_draft) == ("draft", best)
    assert says in result.notes[0]
    assert run.kept.files["FINAL.md"] == run.kept.drafts[best]
    assert "select" not in run.stages()
    assert "card 1" in {f["item"] for f in run.artifacts["failed"]}


def test_without_one_draft_the_run_fails_with_the_reason_in_one_line() -> None:
    run = Run(refuse(("generate",)))
    with pytest.raises(PipelineError) as caught:
        run.go()
    assert str(caught.value) == f"no draft could be written: {NOT_THIS}"
    assert caught.value.exit_code == 1
    assert run.kept.files == {}


def test_what_ends_the_run_in_a_late_stage_leaves_the_article_on_disk() -> None:
    def answer(asked: Asked) -> Any:
        return EndpointRejected("quota") if asked.stage == "validate" else None

    run = Run(answer)
    with pytest.raises(EndpointRejected):
        run.go()
    assert run.kept.files["FINAL.md"].startswith("# ")
    assert len(run.artifacts["cards"]) == 3
    assert run.artifacts["blueprint"] is not None


def test_a_verdict_that_cannot_be_had_loses_no_article() -> None:
    run = Run(both(refuse(("validate",)), gate_says("article")))
    result = run.go()
    assert result.delivered == "synthesis"
    assert result.fused is not None
    assert "no verdict" in result.fused.validation.findings[0].detail


@pytest.mark.parametrize(("mark", "is_said"), [(5, True), (6, False), (7, False)])
def test_without_a_gate_an_article_below_the_best_draft_is_delivered_and_said(
    mark: int, is_said: bool
) -> None:
    run = Run(scores_by_id(c1=3, c2=6, c3=5, c4=mark))
    result = run.go(has_gate=False)
    assert "gate" not in run.stages()
    assert (result.delivered, result.gate) == ("synthesis", None)
    assert summary_of(result).startswith("NOTE: ") is is_said
    assert ("below draft 2" in "".join(result.notes)) is is_said


def test_an_article_that_never_passed_is_delivered_and_said_first() -> None:
    def answer(asked: Asked) -> Any:
        return "# Another\n\nWords." if asked.stage == "synthesize" else None

    run = Run(both(answer, gate_says("tie")))
    result = run.go(synthesis_retries=1)
    assert result.delivered == "synthesis"
    assert summary_of(result).startswith("NOTE: the article did not pass validation")
    assert json.loads(run.kept.files["validation"])["passed"] is False


def test_failed_votes_leave_a_score_and_cards_without_any_a_place() -> None:
    run = Run(refuse(("score", "1"), ("score", "2", 2)))
    result = run.go()
    assert [s.article_id for s in result.judged.scores] == [2, 3]
    assert result.judged.scores[0].abstained == 1
    assert result.delivered == "synthesis"
    assert result.blueprint is not None
    assert 1 in result.blueprint.considered
    assert len(run.artifacts["failed"]) == 4


def test_an_article_that_cannot_be_scored_is_delivered_all_the_same() -> None:
    run = Run(both(refuse(("extract", "4")), gate_says("article")))
    result = run.go()
    assert result.final_score is None
    assert result.notes == ["the article could not be scored"]
    assert result.delivered == "synthesis"


def test_in_pairwise_mode_the_article_is_compared_and_not_voted_on() -> None:
    run = Run(gate_says("article"))
    result = run.go(mode="pairwise")
    pairs = [asked.item_id for asked in run.stand.asked if asked.stage == "score"]
    assert pairs == ["1-2", "2-1", "1-3", "3-1", "2-3", "3-2"]
    assert run.stages().count("extract") == 3
    assert result.final_score is None
    assert (result.delivered, result.notes) == ("synthesis", [])


def test_one_draft_without_synthesis_is_the_article() -> None:
    run = Run()
    result = run.go(1, wants_synthesis=False)
    assert run.stages() == ["generate"]
    assert (result.delivered, result.notes) == ("draft", [])
    assert run.kept.files["FINAL.md"] == run.kept.drafts[1]


def test_several_drafts_without_synthesis_are_only_drafts() -> None:
    run = Run()
    result = run.go(3, candidates_only=True)
    assert run.stages() == ["generate"] * 3
    assert (result.delivered, result.article) == ("drafts", None)
    assert "FINAL.md" not in run.kept.files


def test_given_drafts_are_kept_and_judged_and_not_written_again() -> None:
    run = Run()
    plans = plans_from_texts(Brief(topic="T"), [("a", DRAFT), ("b", "Just this.")])
    run.go(plans=plans)
    assert "generate" not in run.stages()
    assert run.kept.drafts == {1: DRAFT, 2: "Just this."}


def test_drafts_of_one_sentence_end_in_an_article() -> None:
    def answer(asked: Asked) -> Any:
        if asked.stage == "generate":
            return f"Draft {asked.item_id} is one sentence."
        return None

    run = Run(both(answer, gate_says("tie")))
    result = run.go()
    assert result.delivered == "synthesis"
    assert len(result.judged.cards) == 3
    assert [c.opening_hook for c in result.judged.cards] == [
        f"Draft {n} is one sentence." for n in (1, 2, 3)
    ]


def test_reasons_of_failures_are_written_without_times_or_counts() -> None:
    run = Run(
        lambda a: ItemRejected("too odd") if a.key[:2] == ("extract", "2") else None
    )
    run.go()
    assert run.artifacts["failed"] == [
        {"item": "card 2", "reason": "m at http://127.0.0.1:9/v1: too odd"}
    ]
