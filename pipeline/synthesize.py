"""
SYNTHESIZE: one article from the blueprint, in as many attempts as it takes.

An attempt that does not pass VALIDATE is followed by another with its findings; the best
is kept, not the last. Calls are repeated elsewhere; here only attempts are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import PipelineError, ends_the_run
from pipeline.grounding.passages import source_passages
from pipeline.grounding.provenance import trace_article
from pipeline.grounding.sources import Sources
from pipeline.llm.call import CallOptions
from pipeline.llm.client import ChatClient
from pipeline.models.presets import Preset
from pipeline.prompts.documents import (
    article_block,
    background_block,
    blueprint_block,
    blueprint_lines,
    brief_block,
    sources_block,
)
from pipeline.prompts.templates import fill
from pipeline.records import (
    Brief,
    Finding,
    Passage,
    SynthesisBlueprint,
    Trace,
    ValidationResult,
)
from pipeline.short.forms import article_grammar
from pipeline.text.safety import clean_text, fenced
from pipeline.validate import STAGE as VALIDATE
from pipeline.validate import validate_article, word_range
from pipeline.work import NOBODY, Item, Watch

STAGE = "synthesize"
TEMPERATURE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at the article; `earlier` and `findings` are the try that failed."""

    number: int = 1
    earlier: str = ""
    findings: Sequence[Finding] = ()


def synthesize_article(
    brief: Brief,
    blueprint: SynthesisBlueprint,
    attempt: Attempt | None = None,
    *,
    passages: Sequence[Passage] = (),
    client: ChatClient,
) -> str:
    """The article in Markdown; never empty. Raises the errors of the client.

    `passages` are the sentences of the drafts around what the blueprint names. A small
    model is not shown them: its blueprint holds whole sentences of drafts.
    """
    attempt = attempt or Attempt()
    preset = client.preset()
    words = brief.words or preset.words
    least, most = word_range(words)
    show = blueprint_lines if preset.is_short else blueprint_block
    messages = fill(
        "synthesize.grammar" if preset.has_grammars else "synthesize",
        {
            "brief": brief_block(brief),
            "background": background_block(brief),
            "blueprint": show(blueprint),
            "sources": sources_block(passages),
            "earlier": _earlier(attempt),
            "words": words,
            "least": least,
            "most": most,
        },
        short=preset.is_short and not preset.has_grammars,
    )
    temperature = brief.temperature
    options = CallOptions(
        attempt=attempt.number,
        temperature=TEMPERATURE if temperature is None else temperature,
        max_tokens=brief.max_tokens,
        extra_body=_grammar(blueprint, words) if preset.has_grammars else {},
        words=words,
    )
    reply = client.complete(messages, stage=STAGE, item_id=STAGE, options=options)
    return clean_text(reply.text)


def _grammar(blueprint: SynthesisBlueprint, words: int) -> dict[str, str]:
    """Headline, opening and points as literals; the model writes what joins them."""
    grammar = article_grammar(
        headline=blueprint.headline.text,
        opening=blueprint.opening_hook.text,
        points=[
            point.text for section in blueprint.sections for point in section.points
        ],
        words=words,
    )
    return {"grammar": grammar}


def _earlier(attempt: Attempt) -> str:
    if not attempt.earlier:
        return ""
    found = "\n".join(f"- {finding.detail}" for finding in attempt.findings)
    return (
        "\nYour earlier attempt:\n\n"
        f"{article_block(attempt.earlier)}\n\n"
        "What was found wrong with it, to be mended while the rest is kept:\n\n"
        f"{fenced('findings', found)}\n"
    )


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
    client: ChatClient,
    watch: Watch = NOBODY,
) -> Fused:
    """The best of at most 1 + `retries` attempts, the earlier of equals.

    `on_article` gets the first attempt before it is validated, so that a crash leaves
    an article. An error is raised only when there is no attempt at all.
    """
    passages = _passages(blueprint, sources, client.preset())
    best: Fused | None = None
    watch.on_started(STAGE, STAGE)
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
            further = Item(STAGE, f"attempt {number}")  # nobody foresaw it
            watch.on_more([further])
            watch.on_failed(further.stage, further.name, error)
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
    watch.on_done(STAGE, STAGE)
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
