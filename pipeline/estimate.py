"""
What a run will ask: calls, tokens and cost by stage, before the first call.

Tokens are guesses from typical prompts and lengths; the metrics of a finished run hold
what was used. A price that is not stated makes the cost unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.llm.presets import Preset
from pipeline.metrics import estimated_tokens
from pipeline.prompting import prompt_text
from pipeline.settings import Settings

_TOKENS_PER_WORD = 4 / 3
_CARD_TOKENS = {False: 700, True: 160}  # by whether the preset asks the short way
_ANSWER_TOKENS = {
    "extract": {False: 550, True: 100},
    "score": {False: 330, True: 70},
    "select": {False: 450, True: 100},
    "validate": {False: 150, True: 30},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage: `cost` in dollars, None when a price is not known."""

    stage: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


def planned_calls(settings: Settings, *, drafts: int | None = None) -> dict[str, int]:
    """Calls by stage when nothing fails and the first attempt passes.

    With a synthesis, the finished article is judged as the drafts were: one more card
    and its votes, or two comparisons with the best draft.
    """
    drafts = drafts or len(settings.candidates) or settings.iterations
    written = 0 if settings.candidates else drafts
    if settings.candidates_only or not settings.synthesis:
        return {"generate": written}
    if settings.scoring_mode == "pairwise":
        votes = drafts * (drafts - 1) + 2
    else:
        votes = (drafts + 1) * settings.votes
    return {
        "generate": written,
        "extract": drafts + 1,
        "score": votes,
        "select": 1,
        "synthesize": 1,
        "validate": 1,
    }


def estimate(
    settings: Settings, main: Preset, writers: Sequence[Preset]
) -> list[StageEstimate]:
    """One row a stage; `writers` share the drafts in turn, `main` does the rest."""
    calls = planned_calls(settings)
    article = round(_words(settings, main) * _TOKENS_PER_WORD)
    given = sum(map(estimated_tokens, (settings.topic, *settings.context)))
    card = _CARD_TOKENS[main.is_short]
    passages = 0 if main.is_short else article  # about as long, taken together
    cards = card * min(calls.get("extract", 0), 15)
    prompts = {
        "extract": article,
        "score": card * (2 if settings.scoring_mode == "pairwise" else 1),
        "select": cards + given,
        "synthesize": card * 2 + given + passages,
        "validate": article + card * 2 + given + passages,
    }
    rows = [
        _drafts_row(settings, writers or [main], calls=calls["generate"], given=given)
    ]
    for stage, asked in prompts.items():
        if stage not in calls:
            continue
        answers = _ANSWER_TOKENS.get(stage)
        answer = answers[main.is_short] if answers else article
        prompt = asked + _prompt_tokens(stage, main)
        rows.append(_row(stage, calls[stage], tokens=(prompt, answer), preset=main))
    return rows


def total(rows: Sequence[StageEstimate]) -> StageEstimate:
    """All stages together."""
    costs = [row.cost for row in rows if row.calls]
    known = [cost for cost in costs if cost is not None]
    return StageEstimate(
        stage="total",
        calls=sum(row.calls for row in rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        cost=sum(known) if len(known) == len(costs) else None,
    )


def _drafts_row(
    settings: Settings, writers: Sequence[Preset], *, calls: int, given: int
) -> StageEstimate:
    rows = []
    for turn, writer in enumerate(writers):
        share = len(range(turn, calls, len(writers)))
        answer = round(_words(settings, writer) * _TOKENS_PER_WORD)
        prompt = given + _prompt_tokens("generate", writer)
        rows.append(_row("generate", share, tokens=(prompt, answer), preset=writer))
    return StageEstimate(
        stage="generate",
        calls=calls,
        prompt_tokens=total(rows).prompt_tokens,
        completion_tokens=total(rows).completion_tokens,
        cost=total(rows).cost,
    )


def _row(
    stage: str, calls: int, *, tokens: tuple[int, int], preset: Preset
) -> StageEstimate:
    prompt, answer = calls * tokens[0], calls * tokens[1]
    return StageEstimate(
        stage=stage,
        calls=calls,
        prompt_tokens=prompt,
        completion_tokens=answer,
        cost=preset.price.cost(prompt, answer) if preset.price else None,
    )


def _words(settings: Settings, preset: Preset) -> int:
    return settings.target_word_count or preset.words


def _prompt_tokens(stage: str, preset: Preset) -> int:
    return estimated_tokens(prompt_text(f"{stage}.short" if preset.is_short else stage))


def remaining_after_failure(stage: str, settings: Settings) -> Mapping[str, int]:
    """Work of later stages that a failed item takes away, by stage."""
    votes = settings.votes if settings.scoring_mode == "absolute" else 0
    if stage == "generate":
        return {"extract": 1, "score": votes}
    if stage == "extract":
        return {"score": votes}
    return {}
