"""
The passages of the drafts that a blueprint draws on, for those who write and check.

Verbatim elements are found where they stand; of the others, the sentence that says
most nearly the same. It shows sentences and changes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.grounding.paragraphs import (
    Paragraph,
    content_words,
    likeness,
    read_paragraphs,
    searched,
)
from pipeline.prompts.templates import room_characters
from pipeline.records import ArticleId, Passage, SynthesisBlueprint
from pipeline.text.article import Unit, plain, sentences

ROOM_CHARACTERS = 30_000  # of passages, where the preset states no context
_SHARE_FOR_PASSAGES = 0.2  # of the context, beside blueprint, article and answer
_LEAST_LIKENESS = 0.25  # below it a sentence says something else
_Sentence = tuple[ArticleId, int]


def named_passages(blueprint: SynthesisBlueprint) -> list[Passage]:
    """What the body of the article is written from, in the order of the blueprint."""
    return [
        blueprint.opening_hook,
        blueprint.core_argument,
        *(
            passage
            for section in blueprint.sections
            for passage in (*section.points, *section.evidence)
        ),
        *blueprint.preserved_phrases,
    ]


def source_passages(
    blueprint: SynthesisBlueprint,
    drafts: Mapping[ArticleId, str],
    *,
    context: int | None = None,
) -> list[Passage]:
    """Each named passage with the sentence before and after it, in blueprint order.

    Windows that touch are one passage. As many are shown as have room in `context`
    tokens; a window without room is left out, and so is what stands in no draft.
    """
    room = room_characters(
        context, share=_SHARE_FOR_PASSAGES, otherwise=ROOM_CHARACTERS
    )
    named = dict.fromkeys(each.article_id for each in named_passages(blueprint))
    read = {own: _Draft(drafts[own]) for own in named if own in drafts}
    chosen: dict[_Sentence, int] = {}  # by the place of the passage that named it first
    for place, passage in enumerate(named_passages(blueprint)):
        if passage.article_id not in read:
            continue
        draft = read[passage.article_id]
        window = draft.window(passage.text)
        new = [n for n in window if (passage.article_id, n) not in chosen]
        cost = sum(len(draft.lines[number].text) + 1 for number in new)
        if cost <= room:
            room -= cost
            chosen.update({(passage.article_id, number): place for number in new})
    runs = sorted(_runs(chosen), key=lambda run: min(chosen[each] for each in run))
    return [_passage(run, read) for run in runs]


def _runs(chosen: Iterable[_Sentence]) -> Iterator[list[_Sentence]]:
    """Sentences of one draft that follow each other."""
    run: list[_Sentence] = []
    for own, number in sorted(chosen):
        if run and run[-1] != (own, number - 1):
            yield run
            run = []
        run.append((own, number))
    if run:
        yield run


def _passage(run: Sequence[_Sentence], read: Mapping[ArticleId, _Draft]) -> Passage:
    own = run[0][0]
    text = " ".join(read[own].lines[number].text for _, number in run)
    return Passage(article_id=own, text=text)


class _Draft:
    """One draft, sentence by sentence."""

    def __init__(self, text: str) -> None:
        self._paragraphs: list[
            tuple[int, Paragraph]
        ] = []  # with the number of its first line
        self.lines: list[Unit] = []
        for paragraph in read_paragraphs(text):
            self._paragraphs.append((len(self.lines), paragraph))
            self.lines += (
                Unit(each, paragraph.is_heading) for each in paragraph.sentences
            )
        self._words = [content_words(line.text) for line in self.lines]

    def window(self, passage: str) -> list[int]:
        """The lines that hold the passage, and one before and after that is no heading."""
        held = sorted(self._held(passage))
        around = {near for line in held for near in (line - 1, line + 1)}
        beside = [
            line
            for line in around.difference(held)
            if 0 <= line < len(self.lines) and not self.lines[line].is_heading
        ]
        return sorted([*held, *beside])

    def _held(self, passage: str) -> set[int]:
        words = searched(plain(passage))
        if whole := self._verbatim(words):
            return whole
        parts = [self._verbatim(searched(each)) for each in sentences(plain(passage))]
        return set().union(*parts) or self._closest(passage)

    def _verbatim(self, words: str) -> set[int]:
        for first, paragraph in self._paragraphs:
            if span := paragraph.find(words):
                return {first + number for number in paragraph.sentences_at(span)}
        return set()

    def _closest(self, passage: str) -> set[int]:
        wanted = content_words(passage)
        alike, place = max(
            (
                (likeness(wanted, self._words[number]), -number)
                for number, line in enumerate(self.lines)
                if not line.is_heading
            ),
            default=(0.0, 0),
        )
        return {-place} if alike >= _LEAST_LIKENESS else set()
