"""
Where the article has it from: figures, quotations, phrases and headline, traced.

Pure: it compares words with words and asks no model. A figure is traced by its value,
in digits or spelled out, so it cannot tell that a sentence makes another claim with it.
What a writer is told of traces that lead nowhere is one finding for each thing, however
often it stands in the article; the headline is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pipeline.grounding.figures import is_spelled_below_ten
from pipeline.grounding.paragraphs import Paragraph, read_paragraphs, searched
from pipeline.grounding.sources import Citation, SourceIndex, Sources
from pipeline.records import Finding, Passage, SourceName, SynthesisBlueprint, Trace
from pipeline.text.article import (
    comparable,
    contains,
    folded,
    plain,
    title,
    word_count,
)

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
    index = SourceIndex(sources, blueprint)
    read = read_paragraphs(article)
    found: list[tuple[_Spot, Trace]] = []
    for number, paragraph in enumerate(read):
        found += (((number, at), t) for at, t in _quotation_traces(paragraph, index))
        found += (((number, at), t) for at, t in _figure_traces(paragraph, index))
    for phrase in blueprint.preserved_phrases:
        found.append(_phrase_trace(phrase, article, read, index=index))
    found.sort(key=lambda each: each[0])
    return [
        *_headline_traces(article, blueprint.headline, index),
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


def _headline_traces(
    article: str, wanted: Passage, index: SourceIndex
) -> Iterator[Trace]:
    if text := title(article):
        is_its_own = comparable(text) == comparable(wanted.text)
        citation = index.word_for_word(
            searched(plain(text)), wanted.article_id if is_its_own else None
        )
        yield _verbatim_or_nowhere("headline", text, text, citation=citation)


def _quotation_traces(
    paragraph: Paragraph, index: SourceIndex
) -> Iterator[tuple[int, Trace]]:
    for text in dict.fromkeys(paragraph.quotations):
        sought = searched(text)
        span = paragraph.find(sought)
        passage = paragraph.passage(paragraph.sentences_at(span)) if span else ""
        citation = index.word_for_word(sought)
        trace = _verbatim_or_nowhere("quotation", text, passage, citation=citation)
        if citation is None and word_count(text) >= _SHORTEST_ALTERED:
            trace = _altered(trace, index.closest(text))
        yield span[0] if span else 0, trace


def _altered(trace: Trace, citation: Citation | None) -> Trace:
    if citation is None:
        return trace
    return trace.model_copy(
        update={
            "found": "altered",
            "source": citation.source,
            "source_passage": _shown(citation.passage),
        }
    )


def _figure_traces(
    paragraph: Paragraph, index: SourceIndex
) -> Iterator[tuple[int, Trace]]:
    for number, figures in paragraph.figures.items():
        start, passage = paragraph.starts[number], paragraph.sentences[number]
        for figure in figures:
            if is_spelled_below_ten(figure):  # "one" is seldom a claim
                continue
            written, citation = index.same_value(figure, passage) or ("", None)
            trace = _verbatim_or_nowhere("figure", figure, passage, citation=citation)
            if citation and folded(written) != folded(figure):
                trace = trace.model_copy(update={"found": "same value"})
            yield max(start, paragraph.text.find(folded(figure), start)), trace


def _phrase_trace(
    phrase: Passage, article: str, read: Sequence[Paragraph], *, index: SourceIndex
) -> tuple[_Spot, Trace]:
    sought = searched(plain(phrase.text))
    citation = index.word_for_word(sought, phrase.article_id)
    spot, passage = (len(read), 0), ""
    for number, paragraph in enumerate(read):
        if span := paragraph.find(sought):
            spot, passage = (
                (number, span[0]),
                paragraph.passage(paragraph.sentences_at(span)),
            )
            break
    trace = _verbatim_or_nowhere("phrase", phrase.text, passage, citation=citation)
    if not passage and not contains(article, phrase.text):
        trace = trace.model_copy(update={"found": "missing"})
    return spot, trace


def _verbatim_or_nowhere(
    kind: Kind,
    text: str,
    passage: str,
    *,
    citation: Citation | None,
) -> Trace:
    return Trace(
        kind=kind,
        text=text,
        passage=_shown(passage),
        source=citation.source if citation else None,
        source_passage=_shown(citation.passage) if citation else None,
        found="word for word" if citation else "nowhere",
    )


def _shown(passage: str) -> str:
    if len(passage) <= LONGEST_PASSAGE:
        return passage
    return passage[:LONGEST_PASSAGE] + " ..."


LONGEST_QUOTED = 600  # characters of a text in a finding
_SCARE_QUOTE_WORDS = 2


def trace_findings(traces: Iterable[Trace]) -> list[Finding]:
    """Missing phrases, then figures, then quotations, each in reading order.

    A phrase that the article does hold is no finding, whoever else holds it: the
    blueprint asks for it.
    """
    wrong: dict[tuple[str, str], Trace] = {}
    for trace in ungrounded(traces):
        wrong.setdefault((trace.kind, trace.text), trace)
    found = list(wrong.values())
    return [
        *(_phrase(t) for t in found if t.kind == "phrase" and t.found == "missing"),
        *(_figure(t) for t in found if t.kind == "figure"),
        *(_quotation(t) for t in found if t.kind == "quotation"),
    ]


def _phrase(trace: Trace) -> Finding:
    detail = f"This phrase is not in the article word for word: {trace.text}"
    return _finding("phrases", detail)


def _figure(trace: Trace) -> Finding:
    detail = f"The figure {trace.text} is in no draft and not in the brief."
    return _finding("figures", detail)


def _quotation(trace: Trace) -> Finding:
    if trace.found == "altered":
        detail = (
            f'The quotation "{_clipped(trace.text)}" is altered. {_named(trace.source)}'
            f" says: {_clipped(trace.source_passage or '')} Quote that word for word."
        )
        return _finding("quotations", detail)
    if _is_scare_quote(trace.text):
        detail = (
            f'Nobody says "{trace.text}" in a draft or the brief: no quotation marks.'
        )
        return _finding("quotations", detail, severity="minor")
    detail = (
        f'The quotation "{_clipped(trace.text)}" is in no draft and not in the brief;'
        " take it out."
    )
    return _finding("quotations", detail)


def _is_scare_quote(text: str) -> bool:
    """Whether it is short and does not begin as a name does."""
    first = next(filter(str.isalpha, text), "")
    return word_count(text) <= _SCARE_QUOTE_WORDS and not first.isupper()


def _named(source: SourceName | None) -> str:
    return f"Draft {source}" if isinstance(source, int) else f"The {source}"


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTED else text[:LONGEST_QUOTED] + " ..."


def _finding(
    check: str, detail: str, *, severity: Literal["major", "minor"] = "major"
) -> Finding:
    return Finding(check=check, source="code", severity=severity, detail=detail)
