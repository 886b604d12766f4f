"""
What code can read off an article: units, headings, words, figures, quotations.

Pure, and no linguist: an abbreviation it does not know may end a sentence. Every unit
is a piece of the text as it stands, so a unit that is chosen by number is verbatim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Every pattern takes one pass, also over a megabyte of brackets, spaces or full stops.
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*)$")
_LIST_MARK = re.compile(r"^\s*(?:[-*+]|\d{1,3}[.)])\s+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|approx|No|Inc|Ltd|cf|Fig)\.)$"
)
_LONGEST_ABBREVIATION = 12  # with the letter before it
_SENTENCE_END = re.compile(r"""(?<=[.!?…])["'”’)\]]*\s+|(?<=[。！？])""")
_WORD = re.compile(r"\w+(?:['’\-]\w+)*")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Unit:
    """One heading or one sentence, in the words of the text."""

    text: str
    is_heading: bool = False


def units(article: str) -> list[Unit]:
    """Headings and sentences in reading order; at least one for non-blank text."""
    found: list[Unit] = []
    paragraph: list[str] = []

    def close_paragraph() -> None:
        found.extend(Unit(s) for s in _sentences(" ".join(paragraph)))
        paragraph.clear()

    for line in article.splitlines():
        heading = _HEADING.match(line)
        if heading or not line.strip() or _LIST_MARK.match(line):
            close_paragraph()
        if heading:
            if title := plain(_without_closing_marks(heading[2])):
                found.append(Unit(title, is_heading=True))
        elif line.strip():
            paragraph.append(_LIST_MARK.sub("", line).strip().removeprefix("> "))
    close_paragraph()
    if not found and article.strip():  # marks of formatting and nothing else
        return [Unit(" ".join(article.split()))]
    return found


def _without_closing_marks(heading: str) -> str:
    """A heading without the # signs that close it; those of a word (C#) stay."""
    text = heading.strip(" \t")
    bare = text.rstrip("#")
    return bare.rstrip(" \t") if not bare or bare[-1] in " \t" else text


def _sentences(paragraph: str) -> list[str]:
    pieces: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(paragraph):
        stop = end.start() + len(end[0].rstrip())
        # Only the last letters are looked at: an abbreviation joins what follows it,
        # and reading the joined whole again each time would take the square of it.
        tail = paragraph[max(start, stop - _LONGEST_ABBREVIATION) : stop]
        if not _ABBREVIATION.search(tail):
            pieces.append(paragraph[start:stop].strip())
            start = end.end()
    rest = paragraph[start:].strip()
    return [*pieces, rest] if rest else pieces


def headings(article: str) -> list[str]:
    """The text of every heading, in order."""
    return [unit.text for unit in units(article) if unit.is_heading]


def title(article: str) -> str:
    """The first heading, or else the first sentence, or nothing."""
    found = units(article)
    first = next((unit for unit in found if unit.is_heading), None)
    return (first or found[0]).text if found else ""


def plain(text: str) -> str:
    """Text without the marks of emphasis, code and links."""
    text = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", text)
    return re.sub(r"(\*\*|__|\*|`)", "", text).strip()


def comparable(text: str) -> str:
    """Text in which quotation marks, emphasis, case and white space no longer differ."""
    text = plain(text).translate(str.maketrans("“”„«»‘’‚–—\u00a0", '"""""\'\'\'-- '))
    return " ".join(text.split()).casefold()


def contains(article: str, passage: str) -> bool:
    """Whether the passage stands in the article word for word."""
    wanted = comparable(passage).strip(" .")
    return bool(wanted) and wanted in comparable(article)


def word_count(article: str) -> int:
    """Words of the text; marks of formatting are none."""
    return len(_WORD.findall(plain(article)))


def figures(text: str) -> list[str]:
    """Numbers as they are written, in order, without repeats.

    List numbering at the start of a line is no figure.
    """
    body = "\n".join(_LIST_MARK.sub("", line) for line in text.splitlines())
    return list(dict.fromkeys(_NUMBER.findall(body)))


def figure_value(figure: str) -> str:
    """A figure's digits, so that 1,000 and 1000 are one, and 2.50 stays 2.50."""
    return re.sub(r"[,.](?=\d{3}(?!\d))", "", figure)
