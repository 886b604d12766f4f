"""
A text in a form in which words can be looked for: paragraph by paragraph.

It gives back the sentences around what was found, and says how much two texts are about
the same by the words of weight that they share. Marks of formatting, case and kinds of
quotation marks do not count; it knows no grammar and no synonyms. By shared words it
also says how much of an article came from each draft: a point in new words is its own.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from pipeline.grounding.figures import figures_in
from pipeline.records import ArticleCandidate, ArticleId
from pipeline.text.article import (
    Unit,
    folded,
    numbers,
    paragraphs,
    plain,
    quotations_by_paragraph,
    sentences,
    words,
)

# A letter of a script that puts spaces between words: only there a word has an end.
_LETTERS = re.compile(r"[^\W_\u2e80-\U0010ffff]*+")
_EDGES = " .,;:…"


@dataclass(frozen=True, slots=True)
class Paragraph:
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
    """Text as paragraphs are searched for it: a comma or a full stop at its end does not matter."""
    return folded(plain_text).strip(_EDGES)


def read_paragraphs(text: str) -> list[Paragraph]:
    """Every heading, paragraph and item of a list, in reading order."""
    return [
        _paragraph(unit, tuple(quoted))
        for unit, quoted in zip(
            paragraphs(text), quotations_by_paragraph(text), strict=True
        )
    ]


def _paragraph(unit: Unit, quotations: tuple[str, ...]) -> Paragraph:
    text = plain(unit.text)
    found = [text] if unit.is_heading else sentences(text)
    whole = folded(text)
    starts: list[int] = []
    end = 0
    for sentence in found:
        # Sentences follow each other with a space, or without one in some scripts.
        starts.append(end + (whole[end : end + 1] == " "))
        end = starts[-1] + len(folded(sentence))
    return Paragraph(
        sentences=tuple(found) or (text,),
        is_heading=unit.is_heading,
        text=whole,
        starts=tuple(starts) or (0,),
        figures=_figures(unit.text, found),
        quotations=quotations,
    )


def _figures(paragraph: str, found: Sequence[str]) -> dict[int, Sequence[str]]:
    """Figures by sentence; those of a link, which no sentence shows, with the first."""
    held = {place: figures_in(sentence) for place, sentence in enumerate(found)}
    shown = {number for sentence in found for number in numbers(sentence)}
    hidden = [number for number in numbers(paragraph) if number not in shown]
    held[0] = [*held.get(0, ()), *hidden]
    return {place: each for place, each in held.items() if each}


_SHORTEST = 4  # letters; shorter words join others in every sentence
_STEM = 6  # letters that "decided" and "decision" nearly share


def content_words(text: str) -> frozenset[str]:
    """The beginnings of the words of weight, and every number."""
    return frozenset(
        word[:_STEM]
        for word in words(text)
        if len(word) >= _SHORTEST or word[0].isdigit()
    )


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """From 0 for no word in common to 1 for the same words."""
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0


RUN_WORDS = 4
"""The shortest run of words that counts as taken from a draft."""

_Run = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Shares of the article's words, from 0 to 1; all of them together are 1.

    `by_draft` has every draft, in the order of the ids; `own` is of no draft.
    """

    by_draft: Mapping[ArticleId, float]
    own: float

    def by_preset(self, candidates: Sequence[ArticleCandidate]) -> dict[str, float]:
        """The shares of the drafts, added up by the preset that wrote them."""
        shares: dict[str, list[float]] = {}
        for candidate in candidates:
            share = self.by_draft.get(candidate.article_id, 0.0)
            shares.setdefault(candidate.preset, []).append(share)
        return {preset: fsum(each) for preset, each in shares.items()}


def contributions(article: str, drafts: Mapping[ArticleId, str]) -> Shares:
    """Whose words the article has.

    A word is a draft's when it stands in a run of at least `RUN_WORDS` words that the
    draft has too; drafts that have it share it equally. Case and marks do not count.
    An article without words is its own.
    """
    said = words(article)
    places: dict[_Run, list[int]] = {}
    for place, run in enumerate(_runs(said)):
        places.setdefault(run, []).append(place)
    taken = {own: _taken(drafts[own], places, len(said)) for own in sorted(drafts)}
    holders = [0] * len(said)
    for marks in taken.values():
        for place, is_taken in enumerate(marks):
            holders[place] += is_taken
    return Shares(
        by_draft={
            own: fsum(
                1 / count
                for is_taken, count in zip(marks, holders, strict=True)
                if is_taken
            )
            / (len(said) or 1)
            for own, marks in taken.items()
        },
        own=holders.count(0) / len(said) if said else 1.0,
    )


def _runs(said: Sequence[str]) -> Iterator[_Run]:
    return zip(*(said[start:] for start in range(RUN_WORDS)), strict=False)


def _taken(draft: str, places: Mapping[_Run, Sequence[int]], count: int) -> bytearray:
    """A 1 for each word of the article that stands in a run of the draft."""
    marks = bytearray(count)
    # Only the article's runs are kept in memory, whatever the draft's length.
    for run in {run for run in _runs(words(draft)) if run in places}:
        for place in places[run]:
            marks[place : place + RUN_WORDS] = b"\1" * RUN_WORDS
    return marks
