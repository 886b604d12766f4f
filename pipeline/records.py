"""
What the stages hand to each other, frozen.

Nothing here calls a model or touches a file. `article_id` joins everything: it is the
program's own, an integer from 1, and no reply of a model ever sets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

ArticleId = int
SourceName = ArticleId | Literal["brief", "background"]


class Record(BaseModel):
    """A value that never changes once it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ArticleCandidate(Record):
    """One draft, in Markdown, and who wrote it."""

    article_id: ArticleId = Field(ge=1)
    preset: str
    model: str
    text: str
    cut_off: bool = False


class Evidence(Record):
    """One sentence of a draft that backs a claim, with the figures in it."""

    sentence: str
    kind: str
    figures: tuple[str, ...] = ()


class ArticleCard(Record):
    """What is worth knowing of one draft.

    `headline_candidates`, `opening_hook`, `memorable_phrases` and the sentences of
    `evidence` are the draft's own words; the rest is the extractor's.
    """

    article_id: ArticleId = Field(ge=1)
    headline_candidates: tuple[str, ...]
    opening_hook: str
    core_argument: str
    key_points: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    structure: str
    sections: tuple[str, ...]
    tone: str
    audience: str
    memorable_phrases: tuple[str, ...]
    weaknesses: tuple[str, ...]
    word_count: int


class CriterionScore(Record):
    """The votes on one criterion: their mean and population standard deviation."""

    mean: float
    spread: float
    votes: int
    justifications: tuple[str, ...] = ()


class JudgeMark(Record):
    """What one judge gave one card, as it was given: the mean of so many votes."""

    mean: float
    votes: int
    is_own_family: bool = False  # nobody else was there to judge it


class HeadToHead(Record):
    """How a card did in comparisons: 1 + 9 times the share of points it would win.

    The share is that against the other cards compared, by their Bradley-Terry
    strengths; the interval is a 90 % one. `own_family` names judges who compared the
    card although their family wrote it: nobody else was there.
    """

    overall: float
    interval: tuple[float, float]
    votes: int
    abstained: int = 0
    own_family: tuple[str, ...] = ()


class ArticleScore(Record):
    """One vote (`votes` 1) or all counted votes of one card.

    `overall` is the weighted mean of the criteria's means, from 1 to 10, `spread` the
    population standard deviation of the votes' own overall scores, and `interval`
    where it would lie with endless votes of the same judges, with 90 % confidence; None
    when too few votes say how they scatter. `abstained` votes failed and count nowhere.
    Cards that cannot be told apart share a `rank`.

    In pairwise mode a vote is one comparison, a criterion's mean is 1 + 9 times the
    share of points won (a win 1, a tie one half), and `overall` and `interval` are those
    of `compared`. In a funnel `compared` is there for the cards that were compared, and
    goes before `overall`.
    """

    article_id: ArticleId = Field(ge=1)
    criteria: dict[str, CriterionScore]
    overall: float
    votes: int
    abstained: int = 0
    spread: float = 0.0
    interval: tuple[float, float] | None = None
    rank: int | None = None
    by_judge: dict[str, JudgeMark] = Field(default_factory=dict)
    compared: HeadToHead | None = None

    @property
    def own_family(self) -> set[str]:
        """The judges whose own family wrote it."""
        voted = {name for name, mark in self.by_judge.items() if mark.is_own_family}
        return voted.union(self.compared.own_family if self.compared else ())

    @property
    def merit(self) -> tuple[float, float]:
        """What the order of cards follows, the best highest."""
        return (self.compared.overall if self.compared else 0.0, self.overall)


class Passage(Record):
    """Words of a draft, and which draft."""

    article_id: ArticleId
    text: str


class BlueprintSection(Record):
    """One section of the article to come: what it says and what backs it."""

    heading: str
    points: tuple[Passage, ...]
    evidence: tuple[Passage, ...] = ()


class SynthesisBlueprint(Record):
    """The chosen elements of all drafts, each with its source."""

    headline: Passage
    opening_hook: Passage
    core_argument: Passage
    structure: Passage
    tone: str
    audience: str
    sections: tuple[BlueprintSection, ...]
    preserved_phrases: tuple[Passage, ...]
    avoid: tuple[str, ...]
    rationale: str
    considered: tuple[ArticleId, ...]


class Finding(Record):
    """One thing that is wrong with the article, found by code or by the model."""

    check: str
    source: Literal["code", "model"]
    severity: Literal["major", "minor"]
    detail: str


class ValidationResult(Record):
    """The verdict on one attempt at the article; it passes without a major finding."""

    attempt: int
    passed: bool
    findings: tuple[Finding, ...]
    word_count: int
    target_word_count: int


class FailedItem(Record):
    """Work that was given up, and why: no times, no counts."""

    item: str
    reason: str


class Trace(Record):
    """Where one thing of the article comes from.

    `passage` is the sentence of the article that it stands in, `source` the draft or
    what else holds it, `source_passage` the sentence there. A quotation is `altered`
    when a sentence of the source is close to it and no more; a phrase of the blueprint
    that the article does not hold is `missing`, and its passage is empty.
    """

    kind: Literal["figure", "quotation", "phrase", "headline"]
    text: str
    passage: str
    source: SourceName | None = None
    source_passage: str | None = None
    found: Literal["word for word", "same value", "altered", "missing", "nowhere"]

    @property
    def is_grounded(self) -> bool:
        """Whether a source holds it as it is."""
        return self.found in {"word for word", "same value"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What is to be written: `context` holds the texts of the background files.

    None leaves length and sampling to the preset that writes.
    """

    topic: str
    context: tuple[str, ...] = ()
    words: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatePlan:
    """One draft to come: who writes it, from which brief and angle.

    A plan with `text` is a draft that exists already; it costs no call.
    """

    article_id: ArticleId
    brief: Brief
    preset: str | None = None
    angle: str = ""
    text: str | None = None


class Judged(NamedTuple):
    """What drafting and judging leave: lists in id order, joined by `article_id`."""

    candidates: list[ArticleCandidate]
    cards: list[ArticleCard]
    scores: list[ArticleScore]
