"""How much of the article came from each draft."""

import pytest
from hypothesis import given

from pipeline.grounding.paragraphs import Shares, contributions
from pipeline.records import ArticleCandidate
from tests.growth import assert_one_pass
from tests.stage_fakes import ARTICLES, DRAFT, TEXTS

ONE = "one two three four five six"


def test_words_in_a_run_of_four_are_of_the_draft_that_has_it() -> None:
    found = contributions("One two three four, new new.", {1: ONE, 2: "other"})
    assert found == Shares(by_draft={1: 4 / 6, 2: 0.0}, own=2 / 6)


def test_three_words_in_common_are_no_run() -> None:
    assert contributions("one two three new", {1: ONE}).own == 1.0


def test_neither_case_nor_marks_break_a_run() -> None:
    article = "**One** two — “Three”,\n\nFOUR!"
    assert contributions(article, {1: ONE}).by_draft == {1: 1.0}


def test_a_run_that_several_drafts_have_is_shared_equally() -> None:
    drafts = {2: "one two three four", 1: ONE, 3: "x"}
    found = contributions(ONE, drafts)
    assert found.by_draft == {1: pytest.approx(4 / 6), 2: pytest.approx(2 / 6), 3: 0.0}
    assert list(found.by_draft) == [1, 2, 3]


def test_a_run_that_stands_twice_in_the_article_counts_twice() -> None:
    assert contributions(f"{ONE} new new {ONE}", {1: ONE}).own == 2 / 14


def test_an_article_without_words_is_its_own() -> None:
    assert contributions(" - ", {1: DRAFT}) == Shares(by_draft={1: 0.0}, own=1.0)


def test_a_draft_delivered_as_it_is_is_all_of_the_article() -> None:
    assert contributions(DRAFT, {1: "x", 2: DRAFT}).by_draft == {1: 0.0, 2: 1.0}


def test_shares_are_added_up_by_preset() -> None:
    drafts = [
        ArticleCandidate(article_id=n, preset=preset, model="m", text="t")
        for n, preset in ((1, "b"), (2, "a"), (3, "b"), (4, "c"))
    ]
    shares = Shares(by_draft={1: 0.25, 2: 0.125, 3: 0.5}, own=0.125)
    assert shares.by_preset(drafts) == {"b": 0.75, "a": 0.125, "c": 0.0}


@given(ARTICLES, TEXTS, TEXTS)
def test_shares_sum_to_one(article: str, one: str, other: str) -> None:
    drafts = {1: one, 2: article + one, 3: other + article, 4: article}
    found = contributions(article, drafts)
    shares = [*found.by_draft.values(), found.own]
    assert sum(shares) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in shares)


@pytest.mark.parametrize("part", ["a ", "ab c ", "x"])
def test_words_without_end_take_one_pass(part: str) -> None:
    assert_one_pass(lambda text: contributions(text, {1: text, 2: text}), part)
