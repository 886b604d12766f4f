"""
VALIDATE: whether an attempt keeps the blueprint and can be published.

What code can check, code checks: headline, length, and whether phrases, figures and
quotations have a source. The rest is asked of the model, whose findings never overrule
the code's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from pipeline.errors import LLMError, UnreadableReply, ends_the_run
from pipeline.grounding.passages import source_passages
from pipeline.grounding.provenance import trace_article, trace_findings
from pipeline.grounding.sources import Sources
from pipeline.llm.call import CallOptions, Reply
from pipeline.llm.client import ChatClient
from pipeline.prompts.documents import (
    article_block,
    blueprint_block,
    brief_block,
    sources_block,
)
from pipeline.prompts.templates import fill
from pipeline.records import (
    Brief,
    Finding,
    Passage,
    SynthesisBlueprint,
    ValidationResult,
)
from pipeline.short.forms import YES_OR_NO, form, shape
from pipeline.text.article import comparable, title, word_count

STAGE = "validate"
TEMPERATURE = 0.0
WORDS_TOLERANCE = 0.2


class FindingReply(Reply):
    """One thing that is wrong, in the model's words."""

    severity: Literal["major", "minor"]
    problem: str = Field(min_length=1)


class ValidationResultReply(Reply):
    """The model's verdict on an attempt."""

    follows_brief: bool
    keeps_one_argument: bool
    is_supported: bool
    reads_as_one: bool
    findings: tuple[FindingReply, ...] = Field(max_length=8)


class ShortValidationResultReply(Reply):
    """What a small model is asked."""

    on_topic: bool
    reads_well: bool


_SHORT_SCHEMA = form({"on_topic": YES_OR_NO, "reads_well": YES_OR_NO})
_SHORT_MAX_TOKENS = 30


def word_range(words: int) -> tuple[int, int]:
    """The fewest and the most words that count as the length asked for."""
    return round(words * (1 - WORDS_TOLERANCE)), round(words * (1 + WORDS_TOLERANCE))


def validate_article(
    article: str,
    blueprint: SynthesisBlueprint,
    sources: Sources,
    *,
    attempt: int = 1,
    passages: Sequence[Passage] | None = None,
    client: ChatClient,
) -> ValidationResult:
    """The verdict on one attempt; it passes without a major finding.

    `passages` are those that the writer was shown; None looks them up.
    A model that cannot give its verdict is a minor finding, not a failed article.
    """
    preset = client.preset()
    target = sources.brief.words or preset.words
    if passages is None:
        passages = source_passages(blueprint, sources.drafts, context=preset.context)
    found = [
        *code_findings(article, blueprint, sources, words=target),
        *_model_findings(
            article,
            blueprint,
            passages,
            brief=sources.brief,
            attempt=attempt,
            client=client,
        ),
    ]
    return ValidationResult(
        attempt=attempt,
        passed=not any(finding.severity == "major" for finding in found),
        findings=tuple(found),
        word_count=word_count(article),
        target_word_count=target,
    )


def code_findings(
    article: str, blueprint: SynthesisBlueprint, sources: Sources, *, words: int
) -> list[Finding]:
    """What can be counted and compared; the same article gives the same findings."""
    return [
        *_headline_findings(article, blueprint),
        *_length_findings(article, words),
        *trace_findings(trace_article(article, blueprint, sources)),
    ]


def _headline_findings(
    article: str, blueprint: SynthesisBlueprint
) -> Iterable[Finding]:
    wanted = blueprint.headline.text
    if comparable(title(article)).strip(" .") != comparable(wanted).strip(" ."):
        yield _major("headline", f"The headline is not: {wanted}")


def _length_findings(article: str, words: int) -> Iterable[Finding]:
    least, most = word_range(words)
    count = word_count(article)
    if not least <= count <= most:
        detail = f"The article has {count} words; it must have {least} to {most}."
        yield _major("length", detail)


def _model_findings(
    article: str,
    blueprint: SynthesisBlueprint,
    passages: Sequence[Passage],
    *,
    brief: Brief,
    attempt: int,
    client: ChatClient,
) -> list[Finding]:
    short = client.preset().is_short
    values = {
        "brief": brief_block(brief),
        "blueprint": blueprint_block(blueprint),
        "sources": sources_block(passages),
        "article": article_block(article),
        "shape": shape(_SHORT_SCHEMA),
    }
    options = CallOptions(
        attempt=attempt,
        temperature=TEMPERATURE,
        schema=_SHORT_SCHEMA if short else None,
        max_tokens=_SHORT_MAX_TOKENS if short else None,
    )
    reply_form: type[ValidationResultReply] | type[ShortValidationResultReply] = (
        ShortValidationResultReply if short else ValidationResultReply
    )
    try:
        reply = client.complete_as(
            reply_form,
            fill("validate", values, short=short),
            stage=STAGE,
            item_id=STAGE,
            options=options,
        )
    except (LLMError, UnreadableReply) as error:
        if ends_the_run(error):
            raise
        detail = f"The model gave no verdict ({error}); only code checked this article."
        return [_finding("model", "minor", detail, source="model")]
    return _found_by(reply)


def _found_by(
    reply: ValidationResultReply | ShortValidationResultReply,
) -> list[Finding]:
    if isinstance(reply, ShortValidationResultReply):
        # A small model's word stops no article; it is passed on for what it is.
        return [
            _finding(
                "model", "minor", f"The small model denies {name}.", source="model"
            )
            for name, holds in reply.model_dump().items()
            if not holds
        ]
    return [
        _finding("model", each.severity, each.problem, source="model")
        for each in reply.findings
    ] + _unexplained(reply)


def _unexplained(reply: ValidationResultReply) -> list[Finding]:
    """A check that is false without a major finding counts as one."""
    if any(each.severity == "major" for each in reply.findings):
        return []
    checks = reply.model_dump(exclude={"findings"})
    return [
        _finding("model", "major", f"A reader's check failed: {name}.", source="model")
        for name, holds in checks.items()
        if not holds
    ]


def _major(check: str, detail: str) -> Finding:
    return _finding(check, "major", detail, source="code")


def _finding(
    check: str,
    severity: Literal["major", "minor"],
    detail: str,
    *,
    source: Literal["code", "model"],
) -> Finding:
    return Finding(check=check, source=source, severity=severity, detail=detail)
