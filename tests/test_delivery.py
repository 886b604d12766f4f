"""The finished article beside the best draft: which of them is delivered, and why."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeline.judging.panel import Judge, Panel
from pipeline.llm.connection import Connection
from pipeline.records import ArticleScore
from tests.run_fakes import FOLDER, Run, both, gate_says, scores_by_id, summary_of
from tests.stage_fakes import FULL, SHORT, Asked, Scripted, refuse

SCORES = {"c1": 3, "c2": 6, "c3": 5}


@pytest.mark.parametrize(
    ("better", "outcome", "delivered"),
    [
        ("article", "article", "synthesis"),
        ("draft", "draft", "draft"),
        ("tie", "tie", "synthesis"),
    ],
)
def test_the_better_one_is_delivered_and_a_tie_is_the_article_s(
    better: str, outcome: str, delivered: str
) -> None:
    # Votes say the opposite: only the comparison decides.
    mark = 9 if better == "draft" else 1
    run = Run(both(scores_by_id(**SCORES, c4=mark), gate_says(better)))
    result = run.go()
    assert result.gate is not None
    assert (result.gate.outcome, result.delivered) == (outcome, delivered)
    article = run.kept.files["FINAL.md"]
    assert (article == run.kept.drafts[2]) is (delivered == "draft")
    other = run.kept.files["RUNNER_UP.md"]
    assert (other == run.kept.drafts[2]) is (delivered == "synthesis")
    assert {article, other} >= {run.kept.drafts[2]}


def test_a_delivered_draft_is_said_first() -> None:
    run = Run(both(scores_by_id(**SCORES), gate_says("draft")))
    lines = summary_of(run.go()).splitlines()
    assert lines[0].startswith("NOTE: draft 2 is delivered as it is: compared with it")
    assert f"best draft: {FOLDER}/x_FINAL.md" in lines
    assert (
        f"beside it, the article made of all drafts: {FOLDER}/x_RUNNER_UP.md" in lines
    )
    assert any(
        line.startswith("compared with draft 2: draft 2 is better") for line in lines
    )


@pytest.mark.parametrize(
    ("mark", "delivered"), [(5, "draft"), (6, "synthesis"), (7, "synthesis")]
)
def test_orders_that_contradict_each_other_leave_it_to_the_mean_scores(
    mark: int, delivered: str
) -> None:
    run = Run(both(scores_by_id(**SCORES, c4=mark), gate_says("first")))
    result = run.go()
    assert result.gate is not None
    assert result.gate.outcome == "not decided"
    assert result.delivered == delivered
    taken = "draft 2" if delivered == "draft" else "the article"
    assert result.notes == [
        "the comparison with draft 2 did not decide: by mean score,"
        f" {mark:.2f} for the article against 6.00, {taken} is delivered"
    ]


def test_one_order_alone_decides_nothing() -> None:
    run = Run(
        both(refuse(("gate", "2-4")), scores_by_id(**SCORES), gate_says("article"))
    )
    result = run.go()
    assert result.gate is not None
    assert (result.gate.outcome, result.gate.abstained) == ("not decided", 2)
    assert result.delivered == "draft"  # 5 against 6


def test_one_vote_of_each_order_is_enough() -> None:
    lost = refuse(("gate", "2-4", 1), ("gate", "4-2", 2))
    run = Run(both(lost, scores_by_id(**SCORES), gate_says("article")))
    result = run.go()
    assert result.gate is not None
    assert (result.gate.outcome, result.gate.abstained) == ("article", 2)


def test_without_any_comparison_and_without_scores_the_draft_is_delivered() -> None:
    run = Run(both(refuse(("gate",), ("extract", "4")), scores_by_id(**SCORES)))
    result = run.go()
    assert result.gate is not None
    assert (result.gate.outcome, result.delivered) == ("not compared", "draft")
    assert result.notes == [
        "the article could not be scored",
        "the article could not be compared with draft 2, and there are no scores to go"
        " by: draft 2 is delivered",
    ]
    assert len([f for f in run.artifacts["failed"] if "comparison" in f["item"]]) == 4


def test_what_was_compared_by_whom_and_the_result_are_in_the_verdict() -> None:
    run = Run(both(scores_by_id(**SCORES), gate_says("article")))
    run.go()
    verdict = json.loads(run.kept.files["validation"])
    assert verdict["delivered"] == "synthesis"
    gate = verdict["gate"]
    assert (gate["draft"], gate["judge"], gate["compared"]) == (2, "full", "articles")
    assert gate["outcome"] == "article"
    assert [(v["first"], v["round"], v["article_points"]) for v in gate["votes"]] == [
        ("article", 1, 1.0),
        ("draft", 1, 1.0),
        ("article", 2, 1.0),
        ("draft", 2, 1.0),
    ]
    assert run.artifacts["gate"] == gate


def test_the_comparison_is_blind_and_of_whole_articles_in_both_orders() -> None:
    run = Run(both(scores_by_id(**SCORES), gate_says("article")))
    result = run.go()
    asked = [each for each in run.stand.asked if each.stage == "gate"]
    assert [each.item_id for each in asked] == ["4-2", "2-4", "4-2", "2-4"]
    assert len({each.body["seed"] for each in asked}) == 4
    article, draft = str(result.article), run.kept.drafts[2]
    for each in asked:
        places = [each.user.index(text.strip()) for text in (article, draft)]
        assert (places[0] < places[1]) is (each.item_id == "4-2")
        assert "draft" not in each.user.replace(draft, "").replace(article, "")


def test_a_judge_without_room_for_two_articles_sees_their_cards() -> None:
    def answer(asked: Asked) -> Any:
        if asked.stage != "gate":
            return None
        names = asked.body["response_format"]["json_schema"]["schema"]["required"]
        return dict.fromkeys(names, "tie")

    run = Run(answer, preset=SHORT)
    result = run.go()
    assert result.gate is not None
    assert (result.gate.compared, result.gate.outcome) == ("cards", "tie")


def test_where_drafts_were_only_compared_votes_are_asked_when_it_is_open() -> None:
    run = Run(both(scores_by_id(c4=7), gate_says("first")))
    result = run.go(mode="pairwise")
    best = result.best_draft
    votes = [a.item_id for a in run.stand.asked if a.stage == "score" and a.sample < 9]
    assert votes[-6:] == ["4", "4", "4", str(best), str(best), str(best)]
    assert result.final_score is not None
    assert (result.final_score.overall, result.delivered) == (7.0, "synthesis")
    assert "7.00 for the article against 5.00" in result.notes[0]


def others(*families: str, answer: Callable[[Asked], Any]) -> dict[str, Connection]:
    return {
        name: Scripted(answer, preset=replace(FULL, name=name, family=name))
        for name in families
    }


@pytest.mark.parametrize(
    ("judges", "spare", "authors", "chosen", "wrote"),
    [
        # Draft 2 won; the article is number 4.
        (["a", "b", "c"], [], {2: "a", 4: "b"}, "c", ()),
        (["a", "b"], ["c"], {2: "a", 4: "b"}, "c", ()),
        (["a", "b"], [], {2: "a", 4: "b"}, "a", ("draft",)),
        (["a"], [], {2: "a", 4: "a"}, "a", ("article", "draft")),
        (["a"], [], {}, "a", ()),
    ],
)
def test_the_judge_wrote_neither_where_there_is_one(
    judges: list[str],
    spare: list[str],
    authors: dict[int, str],
    chosen: str,
    wrote: tuple[str, ...],
) -> None:
    answer = both(scores_by_id(**SCORES), gate_says("article"))
    run = Run(answer, others=others(*judges, *spare, answer=answer))
    panel = Panel(
        judges=tuple(Judge(preset=name, family=name) for name in judges),
        others=tuple(Judge(preset=name, family=name) for name in spare),
        authors=authors,
    )
    result = run.go(panel=panel)
    assert result.gate is not None
    assert (result.gate.judge, result.gate.judge_wrote) == (chosen, wrote)


def test_the_article_gets_as_many_votes_as_the_best_draft_was_asked_for() -> None:
    def close(asked: Asked) -> Any:
        # Drafts 1 and 2 change places from vote to vote: their order stays open.
        if asked.stage != "score":
            return None
        mark = {"1": 6, "2": 6, "3": 2, "4": 6}[asked.item_id] + asked.sample % 2
        names = asked.body["response_format"]["json_schema"]["schema"]["required"]
        return {name: {"justification": "", "score": mark} for name in names}

    run = Run(both(close, gate_says("article")))
    result = run.go(votes="auto")
    best = result.score_of_best_draft
    assert isinstance(best, ArticleScore)
    assert best.votes > 2
    assert result.final_score is not None
    assert result.final_score.votes == best.votes
