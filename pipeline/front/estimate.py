"""
What a run will ask: calls, tokens and cost by stage, before the first call.

Tokens are guesses from typical prompts and lengths; the metrics of a finished run hold
what was used. A price that is not stated makes the cost unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pipeline.compare import VOTES_AN_ORDER
from pipeline.judging.certainty import (
    MOST_VOTES,
    OPENING_VOTES,
    further_votes,
    opening_votes,
)
from pipeline.judging.schemes import FINALISTS
from pipeline.metrics import estimated_tokens
from pipeline.models.presets import Preset
from pipeline.models.run_models import Choice
from pipeline.prompts.templates import prompt_text
from pipeline.settings import AUTO, Settings
from pipeline.work import Item, card_item

GATE_CALLS = 2 * VOTES_AN_ORDER
_TOKENS_PER_WORD = 4 / 3
_READ_SHARE = 0.02  # of a token's time to write it, to read one
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
    """Questions of further rounds: how many at least, and at most."""

    least: int
    most: int


def planned_calls(settings: Settings, *, lost: int = 0) -> dict[str, int]:
    """Calls by stage when only the cards of `lost` drafts fail.

    It takes two cards to choose. What is made of them is judged as the drafts were, one
    more card and its votes, and compared with the best draft. Further rounds are not
    in it, nor further attempts.
    """
    drafts = _drafts(settings)
    written = 0 if settings.candidates else drafts
    if settings.candidates_only or not settings.synthesis:
        return {"generate": written}
    cards = drafts - lost
    calls = {
        "generate": written,
        "extract": drafts,
        "score": cards * opening_votes(settings.votes),
    }
    if settings.scoring_mode == "pairwise":
        calls["score"] = cards * (cards - 1)
    if cards > 1:
        for stage, count in _with_an_article(settings).items():
            calls[stage] = calls.get(stage, 0) + count
    return calls


def _with_an_article(settings: Settings) -> dict[str, int]:
    """The calls of choosing and writing, in their order, then those on the article."""
    on_article = {"gate": GATE_CALLS} if settings.gate else {}
    if settings.scoring_mode != "pairwise":
        on_article |= {"extract": 1, "score": opening_votes(settings.votes)}
    return {"select": 1, "synthesize": 1, "validate": 1, **on_article}


def expected_tokens(settings: Settings, choice: Choice) -> dict[str, float]:
    """Tokens that an item of each stage takes to write, with a share for its prompt."""
    return {
        row.stage: (row.completion_tokens + _READ_SHARE * row.prompt_tokens) / row.calls
        for row in estimate(settings, choice)
        if row.calls
    }


def later_calls(settings: Settings) -> Later:
    """Questions that a further round of judging may ask."""
    drafts = _drafts(settings)
    if settings.scoring_mode == "funnel":
        finalists = min(FINALISTS, drafts)
        return Later(finalists * (finalists - 1), finalists * (finalists - 1))
    if settings.scoring_mode == "absolute" and settings.votes == AUTO:
        # The article gets as many votes as the best draft.
        of_article = MOST_VOTES - OPENING_VOTES
        return Later(0, further_votes(drafts) + of_article)
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


def longest_prompt(rows: Sequence[StageEstimate]) -> int:
    """Tokens of the longest prompt of the run, about."""
    return max(row.prompt_tokens // row.calls for row in rows if row.calls)


def left_of(
    rows: Sequence[StageEstimate], answered: Mapping[str, int]
) -> list[StageEstimate]:
    """The same without so many calls of each stage."""
    return [_left(row, answered.get(row.stage, 0)) for row in rows]


def _left(row: StageEstimate, answered: int) -> StageEstimate:
    calls = max(0, row.calls - answered)
    share = calls / row.calls if row.calls else 0.0
    return replace(
        row,
        calls=calls,
        least_calls=max(0, row.least_calls - answered),
        prompt_tokens=round(row.prompt_tokens * share),
        completion_tokens=round(row.completion_tokens * share),
        cost=None if row.cost is None else row.cost * share,
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
    prompt, answer = tokens
    return StageEstimate(
        stage=stage,
        calls=calls,
        least_calls=calls,
        prompt_tokens=calls * prompt,
        completion_tokens=calls * answer,
        cost=calls * preset.price.cost(prompt, answer) if preset.price else None,
    )


def _words(settings: Settings, preset: Preset) -> int:
    return settings.target_word_count or preset.words


def _prompt_tokens(stage: str, preset: Preset) -> int:
    if preset.is_short:
        stage = "pairwise" if stage == "gate" else stage
        return estimated_tokens(prompt_text(f"{stage}.short"))
    return estimated_tokens(prompt_text(stage))


def remaining_after_failure(
    item: Item, failed: Mapping[str, int], settings: Settings
) -> dict[str, int]:
    """Calls of later stages that a failed item takes away, by stage.

    `failed` counts the items that failed before it, by stage.
    """
    after = _with_an_article(settings)
    if item == card_item(_drafts(settings) + 1):  # of the finished article
        return {"score": after["score"]} if "score" in after else {}
    if item.stage in ("generate", "extract"):
        lost = failed.get("generate", 0) + failed.get("extract", 0)
        calls = planned_calls(settings, lost=lost)
        if item.stage == "generate" and "extract" in calls:
            calls["extract"] += 1  # its own
        kept = planned_calls(settings, lost=lost + 1)
        lost_calls = {s: count - kept.get(s, 0) for s, count in calls.items()}
        return {stage: count for stage, count in lost_calls.items() if count}
    if item in (Item("select", "select"), Item("synthesize", "synthesize")):
        stages = list(after)
        return {stage: after[stage] for stage in stages[stages.index(item.stage) + 1 :]}
    return {}
