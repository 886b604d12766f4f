"""What is said of the judges: how they mark, and how often they agree."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.judges import Agreement, JudgeLine, agreement, judge_lines
from pipeline.records import ArticleScore, JudgeMark
from tests.stage_fakes import score

MEANS = st.floats(1.0, 10.0)
FIELDS = st.lists(st.dictionaries(st.sampled_from("abc"), MEANS), max_size=5)


def marked(
    article_id: int, marks: Mapping[str, float], *, votes: int = 1
) -> ArticleScore:
    by_judge = {
        judge: JudgeMark(mean=mean, votes=votes) for judge, mean in marks.items()
    }
    return score(article_id, 5.0).model_copy(update={"by_judge": by_judge})


def field(*marks: Mapping[str, float]) -> list[ArticleScore]:
    return [marked(n, of_card) for n, of_card in enumerate(marks, start=1)]


def test_a_line_has_the_mean_of_all_marks_weighted_by_votes() -> None:
    scores = [
        marked(1, {"b": 4.0}, votes=3),
        marked(2, {"b": 8.0, "a": 6.0}, votes=1),
    ]
    assert judge_lines(scores) == [
        JudgeLine(judge="a", mean=6.0, votes=1),
        JudgeLine(judge="b", mean=5.0, votes=4),
    ]


def test_a_line_names_the_drafts_of_the_own_family_alone() -> None:
    own = JudgeMark(mean=7.0, votes=1, is_own_family=True)
    scores = [
        marked(1, {"a": 5.0}),
        *(score(n, 7.0).model_copy(update={"by_judge": {"a": own}}) for n in (2, 4)),
    ]
    (line,) = judge_lines(scores)
    assert line.own_family == (2, 4)


def test_without_marks_there_is_nothing_to_say() -> None:
    assert judge_lines([]) == judge_lines([score(1, 5.0)]) == []
    assert agreement([]) == agreement(field({"a": 5.0})) == Agreement(0, 0)


def test_agreement_of_hand_computed_marks() -> None:
    scores = field(
        {"a": 8.0, "b": 7.0, "c": 3.0},
        {"a": 6.0, "b": 5.0, "c": 4.0},
        {"a": 4.0, "b": 6.0},
    )
    # 1 over 2: a yes, b yes, c no: alike a-b; not a-c, b-c.
    # 1 over 3: a yes, b yes: alike. 2 over 3: a yes, b no.
    assert agreement(scores) == Agreement(alike=2, of=5)


def test_two_drafts_that_a_judge_marked_alike_count_for_nothing() -> None:
    assert agreement(field({"a": 5.0, "b": 7.0}, {"a": 5.0, "b": 6.0})) == (0, 0)


def test_drafts_that_two_judges_did_not_both_mark_count_for_nothing() -> None:
    assert agreement(field({"a": 5.0, "b": 7.0}, {"a": 6.0, "c": 6.0})) == (0, 0)


@given(FIELDS)
def test_the_order_of_drafts_changes_no_agreement(
    marks: list[dict[str, float]],
) -> None:
    found = agreement(field(*marks))
    assert agreement(field(*reversed(marks))) == found
    assert 0 <= found.alike <= found.of


@given(FIELDS)
def test_a_judge_agrees_with_one_who_only_marks_lower(
    marks: list[dict[str, float]],
) -> None:
    twins = [{"a": m["a"], "strict": m["a"] - 1.0} for m in marks if "a" in m]
    found = agreement(field(*twins))
    assert found.alike == found.of


@given(FIELDS)
def test_a_judge_never_agrees_with_its_opposite(marks: list[dict[str, float]]) -> None:
    mirrored = [{"a": m["a"], "b": 11.0 - m["a"]} for m in marks if "a" in m]
    assert agreement(field(*mirrored)).alike == 0
