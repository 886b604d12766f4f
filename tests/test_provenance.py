"""Where the article has it from: figures, quotations, phrases, headline."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grounding.provenance import (
    LONGEST_PASSAGE,
    provenance_record,
    trace_article,
    ungrounded,
)
from pipeline.grounding.sources import Sources
from pipeline.records import Passage, Trace
from pipeline.text.article import numbers, paragraphs, quotations, units
from tests.stage_fakes import BRIEF, DRAFT, TEXTS, blueprint

OTHER = """# Notes pay

In 2019 it cost 1,500 hours. "We stopped guessing and started to listen," said Ann.

- “Deep Six” is its name. Ann left in May.
"""
DRAFTS = {1: DRAFT, 2: OTHER}


def traced(
    article: str, drafts: Mapping[int, str] = DRAFTS, **changes: Any
) -> list[Trace]:
    sources = Sources(brief=BRIEF, drafts=drafts)
    return trace_article(article, blueprint(**changes), sources)


def only(kind: str, article: str, drafts: Mapping[int, str] = DRAFTS) -> Trace:
    (found,) = [trace for trace in traced(article, drafts) if trace.kind == kind]
    return found


def test_traces_come_in_reading_order_with_the_headline_first() -> None:
    article = (
        "# Logs win\n\nIt took 12 days. “Deep Six” and 3 calls.\n\n"
        "Write one line today. In 2019, done."
    )
    assert [(t.kind, t.text) for t in traced(article)] == [
        ("headline", "Logs win"),
        ("figure", "12"),
        ("quotation", "Deep Six"),
        ("figure", "3"),
        ("phrase", "Write one line today."),
        ("figure", "2019"),
    ]


def test_a_trace_says_where_it_stands_in_the_article_and_in_the_source() -> None:
    assert only("figure", "# A\n\nNo number. It took 12 days, twice 12.") == Trace(
        kind="figure",
        text="12",
        passage="It took 12 days, twice 12.",
        source=1,
        source_passage="We lost 12 days to one old argument!",
        found="word for word",
    )


@pytest.mark.parametrize(
    ("figure", "found"),
    [
        ("1,500", "word for word"),
        ("1500", "same value"),
        ("1.500", "same value"),
        ("15", "nowhere"),
        ("500", "nowhere"),
        ("1,5", "nowhere"),
        ("150", "nowhere"),
    ],
)
def test_a_figure_must_stand_whole_in_the_source(figure: str, found: str) -> None:
    trace = only("figure", f"It cost {figure} hours.")
    assert trace.found == found
    assert trace.source == (None if found == "nowhere" else 2)


def test_a_figure_is_traced_in_each_sentence_that_has_it() -> None:
    article = (
        "It took 12 days. She asked 3 times, 3 calls each.\n\nIt took 12 days more."
    )
    assert [t.text for t in traced(article) if t.kind == "figure"] == ["12", "3", "12"]


def test_a_phrase_has_its_own_draft_or_another_or_none() -> None:
    def phrase(text: str, own: int) -> Trace:
        passage = Passage(article_id=own, text=text)
        found = traced(f"# A\n\nOh. {text}", preserved_phrases=(passage,))
        return next(trace for trace in found if trace.kind == "phrase")

    both = phrase("Ann left in May.", 2)
    assert (both.source, both.passage, both.found) == (
        2,
        "Ann left in May.",
        "word for word",
    )
    assert phrase("Ann left in May.", 1).source == 2
    assert (phrase("Not there.", 1).source, phrase("Not there.", 1).found) == (
        None,
        "nowhere",
    )


def test_a_phrase_that_the_article_lacks_is_missing_and_comes_last() -> None:
    last = traced("# Logs win\n\nNothing but 3 calls.")[-1]
    assert (last.kind, last.found, last.passage) == ("phrase", "missing", "")
    assert (last.source, last.is_grounded) == (1, False)


def test_a_headline_is_traced_to_the_draft_of_the_blueprint() -> None:
    drafts = {1: "# Other", 2: "# Logs win", 3: "# Logs win"}
    headline = Passage(article_id=3, text="Logs win")
    assert traced("# **Logs win**", drafts, headline=headline)[0].source == 3
    assert traced("# Logs win", drafts)[0].source == 2
    assert traced("# Logs rule", drafts)[0].found == "nowhere"


def test_headline_and_phrase_are_of_the_draft_that_the_blueprint_says() -> None:
    drafts = dict.fromkeys((1, 2), "# Logs win\n\nLogs win. So it is.")
    changes = {
        "opening_hook": Passage(article_id=1, text="Logs win. So it is."),
        "headline": Passage(article_id=2, text="Logs win"),
        "preserved_phrases": (Passage(article_id=2, text="So it is."),),
    }
    found = traced("# Logs win\n\nSo it is.", drafts, **changes)
    assert [(t.kind, t.source) for t in found] == [("headline", 2), ("phrase", 2)]


def test_quotations_in_a_headline_are_traced_too() -> None:
    drafts = {1: "# Why “done” lies\n\nText."}
    found = traced("# Why “done” lies", drafts)
    assert [(t.kind, t.source) for t in found[:2]] == [
        ("headline", 1),
        ("quotation", 1),
    ]


def test_sentences_taken_from_a_draft_have_ground_also_with_half_a_quotation() -> None:
    draft = (
        'He said, "We stop. Then we go," and "so" it was. “One end. Or two,” he said.'
    )
    article = "\n\n".join(f"{unit.text} And more follows." for unit in units(draft))
    found = traced(article, {1: draft}, preserved_phrases=())
    assert [t.text for t in found if t.kind == "quotation"] == ["so"]
    assert ungrounded(found) == []


def test_a_sentence_without_end_is_shown_in_part() -> None:
    trace = only("figure", "word " * 9_000 + "12", {1: "word " * 9_000 + "12"})
    assert trace.is_grounded
    assert len(trace.passage) < LONGEST_PASSAGE + 10
    assert len(trace.source_passage or "") < LONGEST_PASSAGE + 10


def test_the_record_counts_and_is_json() -> None:
    found = traced("# Logs win\n\n“Nobody ever said that,” in 77 or 3.")
    record = json.loads(json.dumps(provenance_record(found)))
    assert record["ungrounded"] == len(ungrounded(found)) == 3
    assert record["grounded"] == 2
    assert [each["found"] for each in record["traces"]] == [t.found for t in found]
    assert record["traces"][0]["source"] == 1


MARKED = st.lists(
    st.sampled_from(
        ['"', "“", "”", "„", "«", "»", "‘", "’", " ", "\n\n", ". ", "12", "1,000"]
    )
    | TEXTS,
    max_size=20,
).map("".join)


@pytest.mark.parametrize(
    ("article", "draft", "found"),
    [
        ("It took fifteen days.", "Fifteen days it was.", "word for word"),
        ("It took 15 days.", "Fifteen days it was.", "same value"),
        ("Forty-two percent left.", "In May 42% left.", "same value"),
        ("It cost 1,200 euros.", "It cost one thousand two hundred.", "same value"),
        ("It took 7 days.", "It took seven days.", "same value"),
        ("It took fifteen days.", "It took sixteen days.", "nowhere"),
        ("It cost 12 million.", "It cost 12,000,000.", "same value"),
        ("It cost 12 million.", "It cost 12 Million.", "word for word"),
        ("It cost 12 billion.", "It cost 12 million.", "nowhere"),
        ("Ninety percent left.", "Nine left.", "nowhere"),
    ],
)
def test_a_number_is_one_figure_in_digits_and_in_words(
    article: str, draft: str, found: str
) -> None:
    assert only("figure", f"# A\n\n{article}", {1: draft}).found == found


def test_the_words_below_ten_are_no_figures_of_the_article() -> None:
    found = traced("# A\n\nOne of us asked two times, in nine ways.", {1: "No."})
    assert [trace for trace in found if trace.kind == "figure"] == []


@given(MARKED, MARKED)
def test_no_text_is_too_strange_to_be_traced(article: str, draft: str) -> None:
    found = traced(article, {1: draft})
    assert found == traced(article, {1: draft})
    figures = {each for part in paragraphs(article) for each in numbers(part.text)}
    assert figures <= {trace.text for trace in found if trace.kind == "figure"}


@given(MARKED)
def test_every_quotation_and_figure_of_a_draft_is_grounded(draft: str) -> None:
    found = traced(draft, {1: draft})
    for trace in found:
        if trace.kind in {"quotation", "figure"}:
            assert trace.is_grounded, trace
    assert {t.text for t in found if t.kind == "quotation"} == set(quotations(draft))
