"""Cards and votes over real HTTP, with service times of two orders of magnitude."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from parallel import (
    ParallelArticleExtractor,
    ParallelCardScorer,
)
from parallel.limiter import Limiter
from parallel.stage import Concurrency, limit_for
from pipeline.criteria import CRITERIA
from pipeline.llm.client import ChatClient
from pipeline.models.presets import Preset
from pipeline.records import ArticleCandidate
from tests.fakes import connection_to
from tests.loopback_llm import ChatRequest, Lognormal, LoopbackLLM
from tests.stage_fakes import (
    candidate,
)

TWO = CRITERIA[:2]


def mark_of(number: int) -> tuple[int, int]:
    """Two marks that no other of 12 candidates has."""
    return 1 + number % 10, 1 + number // 10


def own_marks(request: ChatRequest) -> dict[str, Any] | None:
    """Judges a card by the number in its own words, and lies about every id."""
    lies = {"article_id": 77, "id": 1, "card": 5}
    if request.stage != "score":
        return None
    (number,) = set(re.findall(r"Mark-(\d+)", request.text))
    names = [criterion.name for criterion in TWO]
    return {
        **lies,
        **{
            name: {"justification": f"Mark-{number}", "score": mark}
            for name, mark in zip(names, mark_of(int(number)), strict=True)
        },
    }


@pytest.fixture
def server() -> Iterator[LoopbackLLM]:
    with LoopbackLLM(
        seed=4, service=Lognormal(median_s=0.01, sigma=1.3), answer=own_marks
    ) as one:
        yield one


def http_client(server: LoopbackLLM, limiter: Limiter) -> ChatClient:
    preset = Preset(name="loop", base_url=server.base_url, model="loopback")
    limit = limit_for(limiter, preset)
    return ChatClient({"loop": connection_to(server.base_url, limit=limit)})


def marked(number: int) -> ArticleCandidate:
    sentences = " ".join(f"Mark-{number} says thing {k}." for k in range(9))
    return candidate(number, f"# Mark-{number} headline\n\n{sentences}")


def test_cards_and_scores_of_12_candidates_are_paired_rightly_and_in_order(
    server: LoopbackLLM,
) -> None:
    limiter = Limiter(7)
    client = http_client(server, limiter)
    concurrency = Concurrency(limiter=limiter)
    how: dict[str, Any] = {"client": client, "concurrency": concurrency}
    drafts = [marked(n) for n in range(12, 0, -1)]
    try:
        cards = ParallelArticleExtractor(**how).extract_cards_parallel(drafts)
        # What a model says in its own words holds no mark: the card's words do.
        scores = ParallelCardScorer(**how).score_cards_parallel(cards, TWO)
    finally:
        client.close()
    assert [c.article_id for c in cards] == list(range(12, 0, -1))
    assert [s.article_id for s in scores] == list(range(12, 0, -1))
    for made, score in zip(cards, scores, strict=True):
        own = made.article_id
        assert set(re.findall(r"Mark-(\d+)", made.model_dump_json())) == {str(own)}
        means = tuple(c.mean for c in score.criteria.values())
        assert means == mark_of(own)
        assert (score.votes, score.abstained) == (3, 0)
    log = server.log()
    assert len(log) == 12 + 36
    assert max(served.in_flight for served in log) <= 7
    assert max(served.service_s for served in log) > 20 * min(
        served.service_s for served in log
    )
    starts = [served.arrived_s for served in log]  # in the order of their ends
    assert starts != sorted(starts), "every call ended in the order of its start"
