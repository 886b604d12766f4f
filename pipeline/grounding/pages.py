"""
A text in a form in which words can be looked for: paragraph by paragraph.

A page gives back the sentences around what was found. It compares nothing but words;
marks of formatting, case and kinds of quotation marks do not count.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.article_text import (
    Unit,
    folded,
    numbers,
    paragraphs,
    plain,
    quotations_by_paragraph,
    sentences,
)
from pipeline.grounding.figures import figures_in

# A letter of a script that puts spaces between words: only there a word has an end.
_LETTERS = re.compile(r"[^\W_\u2e80-\U0010ffff]*+")
_EDGES = " .,;:…"


@dataclass(frozen=True, slots=True)
class Page:
    """One heading or paragraph: its sentences, and its words as they are compared.

    `starts` is where each sentence begins in `text`; `figures` are those of each
    sentence that has any, by its number, in digits and spelled out.
    """

    sentences: tuple[str, ...]
    is_heading: bool
    text: str
    starts: tuple[int, ...]
    figures: Mapping[int, Sequence[str]]
    quotations: tuple[str, ...]

    def find(self, words: str) -> tuple[int, int] | None:
        """Where the words first stand in `text`, none of them a part of another word.

        `words` are as `searched` gives them.
        """
        text = self.text
        start = text.find(words) if words else -1
        while start >= 0:
            stop = start + len(words)
            if not (_is_inside_a_word(text, start) or _is_inside_a_word(text, stop)):
                return start, stop
            # Past this word: no other begins inside it.
            start = text.find(words, max(start + 1, _end_of_word(text, start)))
        return None

    def sentence_at(self, place: int) -> int:
        """The number of the sentence that stands there, from 0."""
        return max(0, bisect_right(self.starts, place) - 1)

    def sentences_at(self, span: tuple[int, int]) -> range:
        """The numbers of the sentences of which the span has a part."""
        start, stop = span
        return range(self.sentence_at(start), self.sentence_at(stop - 1) + 1)

    def passage(self, numbers: range) -> str:
        """So many sentences as one text."""
        return " ".join(self.sentences[number] for number in numbers)


def _is_inside_a_word(text: str, place: int) -> bool:
    """Whether the letters before and after the place are of one word."""
    return place > 0 and _end_of_word(text, place - 1) > place


def _end_of_word(text: str, place: int) -> int:
    """Where the letters end that begin there; `place` itself when there are none."""
    letters = _LETTERS.match(text, place)
    return letters.end() if letters else place


def searched(plain_text: str) -> str:
    """Text as pages look for it: a comma or a full stop at its end does not matter."""
    return folded(plain_text).strip(_EDGES)


def pages(text: str) -> list[Page]:
    """Every heading, paragraph and item of a list, in reading order."""
    return [
        _page(paragraph, tuple(quoted))
        for paragraph, quoted in zip(
            paragraphs(text), quotations_by_paragraph(text), strict=True
        )
    ]


def _page(paragraph: Unit, quotations: tuple[str, ...]) -> Page:
    text = plain(paragraph.text)
    found = [text] if paragraph.is_heading else sentences(text)
    whole = folded(text)
    starts: list[int] = []
    end = 0
    for sentence in found:
        # Sentences follow each other with a space, or without one in some scripts.
        starts.append(end + (whole[end : end + 1] == " "))
        end = starts[-1] + len(folded(sentence))
    return Page(
        sentences=tuple(found) or (text,),
        is_heading=paragraph.is_heading,
        text=whole,
        starts=tuple(starts) or (0,),
        figures=_figures(paragraph.text, found),
        quotations=quotations,
    )


def _figures(paragraph: str, found: Sequence[str]) -> dict[int, Sequence[str]]:
    """Figures by sentence; those of a link, which no sentence shows, with the first."""
    held = {place: figures_in(sentence) for place, sentence in enumerate(found)}
    shown = {number for sentence in found for number in numbers(sentence)}
    hidden = [number for number in numbers(paragraph) if number not in shown]
    held[0] = [*held.get(0, ()), *hidden]
    return {place: each for place, each in held.items() if each}
