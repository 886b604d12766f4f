"""
What an article may draw on (drafts, brief, background), and which of them holds what.

Where several do, the draft is preferred from which the blueprint takes a passage with
the words, then any draft that it names, then the lowest id, the brief, the background.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pipeline.grounding.figures import value_of
from pipeline.grounding.paragraphs import (
    Paragraph,
    content_words,
    likeness,
    read_paragraphs,
    searched,
)
from pipeline.grounding.passages import named_passages
from pipeline.records import ArticleId, Brief, SourceName, SynthesisBlueprint
from pipeline.text.article import plain, sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What an article may draw on: the brief, and every draft by its id."""

    brief: Brief
    drafts: Mapping[ArticleId, str]

    def texts(self) -> Iterator[tuple[SourceName, str]]:
        """Every text: the drafts in the order of their ids, brief, background."""
        yield from sorted(self.drafts.items())
        yield "brief", self.brief.topic
        for text in self.brief.context:
            yield "background", text


MOST_COMPARED = 300  # sentences that hold one figure or word; a bound on the work
_LEAST_SHARED = 2  # words of weight that a passage shares with an altered quotation
_LEAST_SHARE = 0.5  # of the quotation's


@dataclass(frozen=True, slots=True)
class Citation:
    """Sentences of a source."""

    source: SourceName
    paragraph: Paragraph
    sentences: range

    @property
    def passage(self) -> str:
        """Their words."""
        return self.paragraph.passage(self.sentences)


class SourceIndex:
    """The sources of one article; `named` is the blueprint that prefers some."""

    def __init__(self, sources: Sources, named: SynthesisBlueprint) -> None:
        self._texts = [(name, read_paragraphs(text)) for name, text in sources.texts()]
        self._named = _words_by_draft(named)

    def word_for_word(
        self, words: str, first: ArticleId | None = None
    ) -> Citation | None:
        """Where the words stand; in the draft `first`, if it holds them."""

        def rank(one: tuple[SourceName, list[Paragraph]]) -> int:
            return -1 if one[0] == first else self._rank(one[0], words)

        # Sorting keeps the order of equals: drafts by id, brief, background.
        for source, paragraphs in sorted(self._texts, key=rank):
            for paragraph in paragraphs:
                if span := paragraph.find(words):
                    return Citation(source, paragraph, paragraph.sentences_at(span))
        return None

    def same_value(self, figure: str, passage: str) -> tuple[str, Citation] | None:
        """The figure as a source writes it, and where: the passage most like this."""
        holding = self._by_value.get(value_of(figure))
        if not holding:
            return None
        best = self._most_like(passage, list(holding))
        return holding[best], self._citations[best]

    def closest(self, quotation: str) -> Citation | None:
        """The passage of which the quotation is likely to be an altered copy."""
        wanted = content_words(quotation)
        shared = Counter(
            number for word in wanted for number in self._by_word.get(word, ())
        )
        if not shared:
            return None
        most = max(shared.values())
        likely = sorted(number for number in shared if shared[number] == most)
        citation = self._citations[self._most_like(quotation, likely)]
        around = self._around(citation, more=len(sentences(quotation)) - 1)
        common = len(wanted & content_words(around.passage))
        is_close = common >= max(_LEAST_SHARED, _LEAST_SHARE * len(wanted))
        return around if is_close else None

    def _most_like(self, text: str, numbers: Sequence[int]) -> int:
        wanted = _sought_words(text)
        alike = {number: likeness(wanted, self._words[number]) for number in numbers}
        # The first of equals, in the order of the sources.
        return max(numbers, key=lambda number: (alike[number], -self._ranks[number]))

    def _rank(self, source: SourceName, words: str) -> int:
        if source not in self._named:
            return 2
        return 0 if any(words in text for text in self._named[source]) else 1

    @staticmethod
    def _around(citation: Citation, *, more: int) -> Citation:
        """The same with so many sentences before and after it."""
        start, stop = citation.sentences.start - more, citation.sentences.stop + more
        within = range(max(0, start), min(stop, len(citation.paragraph.sentences)))
        return Citation(citation.source, citation.paragraph, within)

    @cached_property
    def _citations(self) -> list[Citation]:
        return [
            Citation(source, paragraph, range(number, number + 1))
            for source, paragraphs in self._texts
            for paragraph in paragraphs
            for number in range(len(paragraph.sentences))
        ]

    @cached_property
    def _words(self) -> list[frozenset[str]]:
        return [content_words(citation.passage) for citation in self._citations]

    @cached_property
    def _ranks(self) -> list[int]:
        return [
            self._rank(citation.source, searched(citation.passage))
            for citation in self._citations
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
        """For each value, the sentences that hold it and how they write it."""
        found: defaultdict[str, dict[int, str]] = defaultdict(dict)
        for number, citation in enumerate(self._citations):
            for figure in citation.paragraph.figures.get(citation.sentences.start, ()):
                holding = found[value_of(figure)]
                if len(holding) < MOST_COMPARED:
                    holding[number] = figure
        return found


@lru_cache(maxsize=1)
def _sought_words(sentence: str) -> frozenset[str]:
    """Its content words, read once for all figures that it holds."""
    return content_words(sentence)


def _words_by_draft(blueprint: SynthesisBlueprint) -> Mapping[SourceName, list[str]]:
    found: defaultdict[SourceName, list[str]] = defaultdict(list)
    for passage in (blueprint.headline, *named_passages(blueprint)):
        found[passage.article_id].append(searched(plain(passage.text)))
    return found
