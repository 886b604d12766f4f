"""
What a run made, and how that stands in its files.

Nothing that time or the number of calls at once changes is in here: two runs with the
same answers have the same results to the byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.article_text import word_count
from pipeline.fuse import Fused
from pipeline.job import Job
from pipeline.records import (
    ArticleCandidate,
    ArticleScore,
    Judged,
    SynthesisBlueprint,
)

Delivered = Literal["synthesis", "draft", "drafts"]


@dataclass(slots=True, kw_only=True)
class Result:
    """What a run made so far; `notes` say in a line each where it fell short."""

    job: Job
    judged: Judged = field(default_factory=lambda: Judged([], [], []))
    delivered: Delivered = "drafts"
    article: str | None = None
    best_draft: int | None = None
    blueprint: SynthesisBlueprint | None = None
    fused: Fused | None = None
    final_score: ArticleScore | None = None
    best_draft_score: float | None = None
    notes: list[str] = field(default_factory=list)

    def artifacts(self) -> dict[str, Any]:
        """What `NAME_pipeline_artifacts.json` holds: nothing that time changes."""
        return {
            "topic": self.job.brief.topic,
            "delivered": self.delivered,
            "notes": list(self.notes),
            "best_draft": self.best_draft,
            "candidates": [_listed(each) for each in self.judged.candidates],
            "cards": [card.model_dump(mode="json") for card in self.judged.cards],
            "scores": [score.model_dump(mode="json") for score in self.judged.scores],
            "blueprint": self.blueprint and self.blueprint.model_dump(mode="json"),
            "validation": self.fused and self.fused.validation.model_dump(mode="json"),
            "final_score": self.final_score
            and self.final_score.model_dump(mode="json"),
            "failed": [item.model_dump() for item in self.job.failed()],
        }

    def verdict(self) -> dict[str, Any]:
        """What `NAME_validation.json` holds."""
        if self.fused is None:
            return {}
        return {
            **self.fused.validation.model_dump(mode="json"),
            "score": self.final_score.overall if self.final_score else None,
            "best_draft": self.best_draft,
            "best_draft_score": self.best_draft_score,
        }


def _listed(candidate: ArticleCandidate) -> dict[str, Any]:
    return {
        **candidate.model_dump(exclude={"text"}),
        "word_count": word_count(candidate.text),
    }
