"""SELECT: labels in, the drafts' own words out."""

from typing import Any

import pytest

from pipeline.errors import UnreadableReply
from pipeline.models.presets import Preset
from pipeline.prompts.documents import elements_of, ranked
from pipeline.select import (
    ROOM_CHARACTERS,
    blueprint_schema,
    select_elements,
)
from tests.stage_fakes import BRIEF, FULL, Stand, card, score, stand

CARDS = [card(1), card(2), card(3)]
SCORES = [score(1, 4.0), score(2, 8.0), score(3, 6.0)]


def reply(**changes: Any) -> dict[str, Any]:
    return {
        "headline": "1.H1",
        "opening": "2.O1",
        "argument": "3.A1",
        "structure": "2.S1",
        "sections": [
            {"heading": "Cost", "points": ["1.K1", "3.K2"], "evidence": ["2.E1"]}
        ],
        "phrases": ["3.P1"],
        "avoid": ["Do not preach."],
        "rationale": "because",
        **changes,
    }


def test_every_element_is_the_passage_of_the_draft_in_its_label() -> None:
    one = stand(lambda _asked: reply())
    chosen = select_elements(BRIEF, CARDS, SCORES, client=one.client)
    assert (chosen.headline.article_id, chosen.headline.text) == (1, "Headline 1")
    assert (chosen.opening_hook.article_id, chosen.opening_hook.text) == (2, "Hook 2.")
    assert (chosen.core_argument.article_id, chosen.core_argument.text) == (
        3,
        "Argument 3.",
    )
    assert (chosen.structure.article_id, chosen.structure.text) == (2, "structure 2")
    (section,) = chosen.sections
    assert [(p.article_id, p.text) for p in section.points] == [
        (1, "Point 1a."),
        (3, "Point 3b."),
    ]
    assert [(p.article_id, p.text) for p in section.evidence] == [(2, "Fact 2.")]
    assert [(p.article_id, p.text) for p in chosen.preserved_phrases] == [
        (3, "Phrase 3.")
    ]
    assert (chosen.tone, chosen.audience) == ("tone 2", "audience 2")
    assert chosen.considered == (1, 2, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"headline": "4.H1"},
        {"opening": "Hook 2."},
        {"argument": "1.A2"},
        {"structure": ""},
        {"phrases": ["3.P1", "3.P9"]},
        {"sections": [{"heading": "x", "points": ["9.K1"], "evidence": []}]},
        {"sections": [{"heading": "x", "points": ["1.K1"], "evidence": ["1.E7"]}]},
        {"sections": [{"heading": "x", "points": [], "evidence": []}]},
        {"sections": []},
    ],
)
def test_only_labels_that_exist_are_accepted(wrong: dict[str, Any]) -> None:
    replies = iter([reply(**wrong), reply()])
    one = stand(lambda _asked: next(replies))
    chosen = select_elements(BRIEF, CARDS, SCORES, client=one.client)
    assert chosen.headline.text == "Headline 1"
    assert len(one.asked) == 2


@pytest.mark.parametrize(
    "wrong", [{"headline": "1.K1"}, {"opening": "1.H1"}, {"phrases": ["1.E1"]}]
)
def test_a_label_of_another_kind_is_asked_for_again(wrong: dict[str, Any]) -> None:
    replies = iter([reply(**wrong), reply()])
    one = stand(lambda _asked: next(replies))
    select_elements(BRIEF, CARDS, SCORES, client=one.client)
    assert len(one.asked) == 2
    assert "is the label of a" in one.asked[1].user


def test_labels_that_never_exist_are_given_up() -> None:
    one = stand(lambda _asked: reply(headline="7.H1"))
    with pytest.raises(UnreadableReply, match=r"7\.H1 is no label"):
        select_elements(BRIEF, CARDS, SCORES, client=one.client)


def test_a_label_named_twice_counts_once() -> None:
    one = stand(lambda _asked: reply(phrases=["3.P1", "3.P1"]))
    chosen = select_elements(BRIEF, CARDS, SCORES, client=one.client)
    assert len(chosen.preserved_phrases) == 1


def test_cards_are_joined_with_their_scores_by_id() -> None:
    pairs = ranked(CARDS, [SCORES[2], SCORES[0], SCORES[1]])
    assert [(c.article_id, s.article_id, s.overall) for c, s in pairs if s] == [
        (2, 2, 8.0),
        (3, 3, 6.0),
        (1, 1, 4.0),
    ]


def test_equal_scores_are_ranked_by_id_and_no_score_comes_last() -> None:
    pairs = ranked([card(n) for n in (4, 3, 1, 2)], [score(2, 5.0), score(3, 5.0)])
    assert [c.article_id for c, _ in pairs] == [2, 3, 1, 4]


def test_the_editor_sees_scores_elements_and_weaknesses_best_first() -> None:
    one = stand(lambda _asked: reply())
    select_elements(BRIEF, CARDS, [SCORES[0], SCORES[1]], client=one.client)
    shown = one.asked[0].user
    places = [shown.index(f"Draft {n}: ") for n in (2, 1, 3)]
    assert places == sorted(places)
    assert "overall 8 from 3 votes" in shown
    assert "Draft 3: no score" in shown
    for text in ("[2.E1] evidence: Fact 2.", "weakness: Weakness 3.", BRIEF.topic):
        assert text in shown


def test_the_schema_lists_the_labels_of_each_kind() -> None:
    elements = {e.label: e for each in CARDS[:2] for e in elements_of(each)}
    schema = blueprint_schema(elements)
    fields = schema["properties"]
    section = schema["$defs"]["SectionReply"]["properties"]
    assert fields["headline"]["enum"] == ["1.H1", "2.H1"]
    assert fields["opening"]["enum"] == ["1.O1", "2.O1"]
    assert fields["argument"]["enum"] == ["1.A1", "2.A1"]
    assert fields["structure"]["enum"] == ["1.S1", "2.S1"]
    assert fields["phrases"]["items"]["enum"] == ["1.P1", "2.P1"]
    assert section["points"]["items"]["enum"] == ["1.K1", "1.K2", "2.K1", "2.K2"]
    assert section["evidence"]["items"]["enum"] == ["1.E1", "2.E1"]
    assert fields["phrases"]["maxItems"] == 2
    assert section["points"]["maxItems"] == 4


def test_lists_that_can_have_no_label_must_be_empty() -> None:
    bare = [card(n, evidence=(), memorable_phrases=()) for n in (1, 2)]
    elements = {e.label: e for each in bare for e in elements_of(each)}
    schema = blueprint_schema(elements)
    assert schema["properties"]["phrases"]["maxItems"] == 0
    assert "enum" not in schema["properties"]["phrases"]["items"]
    one = stand()
    chosen = select_elements(BRIEF, bare, [], client=one.client)
    assert chosen.preserved_phrases == ()
    assert len(one.asked) == 1


def shown_drafts(one: Stand) -> list[int]:
    text = one.asked[0].user
    return [n for n in range(1, 100) if f"Draft {n}: " in text]


def test_where_there_is_no_room_the_best_cards_are_shown() -> None:
    long = "x" * (ROOM_CHARACTERS // 4)
    cards = [card(n, core_argument=long) for n in range(1, 7)]
    scores = [score(n, float(n)) for n in range(1, 7)]
    one = stand()
    chosen = select_elements(BRIEF, cards, scores, client=one.client)
    assert shown_drafts(one) == [4, 5, 6]
    assert chosen.considered == (4, 5, 6)


def test_at_least_two_cards_are_shown_however_little_room_there_is() -> None:
    cards = [card(n, core_argument="x" * 200_000) for n in (1, 2, 3)]
    one = stand()
    select_elements(BRIEF, cards, SCORES, client=one.client)
    assert shown_drafts(one) == [2, 3]


def test_the_room_follows_the_context_of_the_preset() -> None:
    preset = Preset(name="full", base_url=FULL.base_url, model="m", context=10_000)
    cards = [card(n, core_argument="x" * 5_000) for n in range(1, 7)]
    one = stand(preset=preset)  # room for 18,000 characters
    select_elements(BRIEF, cards, [], client=one.client)
    assert shown_drafts(one) == [1, 2, 3]
