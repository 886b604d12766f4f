"""
Where the article has it from: figures, quotations, phrases and headline, traced.

Pure: it compares words with words and asks no model. A figure is traced by its value,
in digits or spelled out, so it cannot tell that a sentence makes another claim with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pipeline.article_text import (
    comparable,
    contains,
    folded,
    plain,
    title,
    word_count,
)
from pipeline.grounding.figures import is_spelled_below_ten
from pipeline.grounding.pages import Page, pages, searched
from pipeline.grounding.shelf import Place, Shelf
from pipeline.grounding.sources import Sources
from pipeline.records import Passage, SynthesisBlueprint, Trace

LONGEST_PASSAGE = 1000  # characters of a sentence that a trace shows
_SHORTEST_ALTERED = 3  # words; fewer are a name, which is right or another
Kind = Literal["figure", "quotation", "phrase", "headline"]
_Spot = tuple[int, int]  # paragraph, and place in it


def trace_article(
    article: str, blueprint: SynthesisBlueprint, sources: Sources
) -> list[Trace]:
    """The headline, then the rest in reading order; missing phrases come last.

    A figure has one trace in each sentence, however often it stands there. The same
    texts give the same traces.
    """
    shelf = Shelf(sources, blueprint)
    read = pages(article)
    found: list[tuple[_Spot, Trace]] = []
    for number, page in enumerate(read):
        found += (((number, at), t) for at, t in _quotation_traces(page, shelf))
        found += (((number, at), t) for at, t in _figure_traces(page, shelf))
    for phrase in blueprint.preserved_phrases:
        found.append(_phrase_trace(phrase, article, read, shelf=shelf))
    found.sort(key=lambda each: each[0])
    return [
        *_headline_traces(article, blueprint.headline, shelf),
        *(trace for _, trace in found),
    ]


def ungrounded(traces: Iterable[Trace]) -> list[Trace]:
    """Those that no source holds as they are."""
    return [trace for trace in traces if not trace.is_grounded]


def provenance_record(traces: Sequence[Trace]) -> dict[str, Any]:
    """How many traces lead to a source and how many do not, and all of them; JSON."""
    missing = len(ungrounded(traces))
    return {
        "grounded": len(traces) - missing,
        "ungrounded": missing,
        "traces": [trace.model_dump(mode="json") for trace in traces],
    }


def _headline_traces(article: str, wanted: Passage, shelf: Shelf) -> Iterator[Trace]:
    if text := title(article):
        is_its_own = comparable(text) == comparable(wanted.text)
        place = shelf.word_for_word(
            searched(plain(text)), wanted.article_id if is_its_own else None
        )
        yield _verbatim_or_nowhere("headline", text, text, place=place)


def _quotation_traces(page: Page, shelf: Shelf) -> Iterator[tuple[int, Trace]]:
    for text in dict.fromkeys(page.quotations):
        sought = searched(text)
        span = page.find(sought)
        passage = page.passage(page.sentences_at(span)) if span else ""
        place = shelf.word_for_word(sought)
        trace = _verbatim_or_nowhere("quotation", text, passage, place=place)
        if place is None and word_count(text) >= _SHORTEST_ALTERED:
            trace = _altered(trace, shelf.closest(text))
        yield span[0] if span else 0, trace


def _altered(trace: Trace, place: Place | None) -> Trace:
    if place is None:
        return trace
    return trace.model_copy(
        update={
            "found": "altered",
            "source": place.source,
            "source_passage": _shown(place.passage),
        }
    )


def _figure_traces(page: Page, shelf: Shelf) -> Iterator[tuple[int, Trace]]:
    for number, figures in page.figures.items():
        start, passage = page.starts[number], page.sentences[number]
        for figure in figures:
            if is_spelled_below_ten(figure):  # "one" is seldom a claim
                continue
            written, place = shelf.same_value(figure, passage) or ("", None)
            trace = _verbatim_or_nowhere("figure", figure, passage, place=place)
            if place and folded(written) != folded(figure):
                trace = trace.model_copy(update={"found": "same value"})
            yield max(start, page.text.find(folded(figure), start)), trace


def _phrase_trace(
    phrase: Passage, article: str, read: Sequence[Page], *, shelf: Shelf
) -> tuple[_Spot, Trace]:
    sought = searched(plain(phrase.text))
    place = shelf.word_for_word(sought, phrase.article_id)
    spot, passage = (len(read), 0), ""
    for number, page in enumerate(read):
        if span := page.find(sought):
            spot, passage = (number, span[0]), page.passage(page.sentences_at(span))
            break
    trace = _verbatim_or_nowhere("phrase", phrase.text, passage, place=place)
    if not passage and not contains(article, phrase.text):
        trace = trace.model_copy(update={"found": "missing"})
    return spot, trace


def _verbatim_or_nowhere(
    kind: Kind,
    text: str,
    passage: str,
    *,
    place: Place | None,
) -> Trace:
    return Trace(
        kind=kind,
        text=text,
        passage=_shown(passage),
        source=place.source if place else None,
        source_passage=_shown(place.passage) if place else None,
        found="word for word" if place else "nowhere",
    )


def _shown(passage: str) -> str:
    if len(passage) <= LONGEST_PASSAGE:
        return passage
    return passage[:LONGEST_PASSAGE] + " ..."
