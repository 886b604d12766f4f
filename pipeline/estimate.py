"""
What a run will ask: calls, tokens and cost by stage, before the first call.

Tokens are guesses from typical prompts and lengths; the metrics of a finished run hold
what was used. A price that is not stated makes the cost unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pipeline.article_gate import VOTES_AN_ORDER
from pipeline.judging import auto
from pipeline.judging.schemes import FINALISTS
from pipeline.llm.choice import Choice
from pipeline.llm.presets import Preset
from pipeline.metrics import estimated_tokens
from pipeline.prompting import prompt_text
from pipeline.settings import AUTO, Settings

GATE_CALLS = 2 * VOTES_AN_ORDER
_TOKENS_PER_WORD = 4 / 3
_CARD_TOKENS = {False: 700, True: 160}  # by whether the preset asks the short way
_ANSWER_TOKENS = {
    "extract": {False: 550, True: 100},
    "score": {False: 330, True: 70},
    "select": {False: 450, True: 100},
    "validate": {False: 150, True: 30},
    "gate": {False: 330, True: 70},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage; tokens and cost are those of `calls`, the most that may be made.

    `least_calls` is how many it takes when votes settle early, `cost` in dollars, None
    when a price is not known.
    """

    stage: str
    calls: int
    least_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


class Later(NamedTuple):
    """Ballots of further rounds: how many at least, and at most."""

    least: int
    most: int


def planned_calls(settings: Settings) -> dict[str, int]:
    """Calls by stage when nothing fails and the first attempt passes.

    With a synthesis, the finished article is judged as the drafts were, one more card
    and its votes, and compared with the best draft. Further rounds are not in it.
    """
    drafts = _drafts(settings)
    written = 0 if settings.candidates else drafts
    if settings.candidates_only or not settings.synthesis:
        return {"generate": written}
    is_pairwise = settings.scoring_mode == "pairwise"
    votes = auto.opening_votes(settings.votes)
    return {
        "generate": written,
        "extract": drafts if is_pairwise else drafts + 1,
        "score": drafts * (drafts - 1) if is_pairwise else (drafts + 1) * votes,
        "select": 1,
        "synthesize": 1,
        "validate": 1,
        **({"gate": GATE_CALLS} if settings.gate else {}),
    }


def later_calls(settings: Settings) -> Later:
    """Ballots that a further round of judging may ask."""
    drafts = _drafts(settings)
    if settings.scoring_mode == "funnel":
        finalists = min(FINALISTS, drafts)
        return Later(finalists * (finalists - 1), finalists * (finalists - 1))
    if settings.scoring_mode == "absolute" and settings.votes == AUTO:
        # The article gets as many votes as the best draft.
        of_article = auto.MOST_VOTES - auto.OPENING_VOTES
        return Later(0, auto.further_votes(drafts) + of_article)
    return Later(0, 0)


def _drafts(settings: Settings) -> int:
    return len(settings.candidates) or settings.iterations


def estimate(settings: Settings, choice: Choice) -> list[StageEstimate]:
    """One row a stage; writers and judges share their stages in turn."""
    calls, later, main = planned_calls(settings), later_calls(settings), choice.main
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
        "gate": article * 2 + given,
    }
    rows = [_drafts_row(settings, choice, calls=calls["generate"], given=given)]
    judges = choice.judges or (main,)
    for stage, asked in prompts.items():
        if stage not in calls:
            continue
        count = calls[stage] + (later.most if stage == "score" else 0)
        presets = {"score": judges, "gate": judges[:1]}.get(stage, (main,))
        row = _shared_row(stage, count, presets, asked=asked, article=article)
        spare = later.most - later.least if stage == "score" else 0
        rows.append(replace(row, least_calls=count - spare))
    return rows


def _shared_row(
    stage: str,
    calls: int,
    presets: Sequence[Preset],
    *,
    asked: int,
    article: int,
) -> StageEstimate:
    """Calls that several presets make in turn."""
    rows = []
    for turn, preset in enumerate(presets):
        answers = _ANSWER_TOKENS.get(stage)
        answer = answers[preset.is_short] if answers else article
        tokens = (asked + _prompt_tokens(stage, preset), answer)
        share = len(range(turn, calls, len(presets)))
        rows.append(_row(stage, share, tokens=tokens, preset=preset))
    return replace(total(rows), stage=stage)


def total(rows: Sequence[StageEstimate]) -> StageEstimate:
    """All stages together."""
    costs = [row.cost for row in rows if row.calls]
    known = [cost for cost in costs if cost is not None]
    return StageEstimate(
        stage="total",
        calls=sum(row.calls for row in rows),
        least_calls=sum(row.least_calls for row in rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        cost=sum(known) if len(known) == len(costs) else None,
    )


def _drafts_row(
    settings: Settings, choice: Choice, *, calls: int, given: int
) -> StageEstimate:
    rows = []
    writers = choice.writers or (choice.main,)
    for turn, writer in enumerate(writers):
        share = len(range(turn, calls, len(writers)))
        answer = round(_words(settings, writer) * _TOKENS_PER_WORD)
        prompt = given + _prompt_tokens("generate", writer)
        rows.append(_row("generate", share, tokens=(prompt, answer), preset=writer))
    return replace(total(rows), stage="generate")


def _row(
    stage: str, calls: int, *, tokens: tuple[int, int], preset: Preset
) -> StageEstimate:
    prompt, answer = calls * tokens[0], calls * tokens[1]
    return StageEstimate(
        stage=stage,
        calls=calls,
        least_calls=calls,
        prompt_tokens=prompt,
        completion_tokens=answer,
        cost=preset.price.cost(prompt, answer) if preset.price else None,
    )


def _words(settings: Settings, preset: Preset) -> int:
    return settings.target_word_count or preset.words


def _prompt_tokens(stage: str, preset: Preset) -> int:
    if preset.is_short:
        stage = "pairwise" if stage == "gate" else stage
        return estimated_tokens(prompt_text(f"{stage}.short"))
    return estimated_tokens(prompt_text(stage))


def remaining_after_failure(stage: str, settings: Settings) -> Mapping[str, int]:
    """Work of later stages that a failed item takes away, by stage."""
    votes = (
        0 if settings.scoring_mode == "pairwise" else auto.opening_votes(settings.votes)
    )
    if stage == "generate":
        return {"extract": 1, "score": votes}
    if stage == "extract":
        return {"score": votes}
    return {}
