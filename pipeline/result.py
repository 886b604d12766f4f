"""
What a run made, how that stands in its files, and which preset's drafts did best.

Nothing that time or the number of calls at once changes is in here: two runs with the
same answers have the same results to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any, Literal

from pipeline.compare import GateReport
from pipeline.grounding.paragraphs import Shares, contributions
from pipeline.grounding.provenance import provenance_record
from pipeline.job import Job
from pipeline.judging.panel import agreement, judge_lines
from pipeline.records import ArticleCandidate, ArticleScore, Judged, SynthesisBlueprint
from pipeline.synthesize import Fused
from pipeline.text.article import word_count

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
    gate: GateReport | None = None
    runner_up: str | None = None
    shares: Shares | None = None
    best_draft_votes: ArticleScore | None = None  # where drafts were only compared
    notes: list[str] = field(default_factory=list)

    @property
    def drafts(self) -> dict[int, str]:
        """The texts of the drafts, by id."""
        return {each.article_id: each.text for each in self.judged.candidates}

    def note_shares(self) -> None:
        """Count whose words the article has; a draft delivered as it is has no shares."""
        if self.delivered == "synthesis" and self.article is not None:
            self.shares = contributions(self.article, self.drafts)

    def writers(self) -> list[WriterLine]:
        """How each preset's drafts did, and how much of the article is theirs."""
        return writer_lines(self.judged.candidates, self.judged.scores, self.shares)

    @property
    def score_of_best_draft(self) -> ArticleScore | None:
        """How the best draft was judged; None when no judge could say."""
        scores = {score.article_id: score for score in self.judged.scores}
        return scores.get(self.best_draft or 0)

    @property
    def absolute_score_of_best_draft(self) -> float | None:
        """The mean of its votes, to be put beside those on the article."""
        if self.job.judging.mode == "pairwise":
            return self.best_draft_votes.overall if self.best_draft_votes else None
        score = self.score_of_best_draft
        return score.overall if score else None

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
            "gate": self.gate and self.gate.model_dump(mode="json"),
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
            "best_draft_score": self.absolute_score_of_best_draft,
            "gate": self.gate and self.gate.model_dump(mode="json"),
            "delivered": self.delivered,
        }

    def provenance(self) -> dict[str, Any]:
        """What `NAME_provenance.json` holds: where the synthesis has it from."""
        if self.fused is None:
            return {}
        kept = "FINAL" if self.delivered == "synthesis" else "RUNNER_UP"
        return {"of": f"NAME_{kept}.md", **provenance_record(self.fused.traces)}

    def findings(self) -> dict[str, Any]:
        """What `NAME_metrics.json` holds of it: how judges and writers did."""
        found = agreement(self.judged.scores)
        return {
            "writers": {line.preset: line.as_dict() for line in self.writers()},
            "own_words": self.shares and round(self.shares.own, 3),
            "judges": {
                line.judge: {
                    "mean": line.mean,
                    "votes": line.votes,
                    "own_family": list(line.own_family),
                }
                for line in judge_lines(self.judged.scores)
            },
            "judges_agree": {"alike": found.alike, "of": found.of},
        }


def _listed(candidate: ArticleCandidate) -> dict[str, Any]:
    return {
        **candidate.model_dump(exclude={"text"}),
        "word_count": word_count(candidate.text),
    }


_PLACES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterLine:
    """One preset: its drafts, their mean score and its share of the article's words.

    `mean` is None when none of its drafts has a score, `share` when no article was made
    of the drafts; shares are from 0 to 1.
    """

    preset: str
    drafts: int
    mean: float | None
    share: float | None

    def as_dict(self) -> dict[str, Any]:
        """What the metrics hold."""
        return asdict(self)


def writer_lines(
    candidates: Sequence[ArticleCandidate],
    scores: Sequence[ArticleScore],
    shares: Shares | None,
) -> list[WriterLine]:
    """One line a preset, the best mean first; those without any come last, by name."""
    overall = {score.article_id: score.overall for score in scores}
    by_preset: dict[str, list[int]] = {}
    for candidate in candidates:
        by_preset.setdefault(candidate.preset, []).append(candidate.article_id)
    taken = shares.by_preset(candidates) if shares else {}
    lines = [
        WriterLine(
            preset=preset,
            drafts=len(ids),
            mean=_mean([overall[one] for one in ids if one in overall]),
            share=round(taken[preset], _PLACES) if shares else None,
        )
        for preset, ids in by_preset.items()
    ]
    return sorted(lines, key=lambda line: (-(line.mean or 0.0), line.preset))


def _mean(marks: Sequence[float]) -> float | None:
    return round(fmean(marks), _PLACES) if marks else None
