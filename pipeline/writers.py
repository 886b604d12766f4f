"""
Which preset writes best: its drafts' scores, and how much of the article is theirs.

It compares what was measured; whether a difference means anything, the intervals of
the drafts say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from pipeline.grounding.contributions import Shares
from pipeline.records import ArticleCandidate, ArticleScore

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
