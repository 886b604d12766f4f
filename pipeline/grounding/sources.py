"""
What an article may draw on: the drafts, the brief and the background files.

It holds their texts and says nothing about what stands in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.records import ArticleId, Brief, SourceName


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
