"""
What one run is to do: settings turned into a brief and plans.

It decides nothing about how many calls go at once, and makes none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.candidates import candidate_plans, plans_from_texts
from pipeline.records import Brief, CandidatePlan, FailedItem
from pipeline.sequential import Judging
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one run is to do; `failed` lists what was given up so far."""

    brief: Brief
    plans: Sequence[CandidatePlan]
    wants_synthesis: bool = True
    candidates_only: bool = False
    synthesis_retries: int = 3
    scoring_mode: str = "absolute"
    failed: Callable[[], list[FailedItem]] = list


def job_from(settings: Settings, failed: Callable[[], list[FailedItem]]) -> Job:
    """The job that the settings describe."""
    brief = Brief(
        topic=settings.topic,
        context=settings.context,
        words=settings.target_word_count,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
    )
    if settings.candidates:
        plans = plans_from_texts(brief, settings.candidates)
    else:
        plans = candidate_plans(
            brief, iterations=settings.iterations, presets=settings.candidate_presets
        )
    return Job(
        brief=brief,
        plans=plans,
        wants_synthesis=settings.synthesis,
        candidates_only=settings.candidates_only,
        synthesis_retries=settings.synthesis_retries,
        scoring_mode=settings.scoring_mode,
        failed=failed,
    )


def judging_from(settings: Settings) -> Judging:
    """How the settings want drafts judged."""
    return Judging(
        is_wanted=settings.synthesis and not settings.candidates_only,
        mode=settings.scoring_mode,
        votes=settings.votes,
        retry_count=settings.retry_count,
    )
