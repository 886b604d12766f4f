"""
What a writer is told of traces that lead to no source.

One finding for each thing, however often it stands in the article. The headline is
checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pipeline.article_text import word_count
from pipeline.grounding.provenance import ungrounded
from pipeline.records import Finding, SourceName, Trace

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
