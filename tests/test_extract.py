"""EXTRACT: cards whose words are the author's."""

import re
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.errors import ItemRejected, UnreadableReply
from pipeline.extract import (
    LONGEST_ARTICLE_UNITS,
    card_schema,
    extract_all_article_cards,
    extract_article_card,
)
from pipeline.text.article import figures, units
from pipeline.work import Watch
from tests.stage_fakes import (
    ARTICLES,
    DRAFT,
    NOT_THIS,
    SHORT,
    Asked,
    candidate,
    refuse,
    stand,
)

LINES = len(units(DRAFT))


def reply(**changes: Any) -> dict[str, Any]:
    return {
        "headline_candidates": [1],
        "opening_hook": [2],
        "core_argument": "A log pays.",
        "key_points": ["One.", "Two."],
        "evidence": [{"sentence": 6, "kind": "statistic", "supports": "cost"}],
        "structure": "problem, remedy",
        "tone": "dry",
        "audience": "teams",
        "memorable_phrases": [8],
        "weaknesses": ["Thin."],
        **changes,
    }


def test_a_card_holds_the_sentences_whose_numbers_the_model_gave() -> None:
    one = stand(lambda _asked: reply(opening_hook=[3, 2]))
    card = extract_article_card(candidate(7), client=one.client)
    assert card.headline_candidates == ("Logs win",)
    assert card.opening_hook == (
        "Nobody remembers last May. We lost 12 days to one old argument!"
    )
    assert card.memorable_phrases == ("Write one line today.",)
    (evidence,) = card.evidence
    assert (evidence.sentence, evidence.figures) == (
        "Each answer took 3 calls.",
        ("3",),
    )
    assert card.sections == ("Logs win", "What it costs", "What to do")
    assert card.word_count == 41


def test_the_model_sees_the_numbers_that_it_answers_with() -> None:
    one = stand()
    extract_article_card(candidate(), client=one.client)
    shown = one.asked[0].user
    assert "\n1. [heading] Logs win\n2. Nobody remembers last May.\n" in shown
    assert f"from 1 to {LINES}" in shown


def test_ids_in_a_reply_are_never_read() -> None:
    lies = {"article_id": 99, "id": 3, "candidate_id": "12"}
    one = stand(lambda _asked: reply(**lies))
    drafts = [candidate(n, f"# Title {n}\n\nText {n}.\n") for n in (2, 5, 9)]
    two_lines = stand(
        lambda _asked: reply(
            opening_hook=[2], evidence=[], memorable_phrases=[], **lies
        )
    )
    cards = extract_all_article_cards(drafts, client=two_lines.client)
    assert [c.article_id for c in cards] == [2, 5, 9]
    assert [c.opening_hook for c in cards] == ["Text 2.", "Text 5.", "Text 9."]
    assert extract_article_card(candidate(4), client=one.client).article_id == 4


@given(article=ARTICLES)
@settings(max_examples=60)
def test_words_on_a_card_are_units_of_the_article(article: str) -> None:
    one = stand()
    card = extract_article_card(candidate(3, article), client=one.client)
    texts = [unit.text for unit in units(article)]
    known = set(texts)
    hooks = known | {f"{a} {b}" for a in texts for b in texts}
    assert len(one.asked) == 1, "the schema lets only valid numbers through"
    assert set(card.headline_candidates) <= known
    assert card.opening_hook in hooks
    assert set(card.memorable_phrases) <= known
    for evidence in card.evidence:
        assert evidence.sentence in known
        assert list(evidence.figures) == figures(evidence.sentence)


@given(article=ARTICLES)
@settings(max_examples=40)
def test_words_on_a_short_card_are_units_of_the_article(article: str) -> None:
    one = stand(preset=SHORT)
    card = extract_article_card(candidate(3, article), client=one.client)
    known = {unit.text for unit in units(article)}
    assert len(one.asked) == 1
    words = (
        *card.headline_candidates,
        card.opening_hook,
        card.core_argument,
        *card.key_points,
        *card.memorable_phrases,
        *(each.sentence for each in card.evidence),
    )
    assert set(words) <= known


@pytest.mark.parametrize(
    "wrong",
    [
        {"opening_hook": [0]},
        {"opening_hook": [LINES + 1]},
        {"headline_candidates": [-1]},
        {"memorable_phrases": [1, 400]},
        {"evidence": [{"sentence": 99, "kind": "case", "supports": ""}]},
        {"evidence": [{"sentence": 1, "kind": "hearsay", "supports": ""}]},
        {"headline_candidates": []},
        {"opening_hook": ["Nobody remembers last May."]},
        {"core_argument": ""},
    ],
)
def test_a_reply_that_breaks_a_rule_is_asked_again_with_the_rule(
    wrong: dict[str, Any],
) -> None:
    replies = iter([reply(**wrong), reply()])
    one = stand(lambda _asked: next(replies))
    card = extract_article_card(candidate(), client=one.client)
    assert card.headline_candidates == ("Logs win",)
    first, second = one.asked
    assert "could not be used" not in first.user
    assert next(iter(wrong)) in second.user.rpartition("could not be used")[2]
    assert first.body["seed"] != second.body["seed"]


def test_a_number_out_of_range_is_named_with_the_range() -> None:
    replies = iter([reply(opening_hook=[77]), reply()])
    one = stand(lambda _asked: next(replies))
    extract_article_card(candidate(), client=one.client)
    assert (
        f"77 is no line of the draft; its lines are 1 to {LINES}" in one.asked[1].user
    )


@pytest.mark.parametrize("retry_count", [0, 2])
def test_an_unusable_reply_is_asked_again_so_often_and_then_given_up(
    retry_count: int,
) -> None:
    one = stand(lambda _asked: reply(opening_hook=[77]))
    with pytest.raises(UnreadableReply, match="77 is no line"):
        extract_article_card(candidate(), retry_count, client=one.client)
    assert len(one.asked) == 1 + retry_count


def test_a_line_named_twice_is_on_the_card_once() -> None:
    twice = [
        {"sentence": 6, "kind": "case", "supports": "a"},
        {"sentence": 6, "kind": "study", "supports": "b"},
    ]
    one = stand(lambda _asked: reply(memorable_phrases=[8, 8], evidence=twice))
    card = extract_article_card(candidate(), client=one.client)
    assert card.memorable_phrases == ("Write one line today.",)
    assert [each.kind for each in card.evidence] == ["case"]


def test_a_draft_of_one_sentence_has_a_card() -> None:
    for preset in (None, SHORT):
        one = stand(preset=preset) if preset else stand()
        card = extract_article_card(candidate(1, "Just this."), client=one.client)
        assert card.opening_hook == "Just this."
        assert card.headline_candidates == ("Just this.",)


def test_a_draft_without_text_is_refused_without_a_call() -> None:
    one = stand()
    with pytest.raises(ItemRejected):
        extract_article_card(candidate(1, " \n\n "), client=one.client)
    assert one.asked == []


@pytest.mark.parametrize("last", [1, 2, 3, 8, 50, 400])
def test_the_schema_asks_for_no_more_lines_than_there_are(last: int) -> None:
    schema = card_schema(last)
    fields, evidence = schema["properties"], schema["$defs"]["EvidenceReply"]
    line = {"type": "integer", "minimum": 1, "maximum": last}
    for name, most in {
        "headline_candidates": 3,
        "opening_hook": 2,
        "memorable_phrases": 4,
    }.items():
        assert fields[name]["items"] == line
        assert fields[name]["maxItems"] == min(most, last)
        assert fields[name].get("minItems", 0) <= fields[name]["maxItems"]
    assert fields["evidence"]["maxItems"] == min(8, last)
    assert evidence["properties"]["sentence"] == line
    for node in (schema, evidence):
        assert node["required"] == list(node["properties"])
        assert node["additionalProperties"] is False
    assert "title" not in str(schema)


def test_only_the_first_lines_of_a_very_long_draft_are_shown() -> None:
    article = "\n\n".join(f"Line {n}." for n in range(1, 1000))
    one = stand()
    extract_article_card(candidate(1, article), client=one.client)
    numbers = re.findall(r"(?m)^(\d+)\. Line", one.asked[0].user)
    assert [int(n) for n in numbers] == list(range(1, LONGEST_ARTICLE_UNITS + 1))


def test_a_failed_draft_is_left_out_and_reported() -> None:
    one = stand(refuse(("extract", "2")))
    failed: list[str] = []
    watch = Watch(on_failed=lambda _s, name, error: failed.append(f"{name}: {error}"))
    drafts = [candidate(n) for n in (1, 2, 3)]
    cards = extract_all_article_cards(drafts, client=one.client, watch=watch)
    assert [card.article_id for card in cards] == [1, 3]
    assert failed == [f"card 2: {NOT_THIS}"]


def test_a_repeat_of_the_run_sends_the_same_requests() -> None:
    def bodies(run_seed: int) -> list[Any]:
        one = stand(run_seed=run_seed)
        extract_all_article_cards([candidate(1), candidate(2)], client=one.client)
        return [asked.body for asked in one.asked]

    assert bodies(3) == bodies(3)
    assert bodies(3) != bodies(4)


def test_the_long_and_the_short_form_ask_for_the_same_record() -> None:
    names: list[str] = []

    def answer(asked: Asked) -> None:
        names.append(str(asked.request.schema_name))

    extract_article_card(candidate(), client=stand(answer).client)
    extract_article_card(candidate(), client=stand(answer, preset=SHORT).client)
    assert names == ["article_card", "article_card"]
