"""The stages for a model with a small context: flat forms, numbers, closed words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.criteria import CRITERIA
from pipeline.extract import extract_article_card
from pipeline.score import score_article_card
from pipeline.select import select_elements
from pipeline.short.extract import (
    LONGEST_SENTENCE,
    MOST_SENTENCES,
    quarters,
    short_card_schema,
)
from pipeline.short.forms import check_choices, shape
from pipeline.short.select import MOST_CARDS, short_blueprint_schema
from pipeline.text.article import units
from tests.stage_fakes import (
    BRIEF,
    CRITERIA_NAMES,
    DRAFT,
    SHORT,
    candidate,
    card,
    score,
    stand,
)

SENTENCES = [unit.text for unit in units(DRAFT) if not unit.is_heading]


def filled(**changes: Any) -> dict[str, Any]:
    return {
        "hook": 2,
        "argument": 5,
        "phrase": 6,
        "point_1": 1,
        "point_2": 3,
        "point_3": 4,
        "point_4": 6,
        "structure": "problem_solution",
        "evidence": "example",
        "tone": "practical",
        "weakness": "vague",
        **changes,
    }


@given(st.integers(1, 500))
def test_quarters_share_all_numbers_out_in_order(count: int) -> None:
    runs = quarters(count)
    assert [n for run in runs for n in run] == list(range(1, count + 1))
    assert len(runs) == min(4, count)
    assert max(map(len, runs)) - min(map(len, runs)) <= 1


@given(st.integers(1, MOST_SENTENCES))
def test_the_form_of_an_article_of_any_length_can_be_filled_in(count: int) -> None:
    schema = short_card_schema(count)
    fields = schema["properties"]
    assert schema["required"] == list(fields)
    for name, field in fields.items():
        assert field["enum"], name
        if field["type"] == "integer":
            assert set(field["enum"]) <= set(range(1, count + 1))
    points = [set(fields[f"point_{n}"]["enum"]) for n in range(1, min(4, count) + 1)]
    assert len(set().union(*points)) == sum(map(len, points)) == count
    assert f"point_{min(4, count) + 1}" not in fields


def test_a_short_card_holds_the_sentences_that_were_chosen() -> None:
    one = stand(lambda _asked: filled(), preset=SHORT)
    made = extract_article_card(candidate(6), client=one.client)
    assert made.article_id == 6
    assert made.headline_candidates == ("Logs win",)
    assert made.opening_hook == SENTENCES[1]
    assert made.core_argument == SENTENCES[4]
    assert made.memorable_phrases == (SENTENCES[5],)
    assert made.key_points == tuple(SENTENCES[n] for n in (0, 2, 3, 5))
    assert [e.figures for e in made.evidence] == [("12",), ("3",)]
    assert made.weaknesses == ("It stays vague.",)
    assert made.sections == ("What it costs", "What to do")


@pytest.mark.parametrize(
    "wrong",
    [
        {"hook": 4},
        {"argument": 0},
        {"point_2": 1},
        {"point_4": None},
        {"tone": "angry"},
        {"phrase": "six"},
    ],
)
def test_a_choice_that_was_not_offered_is_asked_again(wrong: dict[str, Any]) -> None:
    replies = iter([filled(**wrong), filled()])
    one = stand(lambda _asked: next(replies), preset=SHORT)
    assert extract_article_card(candidate(), client=one.client).tone == "practical"
    assert next(iter(wrong)) in one.asked[1].user.rpartition("could not be used")[2]


def test_a_long_article_is_shown_by_its_first_sentences_cut_to_length() -> None:
    article = "\n\n".join(f"Sentence {n} {'x' * 900}." for n in range(1, 200))
    one = stand(preset=SHORT)
    extract_article_card(candidate(1, article), client=one.client)
    shown = one.asked[0].user.splitlines()
    assert sum(line.partition(". ")[2].startswith("Sentence") for line in shown) == (
        MOST_SENTENCES
    )
    assert max(map(len, shown)) < 700
    assert any(len(line) >= LONGEST_SENTENCE for line in shown)


def test_headings_alone_make_a_card_too() -> None:
    one = stand(preset=SHORT)
    made = extract_article_card(candidate(1, "# One\n\n## Two"), client=one.client)
    assert made.headline_candidates == ("One",)
    assert made.opening_hook in {"One", "Two"}


def test_a_short_vote_is_seven_whole_numbers() -> None:
    marks = dict(zip(CRITERIA_NAMES, [1, 2, 3, 4, 5, 6, 7], strict=True))
    one = stand(lambda _asked: marks, preset=SHORT)
    vote = score_article_card(card(5), CRITERIA, client=one.client)
    assert (vote.article_id, vote.overall) == (5, 3.65)
    assert all(c.justifications == () for c in vote.criteria.values())
    assert "article_id" not in one.asked[0].user


@pytest.mark.parametrize("mark", [0, 11])
def test_a_short_mark_outside_the_scale_is_asked_again(mark: int) -> None:
    fine = dict.fromkeys(CRITERIA_NAMES, 4)
    replies = iter([{**fine, "originality": mark}, fine])
    one = stand(lambda _asked: next(replies), preset=SHORT)
    assert score_article_card(card(), CRITERIA, client=one.client).overall == 4.0


def four_points(article_id: int) -> Any:
    points = tuple(f"Point {article_id}{letter}." for letter in "abcd")
    return card(article_id, key_points=points)


def test_a_short_blueprint_takes_each_part_from_the_draft_that_was_named() -> None:
    chosen = {
        "headline_from": 3,
        "hook_from": 1,
        "structure_from": 2,
        "point_2_from": 3,
        "point_3_from": 1,
        "point_4_from": 2,
    }
    one = stand(lambda _asked: chosen, preset=SHORT)
    cards = [four_points(n) for n in (1, 2, 3)]
    plan = select_elements(BRIEF, cards, [score(2, 9.0)], client=one.client)
    assert (plan.headline.article_id, plan.headline.text) == (3, "Headline 3")
    assert (plan.opening_hook.article_id, plan.opening_hook.text) == (1, "Hook 1.")
    assert plan.core_argument.text == "Argument 2."
    points = [section.points[0] for section in plan.sections]
    assert [(p.article_id, p.text) for p in points] == [
        (3, "Point 3b."),
        (1, "Point 1c."),
        (2, "Point 2d."),
    ]
    shown = one.asked[0].user
    assert shown.index("Article 2, score 9.0") < shown.index("Article 1, no score")


def test_a_draft_that_does_not_exist_or_has_no_such_point_is_asked_again() -> None:
    cards = [four_points(1), card(2)]  # the second has two points
    fine = {
        "headline_from": 1,
        "hook_from": 2,
        "structure_from": 1,
        "point_2_from": 2,
        "point_3_from": 1,
        "point_4_from": 1,
    }
    assert short_blueprint_schema(cards)["properties"]["point_3_from"]["enum"] == [1]
    replies = iter([{**fine, "headline_from": 9}, {**fine, "point_3_from": 2}, fine])
    one = stand(lambda _asked: next(replies), preset=SHORT)
    plan = select_elements(BRIEF, cards, [], client=one.client)
    assert [s.points[0].article_id for s in plan.sections] == [2, 1, 1]
    assert len(one.asked) == 3


@given(st.lists(st.integers(1, 4), min_size=2, max_size=6))
def test_a_short_blueprint_has_a_section_whatever_the_drafts_have(
    counts: list[int],
) -> None:
    cards = [
        card(n, key_points=tuple(f"Point {n}.{k}" for k in range(count)))
        for n, count in enumerate(counts, 1)
    ]
    one = stand(preset=SHORT)
    plan = select_elements(BRIEF, cards, [], client=one.client)
    assert plan.sections
    assert len(one.asked) == 1
    for section in plan.sections:
        (point,) = section.points
        assert point.text.startswith(f"Point {point.article_id}.")


def test_the_best_fifteen_cards_are_shown() -> None:
    cards = [four_points(n) for n in range(1, 21)]
    scores = [score(n, n / 2) for n in range(1, 21)]
    one = stand(preset=SHORT)
    plan = select_elements(BRIEF, cards, scores, client=one.client)
    assert plan.considered == tuple(range(21 - MOST_CARDS, 21))


def test_drafts_of_one_sentence_make_a_short_blueprint() -> None:
    one = stand(preset=SHORT)
    cards = [
        extract_article_card(candidate(n, f"Only {n}."), client=one.client)
        for n in (1, 2)
    ]
    plan = select_elements(BRIEF, cards, [], client=one.client)
    assert plan.sections[0].points[0].text in {"Only 1.", "Only 2."}


def test_the_shape_shows_every_field_and_a_wrong_choice_is_named() -> None:
    schema = short_card_schema(2)
    line = shape(schema)
    assert len(line.splitlines()) == 1
    assert all(f'"{name}"' in line for name in schema["properties"])
    with pytest.raises(ValueError, match="hook must be one of 1, 2, got 3"):
        check_choices({"hook": 3}, schema)
