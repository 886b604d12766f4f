"""
What one run is to do: settings and presets turned into a brief, plans and judges.

It decides nothing about how many calls go at once, and makes none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.generate import candidate_plans, plans_from_texts
from pipeline.judging.panel import Judge, Panel
from pipeline.judging.schemes import Judging
from pipeline.models.presets import Preset
from pipeline.models.run_models import Choice
from pipeline.records import Brief, CandidatePlan, FailedItem
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one run is to do; `failed` lists what was given up so far."""

    brief: Brief
    plans: Sequence[CandidatePlan]
    judging: Judging = field(default_factory=Judging)
    wants_synthesis: bool = True
    candidates_only: bool = False
    has_gate: bool = True
    has_named_judges: bool = False
    synthesis_retries: int = 3
    failed: Callable[[], list[FailedItem]] = list

    @property
    def article_id(self) -> int:
        """The id of the article to come, as a card and as one of two compared."""
        return article_id_after(self.plans)


def article_id_after(plans: Sequence[CandidatePlan]) -> int:
    """One more than any draft's."""
    return max(plan.article_id for plan in plans) + 1


def job_from(
    settings: Settings, choice: Choice, failed: Callable[[], list[FailedItem]]
) -> Job:
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
        judging=judging_from(settings, panel_of(choice, plans)),
        wants_synthesis=settings.synthesis,
        candidates_only=settings.candidates_only,
        has_gate=settings.gate,
        has_named_judges=bool(settings.judge_presets),
        synthesis_retries=settings.synthesis_retries,
        failed=failed,
    )


def judging_from(settings: Settings, panel: Panel) -> Judging:
    """How the settings want drafts judged."""
    return Judging(
        is_wanted=settings.synthesis and not settings.candidates_only,
        mode=settings.scoring_mode,
        votes=settings.votes,
        panel=panel,
        seed=settings.seed,
    )


def panel_of(choice: Choice, plans: Sequence[CandidatePlan]) -> Panel:
    """The judges of a run, and which family writes each draft and the article.

    Of drafts that came as files nobody knows who wrote them.
    """
    judges = choice.judges or (choice.main,)
    presets = {preset.name: preset for preset in choice.all()}
    authors = {
        plan.article_id: presets[plan.preset or choice.main.name].kin
        for plan in plans
        if not plan.text
    }
    return Panel(
        judges=tuple(map(_judge, judges)),
        others=tuple(_judge(p) for p in choice.all() if p not in judges),
        authors={**authors, article_id_after(plans): choice.main.kin},
        families={preset.name: preset.kin for preset in presets.values()},
    )


def _judge(preset: Preset) -> Judge:
    return Judge(preset=preset.name, family=preset.kin)
