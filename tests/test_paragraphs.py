"""Where words stand in a text, in which sentences, and what texts are about the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grounding.paragraphs import (
    content_words,
    likeness,
    read_paragraphs,
    searched,
)
from pipeline.text.article import folded, plain
from tests.growth import assert_one_pass
from tests.stage_fakes import DRAFT, TEXTS


def passage_of(words: str, text: str) -> str | None:
    for paragraph in read_paragraphs(text):
        if span := paragraph.find(searched(words)):
            return paragraph.passage(paragraph.sentences_at(span))
    return None


@pytest.mark.parametrize(
    ("words", "passage"),
    [
        ("LOST 12 days", "We lost 12 days to one old argument!"),
        (
            "last May. We lost",
            "Nobody remembers last May. We lost 12 days to one old argument!",
        ),
        ("Logs win", "Logs win"),
        ("it takes a minute", "It takes a minute."),
        ("may. What", None),
        ("ost 12 day", None),
        (" . ", None),
    ],
)
def test_words_are_found_with_the_sentences_that_hold_them(
    words: str, passage: str | None
) -> None:
    assert passage_of(words, DRAFT) == passage


def test_a_word_inside_another_is_passed_over_and_the_whole_one_found() -> None:
    assert passage_of("art", "They start. Modern art sells.") == "Modern art sells."
    assert passage_of("art", "They start. Smart, art-like.") == "Smart, art-like."


def test_a_script_without_spaces_has_no_ends_of_words() -> None:
    assert passage_of("記録", "彼の記録は力だ。") == "彼の記録は力だ。"
    assert passage_of("は力だ。明日", "今日は力だ。明日も。") == "今日は力だ。 明日も。"


def test_figures_are_known_by_sentence_and_those_of_links_by_the_first() -> None:
    (paragraph,) = read_paragraphs(
        "None here. It took 3 of 7 days. See [it](http://x.example/2024)."
    )
    assert paragraph.figures == {0: ["2024"], 1: ["3", "7"]}


@given(TEXTS, st.data())
def test_any_words_of_a_sentence_are_found_in_its_page(
    text: str, data: st.DataObject
) -> None:
    for paragraph in read_paragraphs(text):
        assert len(paragraph.sentences) == len(paragraph.starts)
        number = data.draw(st.integers(0, len(paragraph.sentences) - 1))
        words = folded(paragraph.sentences[number])
        start = paragraph.starts[number]
        assert paragraph.text[start : start + len(words)] == words
        if searched(plain(paragraph.sentences[number])):
            assert paragraph.text.find(searched(paragraph.sentences[number])) >= 0


@pytest.mark.parametrize("part", ["a", "b ab "])
@pytest.mark.parametrize("words", ["a", "b a b a b", "a long one"])
def test_near_misses_without_end_take_one_pass(part: str, words: str) -> None:
    def look(text: str) -> None:
        sought = text[: len(text) // 2] if words == "a long one" else words
        (paragraph,) = read_paragraphs(text)
        paragraph.find(searched(sought + "c"))
        paragraph.find(searched(sought))

    assert_one_pass(look, part)


def test_words_of_weight_are_the_long_ones_and_every_number() -> None:
    assert content_words("The “Deciding” team, in 7 days") == {
        "decidi",
        "team",
        "7",
        "days",
    }


def test_a_longer_text_with_the_same_words_is_less_alike() -> None:
    wanted = content_words("stale arguments return")
    short = likeness(wanted, content_words("Arguments return."))
    long = likeness(
        wanted, content_words("Arguments return when nobody wrote down why.")
    )
    assert 0 < long < short < 1


@given(TEXTS, TEXTS)
def test_likeness_is_from_nought_to_one_and_the_same_both_ways(
    one: str, other: str
) -> None:
    first, second = content_words(one), content_words(other)
    assert 0 <= likeness(first, second) == likeness(second, first) <= 1
    assert likeness(first, first) == (1 if first else 0)
