"""
All sources of an article as pages, and which of them holds what.

Where several do, the draft is preferred from which the blueprint takes a passage with
the words, then any draft that it names, then the lowest id, the brief, the background.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.article_text import plain, sentences
from pipeline.grounding.figures import value_of
from pipeline.grounding.likeness import content_words, likeness
from pipeline.grounding.pages import Page, pages, searched
from pipeline.grounding.passages import named_passages
from pipeline.grounding.sources import Sources
from pipeline.records import ArticleId, SourceName, SynthesisBlueprint

MOST_COMPARED = 300  # sentences that hold one figure or word; a bound on the work
_LEAST_SHARED = 2  # words of weight that a passage shares with an altered quotation
_LEAST_SHARE = 0.5  # of the quotation's


@dataclass(frozen=True, slots=True)
class Place:
    """Sentences of a source."""

    source: SourceName
    page: Page
    sentences: range

    @property
    def passage(self) -> str:
        """Their words."""
        return self.page.passage(self.sentences)


class Shelf:
    """The sources of one article; `named` is the blueprint that prefers some."""

    def __init__(self, sources: Sources, named: SynthesisBlueprint) -> None:
        self._books = [(name, pages(text)) for name, text in sources.texts()]
        self._named = _words_by_draft(named)

    def word_for_word(self, words: str, first: ArticleId | None = None) -> Place | None:
        """Where the words stand; in the draft `first`, if it holds them."""

        def rank(book: tuple[SourceName, list[Page]]) -> int:
            return -1 if book[0] == first else self._rank(book[0], words)

        # Sorting keeps the order of equals: drafts by id, brief, background.
        for source, book in sorted(self._books, key=rank):
            for page in book:
                if span := page.find(words):
                    return Place(source, page, page.sentences_at(span))
        return None

    def same_value(self, figure: str, passage: str) -> tuple[str, Place] | None:
        """The figure as a source writes it, and where: the passage most like this."""
        holding = self._by_value.get(value_of(figure))
        if not holding:
            return None
        best = self._most_like(passage, list(holding))
        return holding[best], self._places[best]

    def closest(self, quotation: str) -> Place | None:
        """The passage of which the quotation is likely to be an altered copy."""
        wanted = content_words(quotation)
        shared = Counter(
            number for word in wanted for number in self._by_word.get(word, ())
        )
        if not shared:
            return None
        most = max(shared.values())
        likely = sorted(number for number in shared if shared[number] == most)
        place = self._places[self._most_like(quotation, likely)]
        around = self._around(place, more=len(sentences(quotation)) - 1)
        common = len(wanted & content_words(around.passage))
        is_close = common >= max(_LEAST_SHARED, _LEAST_SHARE * len(wanted))
        return around if is_close else None

    def _most_like(self, text: str, numbers: Sequence[int]) -> int:
        wanted = content_words(text)
        alike = {number: likeness(wanted, self._words[number]) for number in numbers}
        # The first of equals, as they stand on the shelf.
        return max(numbers, key=lambda number: (alike[number], -self._ranks[number]))

    def _rank(self, source: SourceName, words: str) -> int:
        if source not in self._named:
            return 2
        return 0 if any(words in text for text in self._named[source]) else 1

    @staticmethod
    def _around(place: Place, *, more: int) -> Place:
        """The place with so many sentences before and after it."""
        start, stop = place.sentences.start - more, place.sentences.stop + more
        within = range(max(0, start), min(stop, len(place.page.sentences)))
        return Place(place.source, place.page, within)

    @cached_property
    def _places(self) -> list[Place]:
        return [
            Place(source, page, range(number, number + 1))
            for source, book in self._books
            for page in book
            for number in range(len(page.sentences))
        ]

    @cached_property
    def _words(self) -> list[frozenset[str]]:
        return [content_words(place.passage) for place in self._places]

    @cached_property
    def _ranks(self) -> list[int]:
        return [
            self._rank(place.source, searched(place.passage)) for place in self._places
        ]

    @cached_property
    def _by_word(self) -> Mapping[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for number, words in enumerate(self._words):
            for word in words:
                if len(found[word]) < MOST_COMPARED:
                    found[word].append(number)
        return found

    @cached_property
    def _by_value(self) -> Mapping[str, dict[int, str]]:
        """For each value, the places that hold it and how they write it."""
        found: defaultdict[str, dict[int, str]] = defaultdict(dict)
        for number, place in enumerate(self._places):
            for figure in place.page.figures.get(place.sentences.start, ()):
                holding = found[value_of(figure)]
                if len(holding) < MOST_COMPARED:
                    holding[number] = figure
        return found


def _words_by_draft(blueprint: SynthesisBlueprint) -> Mapping[SourceName, list[str]]:
    found: defaultdict[SourceName, list[str]] = defaultdict(list)
    for passage in (blueprint.headline, *named_passages(blueprint)):
        found[passage.article_id].append(searched(plain(passage.text)))
    return found
