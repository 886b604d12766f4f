"""
A field of drafts whose quality differs, as a simulated judge marks them.

A module of its own, as the server that answers so is another process. It measures
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import NormalDist
from typing import Any

from tests.benchmarks.judging_contest import QUALITY, SPREAD
from tests.loopback_llm import ChatRequest
from tests.loopback_service import chance_of

NOISES = {0.5: 1.3, 0.9: 2.6}  # of a vote: that of each of its seven marks
_NORMAL = NormalDist()


def answer_in(contest: int, *, noise: float) -> Callable[[ChatRequest], Any]:
    """Marks around a quality that is the card's own; other calls as usual."""
    return partial(_marks, contest, NOISES[noise])


def _marks(contest: int, noise: float, request: ChatRequest) -> dict[str, Any] | None:
    if request.stage != "score" or request.schema is None:
        return None
    chance = chance_of("card", contest, request.text)
    quality = QUALITY + SPREAD * _NORMAL.inv_cdf(chance)

    def mark(criterion: str) -> int:
        chance = chance_of("mark", contest, request.body.get("seed"), criterion)
        return min(10, max(1, round(quality + noise * _NORMAL.inv_cdf(chance))))

    return {
        name: {"justification": "as drawn", "score": mark(name)}
        for name in request.schema["required"]
    }
