"""
From blueprint to the best attempt: SYNTHESIZE and VALIDATE in turn.

An attempt that does not pass is followed by another with its findings; the best is
kept, not the last. Calls are repeated elsewhere; here only attempts are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import PipelineError, ends_the_run
from pipeline.grounding.passages import source_passages
from pipeline.grounding.provenance import trace_article
from pipeline.grounding.sources import Sources
from pipeline.items import NOBODY, Watch
from pipeline.llm.client import ChatClient
from pipeline.llm.defaults import client_or_default
from pipeline.llm.presets import Preset
from pipeline.records import Passage, SynthesisBlueprint, Trace, ValidationResult
from pipeline.synthesize import STAGE as SYNTHESIZE
from pipeline.synthesize import Attempt, synthesize_article
from pipeline.validate import STAGE as VALIDATE
from pipeline.validate import validate_article


@dataclass(frozen=True, slots=True)
class Fused:
    """An attempt, its verdict, and where it has from what it says."""

    article: str
    validation: ValidationResult
    traces: tuple[Trace, ...] = ()


def fuse(
    blueprint: SynthesisBlueprint,
    sources: Sources,
    *,
    retries: int,
    on_article: Callable[[str], object],
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> Fused:
    """The best of at most 1 + `retries` attempts, the earlier of equals.

    `on_article` gets the first attempt before it is validated, so that a crash leaves
    an article. An error is raised only when there is no attempt at all.
    """
    client = client_or_default(client)
    passages = _passages(blueprint, sources, client.preset())
    best: Fused | None = None
    watch.on_started(SYNTHESIZE, SYNTHESIZE)
    for number in range(1, retries + 2):
        attempt = Attempt(number=number)
        if best is not None:
            findings = best.validation.findings
            attempt = Attempt(number=number, earlier=best.article, findings=findings)
        try:
            article = synthesize_article(
                sources.brief, blueprint, attempt, passages=passages, client=client
            )
        except PipelineError as error:
            if best is None or ends_the_run(error):
                raise
            watch.on_failed(SYNTHESIZE, f"attempt {number}", error)
            break
        if best is None:
            on_article(article)
        validation = validate_article(
            article,
            blueprint,
            sources,
            attempt=number,
            passages=passages,
            client=client,
        )
        best = _better(best, Fused(article, validation))
        if validation.passed:
            break
    if best is None:
        message = "no attempt was allowed; use --synthesis-retries 0 for one"
        raise PipelineError(message)
    watch.on_done(SYNTHESIZE, SYNTHESIZE)
    watch.on_done(VALIDATE, VALIDATE)
    traces = trace_article(best.article, blueprint, sources)
    return replace(best, traces=tuple(traces))


def _passages(
    blueprint: SynthesisBlueprint, sources: Sources, preset: Preset
) -> Sequence[Passage]:
    """What writer and reader are shown of the drafts; a small model needs nothing."""
    if preset.is_short:
        return ()
    return source_passages(blueprint, sources.drafts, context=preset.context)


def _better(best: Fused | None, new: Fused) -> Fused:
    return new if best is None or _merit(new) > _merit(best) else best


def _merit(fused: Fused) -> tuple[bool, int, int, int]:
    verdict = fused.validation
    majors = sum(finding.severity == "major" for finding in verdict.findings)
    minors = len(verdict.findings) - majors
    off_by = abs(verdict.word_count - verdict.target_word_count)
    return (verdict.passed, -majors, -minors, -off_by)
