"""The passages of the drafts behind a blueprint."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grounding.passages import source_passages
from pipeline.records import BlueprintSection, Passage
from tests.stage_fakes import DRAFT, TEXTS, blueprint

LONG = """# Long

Alpha begins it here. Bravo follows after. Charlie comes third. Delta is fourth.

Echo opens another. Foxtrot dances slowly. Golf is a game. Hotel has rooms.

## Part

India is far. Juliet waits upstairs. Kilo weighs more.
"""
NOWHERE = Passage(article_id=1, text="Zzz.")


def named(*points: tuple[int, str], **changes: Any) -> Any:
    passages = tuple(Passage(article_id=own, text=text) for own, text in points)
    return blueprint(
        **{
            "opening_hook": NOWHERE,
            "core_argument": NOWHERE,
            "sections": (BlueprintSection(heading="", points=passages),),
            "preserved_phrases": (),
            **changes,
        }
    )


def shown(*points: tuple[int, str], **how: Any) -> list[tuple[int, str]]:
    found = source_passages(named(*points), {1: LONG, 2: DRAFT}, **how)
    return [(passage.article_id, passage.text) for passage in found]


def test_a_verbatim_passage_is_shown_between_its_neighbours() -> None:
    assert shown((1, "Foxtrot dances slowly.")) == [
        (1, "Echo opens another. Foxtrot dances slowly. Golf is a game.")
    ]


def test_a_part_of_a_sentence_is_shown_as_the_whole_sentence() -> None:
    assert shown((1, "“foxtrot **dances**”")) == [
        (1, "Echo opens another. Foxtrot dances slowly. Golf is a game.")
    ]


def test_headings_are_no_neighbours() -> None:
    assert shown((1, "India is far.")) == [(1, "India is far. Juliet waits upstairs.")]


def test_windows_that_touch_are_one_passage() -> None:
    assert shown((1, "Delta is fourth."), (1, "Bravo follows after.")) == [
        (
            1,
            "Alpha begins it here. Bravo follows after. Charlie comes third."
            " Delta is fourth. Echo opens another.",
        )
    ]


def test_passages_come_in_the_order_of_the_blueprint() -> None:
    found = shown(
        (1, "Juliet waits upstairs."), (2, "It takes a minute."), (1, "Alpha")
    )
    assert [(own, text.split()[0]) for own, text in found] == [
        (1, "India"),
        (2, "Write"),
        (1, "Alpha"),
    ]


def test_all_parts_of_a_blueprint_are_looked_up() -> None:
    def at(text: str) -> Passage:
        return Passage(article_id=1, text=text)

    section = BlueprintSection(
        heading="", points=(at("Foxtrot"),), evidence=(at("Hotel has rooms."),)
    )
    plan = blueprint(
        headline=at("Long"),
        opening_hook=at("Alpha begins it here."),
        core_argument=at("Charlie"),
        sections=(section,),
        preserved_phrases=(at("Kilo weighs more."),),
    )
    (whole, last) = source_passages(plan, {1: LONG})
    assert whole.text.startswith("Alpha begins")
    assert whole.text.endswith("Golf is a game. Hotel has rooms.")
    assert last.text == "Juliet waits upstairs. Kilo weighs more."


def test_a_key_point_in_other_words_is_found_by_the_words_it_shares() -> None:
    ((own, text),) = shown((2, "A team loses days to arguments that are old."))
    assert (own, "We lost 12 days to one old argument!" in text) == (2, True)


def test_a_point_that_no_sentence_makes_is_left_out() -> None:
    assert shown((2, "Giraffes prefer quiet gardens."), (7, "Alpha")) == []


def test_sentences_that_were_joined_are_found_one_by_one() -> None:
    assert shown((1, "Alpha begins it here. Juliet waits upstairs.")) == [
        (1, "Alpha begins it here. Bravo follows after."),
        (1, "India is far. Juliet waits upstairs. Kilo weighs more."),
    ]


@pytest.mark.parametrize(
    ("context", "count"), [(None, 3), (1_000, 3), (200, 2), (10, 0)]
)
def test_no_more_is_shown_than_has_room(context: int | None, count: int) -> None:
    points = ((1, "Bravo follows"), (1, "Golf is a game"), (2, "It takes a minute"))
    assert len(shown(*points, context=context)) == count


def test_a_window_without_room_leaves_room_for_a_smaller_one() -> None:
    endless = {1: "word " * 90_000, 2: DRAFT}
    found = source_passages(named((1, "word word"), (2, "It takes")), endless)
    assert [passage.article_id for passage in found] == [2]


@given(TEXTS, TEXTS, st.integers(0, 60))
def test_passages_are_sentences_of_the_draft_and_keep_to_the_room(
    draft: str, point: str, context: int
) -> None:
    found = source_passages(named((1, point), (1, draft)), {1: draft}, context=context)
    assert sum(len(passage.text) for passage in found) <= context * 0.6
