"""
The seven weighted criteria, with an anchor at the low and the high end of each.

Judges see the anchors; the weights are applied here and never shown to a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOWEST, HIGHEST = 1, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One question that a judge answers from 1 (`low`) to 10 (`high`)."""

    name: str
    weight: float
    question: str
    low: str
    high: str


CRITERIA: tuple[Criterion, ...] = (
    Criterion(
        name="hook_strength",
        weight=0.15,
        question="Would the intended reader go on after the headline and the opening?",
        low="opens with a definition, a truism or throat-clearing; any article on the"
        " subject could start so",
        high="a concrete scene, tension or claim that this reader recognises at once"
        " and cannot leave unresolved",
    ),
    Criterion(
        name="argument_clarity",
        weight=0.20,
        question="Is there one claim, and can it be followed from start to end?",
        low="several topics side by side; no sentence could be disagreed with",
        high="one arguable claim, stated early, each point a step that carries it",
    ),
    Criterion(
        name="evidence_quality",
        weight=0.15,
        question="Are the claims backed by something that could be checked?",
        low="assertion, 'studies show', or figures without origin",
        high="specific cases, named sources or reasoning that would survive a sceptic",
    ),
    Criterion(
        name="structural_coherence",
        weight=0.15,
        question="Does every part stand where it must, and follow from the last?",
        low="sections could be shuffled unnoticed; repeats itself; stops, not ends",
        high="each section answers the question that the last one raised; the end"
        " closes what the opening opened",
    ),
    Criterion(
        name="originality",
        weight=0.15,
        question="Does it say what a well-read person has not already read?",
        low="the average of everything published on the subject",
        high="a view, a distinction or an example that changes how the subject is seen",
    ),
    Criterion(
        name="memorability",
        weight=0.10,
        question="What will the reader still be able to repeat next week?",
        low="nothing; no image, phrase or example stands out",
        high="a line or an image that the reader will quote, and that holds the claim",
    ),
    Criterion(
        name="actionability",
        weight=0.10,
        question="Does the reader know what to do next, and how?",
        low="ends in 'it is important to'; no step that could be taken",
        high="a first step that can be taken today, with how to know that it worked",
    ),
)


def rubric(criteria: Sequence[Criterion]) -> str:
    """The criteria as judges read them, one paragraph each, in the given order."""
    return "\n\n".join(
        f"{c.name}: {c.question}\n  {LOWEST} = {c.low}.\n  {HIGHEST} = {c.high}."
        for c in criteria
    )


def weighted_mean(means: Mapping[str, float], criteria: Sequence[Criterion]) -> float:
    """The criteria's means weighted and rounded to three places."""
    return round(weighted(means, criteria), 3)


def weighted(values: Mapping[str, float], criteria: Sequence[Criterion]) -> float:
    """The criteria's values weighted, to the last digit."""
    total = sum(c.weight for c in criteria)
    return sum(values[c.name] * c.weight for c in criteria) / total
