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
DIGITS = r"(?<![\w.])\d+(?:[.,]\d+)*"  # a number, with its separators
_NUMBER = re.compile(DIGITS)
_FENCED_CODE = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`]*`")
# A mark that looks the same at both ends opens before a word and closes after one:
# 5" is no mark, and a mark that is never closed opens nothing.
_OPENS, _CLOSES = r"(?<![^\W_]|=)", r"(?![^\W_])"
_QUOTED = tuple(
    map(
        re.compile,
        (
            rf'{_OPENS}"(?=\S)[^"]*+(?<=\S)"{_CLOSES}',
            rf"„[^„“”]*+[“”]|“[^„“”]*+”|{_OPENS}”(?=\S)[^”]*+(?<=\S)”{_CLOSES}",
            rf"«[^«»]*+»|{_OPENS}»(?=\S)[^«»]*+(?<=\S)«",
            rf"{_OPENS}‘(?=[^\W\d_])[^‘]*?(?<=\S)’{_CLOSES}",
            r"「[^「」]*+」|『[^『』]*+』",
        ),
    )
)
_QUOTATION_MARK = re.compile('["“”„«»‘’「」『』]')


@dataclass(frozen=True, slots=True)
class Unit:
    """One heading or one sentence, in the words of the text."""

    text: str
    is_heading: bool = False


def units(article: str) -> list[Unit]:
    """Headings and sentences in reading order; at least one for non-blank text."""
    found: list[Unit] = []
    for each in paragraphs(article):
        if each.is_heading:
            found.append(each)
        else:
            found.extend(Unit(sentence) for sentence in sentences(each.text))
    if not found and article.strip():  # marks of formatting and nothing else
        return [Unit(" ".join(article.split()))]
    return found


def paragraphs(article: str) -> list[Unit]:
    """Headings, paragraphs and items of lists in reading order, each in one line."""
    found: list[Unit] = []
    paragraph: list[str] = []

    def close_paragraph() -> None:
        if paragraph:
            found.append(Unit(" ".join(paragraph)))
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
    return found


def _without_closing_marks(heading: str) -> str:
    """A heading without the # signs that close it; those of a word (C#) stay."""
    text = heading.strip(" \t")
    bare = text.rstrip("#")
    return bare.rstrip(" \t") if not bare or bare[-1] in " \t" else text


def sentences(paragraph: str) -> list[str]:
    """The sentences of one paragraph, in order."""
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
    return folded(plain(text))


def folded(plain_text: str) -> str:
    """As `comparable`, of text that is plain already: any part of it folds to a part."""
    text = plain_text.translate(str.maketrans("“”„«»‘’‚–—\u00a0", '"""""\'\'\'-- '))
    return " ".join(text.split()).casefold()


def contains(article: str, passage: str) -> bool:
    """Whether the passage stands in the article word for word."""
    wanted = comparable(passage).strip(" .")
    return bool(wanted) and wanted in comparable(article)


def word_count(article: str) -> int:
    """Words of the text; marks of formatting are none."""
    return len(_WORD.findall(plain(article)))


def words(text: str) -> list[str]:
    """Words in order, so written that case and marks no longer differ."""
    return _WORD.findall(comparable(text))


def quotations(text: str) -> list[str]:
    """What stands in quotation marks, without the marks, in order.

    Marks are straight, curly, German or corner ones and guillemets; of single ones,
    only curly ones that do not look like apostrophes. A quotation ends in its
    paragraph; one inside another is part of it; quotation marks in code are none.
    """
    return [each for found in quotations_by_paragraph(text) for each in found]


def quotations_by_paragraph(text: str) -> list[list[str]]:
    """As `quotations`, with a list for each of the `paragraphs`."""
    readable = _FENCED_CODE.sub(_without_marks, text)
    return [
        _quoted(plain(paragraph.text), plain(_CODE.sub(_without_marks, other.text)))
        for paragraph, other in zip(paragraphs(text), paragraphs(readable), strict=True)
    ]


def _without_marks(code: re.Match[str]) -> str:
    """Code in which each quotation mark is another character, in the same place."""
    return _QUOTATION_MARK.sub("'", code[0])


def _quoted(text: str, readable: str) -> list[str]:
    """The quotations of a text; they are looked for where its code has no marks."""
    if not _QUOTATION_MARK.search(readable):
        return []
    spans = [m.span() for pattern in _QUOTED for m in pattern.finditer(readable)]
    quoted: list[str] = []
    last = 0
    for start, stop in sorted(spans):
        inner = text[start + 1 : stop - 1].strip()
        if start >= last and any(map(str.isalnum, inner)):
            quoted.append(inner)
            last = stop
    return quoted


def figures(text: str) -> list[str]:
    """Numbers as they are written, in order, without repeats.

    List numbering at the start of a line is no figure.
    """
    return numbers("\n".join(_LIST_MARK.sub("", line) for line in text.splitlines()))


def numbers(paragraph: str) -> list[str]:
    """As `figures`, of a text that has no list marks any more."""
    return list(dict.fromkeys(_NUMBER.findall(paragraph)))


def figure_value(figure: str) -> str:
    """A figure's digits, so that 1,000 and 1000 are one, and 2.50 stays 2.50."""
    return re.sub(r"[,.](?=\d{3}(?!\d))", "", figure)
