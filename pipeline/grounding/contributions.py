"""
How much of the article came from each draft, by the words they share.

Pure. It sees words that were taken over, not thoughts: a point in new words counts as
the article's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from pipeline.article_text import words
from pipeline.records import ArticleCandidate, ArticleId

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
