"""Where words stand in a text, and in which of its sentences."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.article_text import folded, plain
from pipeline.grounding.pages import pages, searched
from tests.stage_fakes import DRAFT, FAILSAFE_S, TEXTS


def passage_of(words: str, text: str) -> str | None:
    for page in pages(text):
        if span := page.find(searched(words)):
            return page.passage(page.sentences_at(span))
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
    (page,) = pages("None here. It took 3 of 7 days. See [it](http://x.example/2024).")
    assert page.figures == {0: ["2024"], 1: ["3", "7"]}


@given(TEXTS, st.data())
def test_any_words_of_a_sentence_are_found_in_its_page(
    text: str, data: st.DataObject
) -> None:
    for page in pages(text):
        assert len(page.sentences) == len(page.starts)
        number = data.draw(st.integers(0, len(page.sentences) - 1))
        words = folded(page.sentences[number])
        start = page.starts[number]
        assert page.text[start : start + len(words)] == words
        if searched(plain(page.sentences[number])):
            assert page.text.find(searched(page.sentences[number])) >= 0


@pytest.mark.parametrize("words", ["a" * 400_000, "a", "b a b a b"])
def test_a_megabyte_of_near_misses_takes_one_pass(words: str) -> None:
    def look() -> None:
        for text in ("a" * 1_000_000, "b ab " * 200_000):
            pages(text)[0].find(words + "c")
            pages(text)[0].find(words)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(FAILSAFE_S)
    assert not looking.is_alive()
