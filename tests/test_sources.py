"""Which source holds what an article says, and which of several is named."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.grounding.provenance import trace_article
from pipeline.grounding.sources import Sources
from pipeline.records import BlueprintSection, Passage
from tests.growth import assert_one_pass
from tests.stage_fakes import BRIEF, blueprint
from tests.test_provenance import DRAFTS, only, traced


def names(*own: int) -> dict[str, Any]:
    """A blueprint that names these drafts and no other."""
    first, *rest = (Passage(article_id=n, text=f"Text {n}.") for n in own)
    section = BlueprintSection(heading="", points=tuple(rest))
    return {
        "headline": first,
        "opening_hook": first,
        "core_argument": first,
        "sections": (section,),
        "preserved_phrases": (),
    }


def test_a_figure_comes_from_the_passage_most_like_the_sentence() -> None:
    drafts = {
        1: "We hired 12 people.",
        2: "The old argument lasted 12 days. Then 12 people came.",
    }
    trace = only("figure", "That argument lasted for 12 days.", drafts)
    assert (trace.source, trace.source_passage) == (
        2,
        "The old argument lasted 12 days.",
    )


@pytest.mark.parametrize(
    ("named", "source"), [((4, 3), 3), ((2,), 2), ((9,), 1), ((4,), 4)]
)
@pytest.mark.parametrize("words", ["“yes we can”", "It took 12 days."])
def test_of_equal_drafts_those_that_the_blueprint_names_then_the_lowest_id(
    words: str, named: tuple[int, ...], source: int
) -> None:
    text = "“Yes we can.” It took 12 days."
    drafts = dict.fromkeys((4, 3, 2, 1), text)
    (trace,) = [
        t
        for t in traced(words, drafts, **names(*named))
        if t.kind in {"figure", "quotation"}
    ]
    assert trace.source == source


def test_a_draft_is_preferred_whose_passage_in_the_blueprint_has_the_words() -> None:
    drafts = dict.fromkeys((1, 2), "He said “yes we can” to it.")
    passage = Passage(article_id=2, text="He said “yes we can” to it.")
    changes = {**names(1), "opening_hook": passage}
    (_, trace) = traced("# A\n\n“Yes we can.”", drafts, **changes)
    assert trace.source == 2


@pytest.mark.parametrize(
    "quotation",
    [
        '"We stopped guessing and started to listen."',
        "“we stopped guessing,”",
        "«Started to listen»",
        "„Deep Six“",
        '"We **stopped** guessing"',
        '"Ann left in May"',
    ],
)
def test_a_quotation_that_stands_word_for_word_is_grounded(quotation: str) -> None:
    trace = only("quotation", f"It is so: {quotation} and so.")
    assert (trace.source, trace.found) == (2, "word for word")


@pytest.mark.parametrize(
    "quotation",
    ["“Deep Seven”", "“An”", "“eep six”", "“sixth”", "“guessing stopped”"],
)
def test_a_name_that_is_not_quite_it_is_nowhere(quotation: str) -> None:
    trace = only("quotation", f"It is {quotation}.")
    assert (trace.source, trace.found) == (None, "nowhere")


def test_an_altered_quotation_has_the_draft_and_its_sentence_and_no_ground() -> None:
    trace = only("quotation", "So: “We quit guessing and began to listen,” said Ann.")
    assert (trace.source, trace.found, trace.is_grounded) == (2, "altered", False)
    assert trace.source_passage == (
        '"We stopped guessing and started to listen," said Ann.'
    )
    assert trace.passage == "So: “We quit guessing and began to listen,” said Ann."


def test_an_altered_quotation_of_two_sentences_is_close_to_two() -> None:
    drafts = {1: "One thing. We stopped guessing early. Nobody missed it. End."}
    article = "“We stopped guessing late. Nobody missed that.”"
    trace = only("quotation", article, drafts)
    assert trace.found == "altered"
    assert "We stopped guessing early. Nobody missed it." in (
        trace.source_passage or ""
    )


@pytest.mark.parametrize(
    "quotation",
    [
        "“We and they and it were to be”",
        "“Ann never left”",
        "“Giraffes stopped reading papers when people started to buy notebooks”",
        "“Giraffes never guessed anything useful today”",
    ],
)
def test_a_quotation_with_no_more_than_a_word_of_a_source_is_invented(
    quotation: str,
) -> None:
    trace = only("quotation", f"He said {quotation} then.")
    assert (trace.source, trace.source_passage, trace.found) == (None, None, "nowhere")


def test_what_the_user_gave_is_a_source() -> None:
    brief = replace(
        BRIEF, topic="Why “done” lies", context=("No.", "All 47 «ship it».")
    )
    sources = Sources(brief=brief, drafts=DRAFTS)
    found = trace_article("“Done”, 47, “ship it”", blueprint(), sources)
    assert {t.text: t.source for t in found if t.kind in {"figure", "quotation"}} == {
        "Done": "brief",
        "47": "background",
        "ship it": "background",
    }


@pytest.mark.parametrize(
    ("quotation", "found"),
    [("“guessing stopped early”", "altered"), ("“guessing stopped”", "nowhere")],
)
def test_three_words_may_be_altered_and_two_are_a_name(
    quotation: str, found: str
) -> None:
    assert only("quotation", f"She said {quotation}.").found == found


def test_a_sentence_is_read_once_and_not_once_for_each_of_its_figures() -> None:
    def trace(long: str) -> None:
        figures = len(long) // 66
        text = ", ".join(f"word {number}" for number in range(10, 10 + figures))
        assert len(traced(f"{text}.", {1: f"{text}."})) >= figures

    assert_one_pass(trace, "x")
