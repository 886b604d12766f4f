"""Drafts and judges at the end of a run: ranks that are shared, and who agrees."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.front.summary import summary
from pipeline.judging.schemes import Judging
from pipeline.records import ArticleScore, HeadToHead, JudgeMark
from tests.stage_fakes import score
from tests.test_summary import FOLDER, a_result


def ranked(article_id: int, overall: float, rank: int, **changes: Any) -> ArticleScore:
    interval = (overall - 0.5, overall + 0.5)
    found = score(article_id, overall)
    return found.model_copy(update={"interval": interval, "rank": rank, **changes})


def block(head: str, *scores: ArticleScore, mode: str = "absolute") -> list[list[str]]:
    """The lines of the block that begins so, cut into columns."""
    result = a_result(scores=scores, delivered="synthesis", article="x", best_draft=1)
    result.job = replace(result.job, judging=Judging(mode=mode))
    shown = summary(result, path=FOLDER, article=FOLDER / "a.md").splitlines()
    starts = [n for n, line in enumerate(shown) if line.startswith(head)]
    if not starts:
        return []
    cells = [[cell.strip() for cell in line.split("  ") if cell] for line in shown]
    end = next((n for n in range(starts[0], len(shown)) if not shown[n]), len(shown))
    return cells[starts[0] : end]


def test_drafts_stand_by_rank_with_interval_and_votes_and_equals_are_marked() -> None:
    lines = block(
        "rank",
        ranked(1, 6.0, 1),
        ranked(2, 6.2, 1, abstained=1),
        score(4, 3.0).model_copy(update={"rank": 4}),
        ranked(3, 4.0, 3),
    )
    assert lines == [
        ["rank", "draft", "written by", "score", "90 % interval", "votes"],
        ["1=", "2", "p2", "6.20", "5.7-6.7", "3 (1 failed)"],
        ["1=", "1", "p1", "6.00", "5.5-6.5", "3"],
        ["3", "3", "4.00", "3.5-4.5", "3"],  # nobody knows who wrote it
        ["4", "4", "3.00", "unknown", "3"],
        ["too close to call: drafts 2, 1"],
        ["--synthesis-votes auto asks more where it is open, else less"],
    ]


@pytest.mark.parametrize(
    ("judging", "is_said"),
    [
        (Judging(votes=3), True),
        (Judging(votes="auto"), False),
        (Judging(mode="pairwise"), False),
        (Judging(mode="funnel"), False),
    ],
)
def test_more_votes_are_advised_only_where_their_number_was_fixed(
    judging: Judging, is_said: bool
) -> None:
    result = a_result(
        delivered="synthesis",
        article="x",
        best_draft=1,
        scores=[ranked(1, 6.0, 1), ranked(2, 6.2, 1)],
    )
    result.job = replace(result.job, judging=judging)
    shown = summary(result, path=FOLDER, article=FOLDER / "a.md")
    assert "too close to call: drafts 2, 1" in shown
    assert ("--synthesis-votes auto" in shown) is is_said


def test_a_clear_leader_is_not_too_close_to_call() -> None:
    lines = block("rank", ranked(1, 8.0, 1), ranked(2, 6.0, 2), ranked(3, 6.0, 2))
    assert [line[0] for line in lines] == ["rank", "1", "2=", "2="]


def test_ranks_go_before_means_where_a_draft_of_few_votes_may_yet_be_the_best() -> None:
    few = ranked(2, 6.0, 1, votes=2)
    lines = block("rank", ranked(1, 8.0, 1), few, ranked(3, 6.4, 3, votes=7))
    assert [line[1] for line in lines[1:4]] == ["1", "2", "3"]


def test_one_draft_alone_is_in_no_order() -> None:
    assert block("rank", ranked(1, 8.0, 1)) == []


def test_of_more_than_ten_drafts_the_best_ten_are_listed_and_the_rest_counted() -> None:
    lines = block("rank", *(ranked(n, 9 - n / 2, n) for n in range(13, 0, -1)))
    assert [line[1] for line in lines[1:11]] == [str(n) for n in range(1, 11)]
    assert lines[11:] == [["... 3 more in the artifacts"]]


def test_drafts_too_close_to_call_are_all_named_even_where_not_all_are_listed() -> None:
    lines = block("rank", *(ranked(n, 6.0, 1) for n in range(1, 13)))
    ids = ", ".join(str(n) for n in range(1, 13))
    assert lines[-2] == [f"too close to call: drafts {ids}"]


def test_in_a_funnel_votes_and_comparisons_stand_beside_each_other() -> None:
    table = HeadToHead(overall=7.2, interval=(6.1, 8.3), votes=6)
    worse = HeadToHead(overall=4.0, interval=(3.0, 5.0), votes=5, abstained=1)
    lines = block(
        "rank",
        ranked(1, 5.0, 2, compared=worse),
        ranked(2, 4.0, 1, compared=table),
        ranked(3, 4.5, 3, abstained=2),
        mode="funnel",
    )
    assert [line[2:] for line in lines] == [
        ["written by", "score", "votes", "compared", "90 % interval", "comparisons"],
        ["p2", "4.00", "3", "7.20", "6.1-8.3", "6"],
        ["p1", "5.00", "3", "4.00", "3.0-5.0", "5 (1 failed)"],
        ["4.50", "3 (2 failed)", "-", "-", "-"],
    ]


def test_where_every_pair_is_compared_the_ranking_counts_comparisons() -> None:
    table = HeadToHead(overall=7.2, interval=(6.1, 8.3), votes=6)
    one = ranked(1, 7.2, 1, compared=table, votes=6)
    head, first, *_ = block("rank", one, ranked(2, 4.0, 2), mode="pairwise")
    assert head[3:] == ["score", "90 % interval", "comparisons"]
    assert first[3:] == ["7.20", "6.7-7.7", "6"]


def marked(article_id: int, **means: float) -> ArticleScore:
    marks = {name: JudgeMark(mean=mean, votes=2) for name, mean in means.items()}
    return ranked(article_id, 6.0, 1, by_judge=marks)


def test_each_judge_has_a_line_and_own_families_are_named() -> None:
    own = JudgeMark(mean=9.0, votes=1, is_own_family=True)
    scores = [
        marked(1, ann=7.0, bob=4.0),
        marked(2, ann=5.0, bob=6.0),
        ranked(3, 6.0, 1, by_judge={"cy": own}),
        ranked(4, 6.0, 1, by_judge={"cy": own}),
    ]
    lines = block("judge", *scores)
    assert lines[1:] == [
        ["ann", "6.00", "4", "none of them"],
        ["bob", "5.00", "4", "none of them"],
        ["cy", "9.00", "2", "drafts 3, 4"],
        ["judges agree on the order of two drafts in 0 % of 1"],
    ]
    assert block("judge", *scores[2:3])[-1] == ["cy", "9.00", "1", "draft 3"]


def test_how_often_judges_agree_is_said_only_where_two_judged_the_same() -> None:
    two = [marked(1, ann=7.0, bob=4.0), marked(2, ann=5.0, bob=3.0)]
    third = marked(3, ann=6.0, bob=5.0)
    assert block("judge", *two)[-1][0].endswith("in 100 % of 1")
    assert block("judge", *two, third)[-1][0].endswith("in 67 % of 3")
    assert len(block("judge", marked(1, ann=7.0), marked(2, ann=5.0))) == 2


def test_a_judge_that_only_compared_its_own_family_is_named_for_it() -> None:
    table = HeadToHead(overall=7.2, interval=(6.1, 8.3), votes=6, own_family=("ann",))
    by_ann = {"ann": JudgeMark(mean=5.0, votes=3)}
    (_, line) = block(
        "judge",
        ranked(1, 5.0, 1, compared=table),
        ranked(2, 4.0, 2, by_judge=by_ann),
    )
    assert line == ["ann", "5.00", "3", "draft 1"]
