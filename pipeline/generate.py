"""
GENERATE: one draft from one plan.

Any text is a draft: a short or repetitive one is judged, not dropped. How many are
written at once is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import EndpointLost, SettingsError
from pipeline.llm.call import CallOptions
from pipeline.llm.client import ChatClient
from pipeline.models.presets import Preset
from pipeline.prompts.documents import background_block, brief_block
from pipeline.prompts.templates import fill
from pipeline.records import ArticleCandidate, Brief, CandidatePlan
from pipeline.settings import read_text
from pipeline.short.forms import angle_of, draft_grammar
from pipeline.text.safety import clean_text
from pipeline.work import NOBODY, Watch, candidate_item, work_through

STAGE = "generate"
TEMPERATURE = 0.9


def candidate_plans(
    brief: Brief, *, iterations: int, presets: Sequence[str] = ()
) -> list[CandidatePlan]:
    """Plans with ids from 1; presets and angles take turns."""
    return [
        CandidatePlan(
            article_id=number,
            brief=brief,
            preset=presets[(number - 1) % len(presets)] if presets else None,
            angle=angle_of(number).instruction,
        )
        for number in range(1, iterations + 1)
    ]


def plans_from_texts(
    brief: Brief, texts: Sequence[tuple[str, str]]
) -> list[CandidatePlan]:
    """Plans for drafts that exist: (name, text), in the order given."""
    return [
        CandidatePlan(article_id=number, brief=brief, preset=name, text=text)
        for number, (name, text) in enumerate(texts, start=1)
    ]


def read_candidates(folder: str) -> tuple[tuple[str, str], ...]:
    """(name, text) of every non-empty Markdown file of a folder, by name.

    Raises SettingsError when there is none.
    """
    remedy = "use --candidates-dir with a folder of .md files"
    path = Path(folder)
    if not path.is_dir():
        message = f"candidates folder {folder} is not a folder; {remedy}"
        raise SettingsError(message)
    texts = (
        (file.stem, clean_text(read_text(str(file), what="candidate", remedy=remedy)))
        for file in sorted(path.glob("*.md"))
    )
    found = tuple((name, text) for name, text in texts if text.strip())
    if not found:
        message = f"candidates folder {folder} holds no Markdown with text; {remedy}"
        raise SettingsError(message)
    return found


def given_candidate(plan: CandidatePlan, text: str) -> ArticleCandidate:
    """The draft of a plan that has its text already."""
    return ArticleCandidate(
        article_id=plan.article_id, preset=plan.preset or "file", model="", text=text
    )


def write_candidate(plan: CandidatePlan, *, client: ChatClient) -> ArticleCandidate:
    """
    One draft, whatever its length; a plan with a text costs no call.

    Where the plan's endpoint is out of use, the run's main one writes it.
    """
    if plan.text:
        return given_candidate(plan, plan.text)
    try:
        return _written(plan, client=client)
    except EndpointLost:
        return _written(replace(plan, preset=None), client=client)


def _written(plan: CandidatePlan, *, client: ChatClient) -> ArticleCandidate:
    preset = client.preset(plan.preset)
    words = plan.brief.words or preset.words
    messages = fill(
        "generate.grammar" if preset.has_grammars else "generate",
        {
            "brief": brief_block(plan.brief),
            "background": background_block(plan.brief),
            "angle": plan.angle,
            "words": words,
        },
        short=preset.is_short and not preset.has_grammars,
    )
    reply = client.complete(
        messages,
        stage=STAGE,
        item_id=str(plan.article_id),
        options=_options(plan, preset, words=words),
    )
    return ArticleCandidate(
        article_id=plan.article_id,
        preset=preset.name,
        model=reply.model,
        text=clean_text(reply.text),
        cut_off=reply.is_cut_off,
    )


def _options(plan: CandidatePlan, preset: Preset, *, words: int) -> CallOptions:
    temperature = plan.brief.temperature
    if temperature is None:
        temperature = TEMPERATURE if preset.temperature is None else preset.temperature
    grammar = {}
    if preset.has_grammars:
        angle = angle_of(plan.article_id)
        grammar = {"grammar": draft_grammar(angle, words=words)}
    return CallOptions(
        preset=plan.preset,
        temperature=temperature,
        max_tokens=plan.brief.max_tokens,
        extra_body=grammar,
        words=words,
    )


def write_all_candidates(
    plans: Sequence[CandidatePlan],
    *,
    client: ChatClient,
    watch: Watch = NOBODY,
) -> list[ArticleCandidate]:
    """Drafts in the order of their ids, one at a time; failed ones left out."""

    def write(plan: CandidatePlan) -> ArticleCandidate:
        candidate = write_candidate(plan, client=client)
        watch.on_candidate(candidate)
        return candidate

    written = work_through(
        [plan for plan in plans if not plan.text],
        write,
        item=lambda plan: candidate_item(plan.article_id),
        watch=watch,
    )
    given = [given_candidate(p, p.text) for p in plans if p.text]
    return sorted([*given, *written], key=lambda each: each.article_id)
