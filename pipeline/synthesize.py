"""
SYNTHESIZE: one article from the blueprint.

It writes one attempt; whether the attempt is good enough is for VALIDATE to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.article_grammar import article_grammar
from pipeline.blocks import (
    article_block,
    background_block,
    blueprint_block,
    blueprint_lines,
    brief_block,
    sources_block,
)
from pipeline.llm.call import CallOptions
from pipeline.llm.client import ChatClient
from pipeline.llm.defaults import client_or_default
from pipeline.prompting import fill
from pipeline.records import Brief, Finding, Passage, SynthesisBlueprint
from pipeline.text_safety import clean_text, fenced

STAGE = "synthesize"
TEMPERATURE = 0.6
WORDS_TOLERANCE = 0.2


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
    client: ChatClient | None = None,
) -> str:
    """The article in Markdown; never empty. Raises the errors of the client.

    `passages` are the sentences of the drafts around what the blueprint names. A small
    model is not shown them: its blueprint holds whole sentences of drafts.
    """
    attempt = attempt or Attempt()
    client = client_or_default(client)
    preset = client.preset()
    words = brief.words or preset.words
    least, most = word_range(words)
    show = blueprint_lines if preset.is_short else blueprint_block
    messages = fill(
        "synthesize",
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
        short=preset.is_short,
    )
    temperature = brief.temperature
    options = CallOptions(
        attempt=attempt.number,
        temperature=TEMPERATURE if temperature is None else temperature,
        max_tokens=brief.max_tokens,
        extra_body=_grammar(blueprint, words) if preset.has_grammars else {},
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


def word_range(words: int) -> tuple[int, int]:
    """The fewest and the most words that count as the length asked for."""
    return round(words * (1 - WORDS_TOLERANCE)), round(words * (1 + WORDS_TOLERANCE))


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
