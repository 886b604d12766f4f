"""What others import, by its name and signature; the counters for callers of their own."""

import inspect
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import parallel
from parallel import (
    ParallelArticleExtractor,
    ParallelCandidateGenerator,
    ParallelCardScorer,
    ThreadSafeErrorCollector,
    ThreadSafeExtractionMetrics,
    ThreadSafeProgressTracker,
    ThreadSafeScoringMetrics,
    extract_single_card_worker,
    score_single_vote_worker,
)
from pipeline.criteria import CRITERIA
from pipeline.extract import extract_all_article_cards, extract_article_card
from pipeline.metrics import PipelineMetrics, track_llm_call
from pipeline.score import score_all_cards_with_voting, score_article_card
from tests.stage_fakes import (
    FAILSAFE_S,
)

TWO = CRITERIA[:2]


@pytest.mark.parametrize(
    ("named", "signature"),
    [
        (ParallelArticleExtractor, "max_concurrent_requests=5, verbose=False"),
        (ParallelCardScorer, "max_concurrent_requests=5, verbose=False"),
        (ParallelCandidateGenerator, "max_concurrent_requests=5, verbose=False"),
        (
            ParallelArticleExtractor.extract_cards_parallel,
            "self, candidates, retry_count=3",
        ),
        (ParallelCardScorer.score_cards_parallel, "self, cards, criteria, votes=3"),
        (ParallelCandidateGenerator.generate_candidates_parallel, "self, plans"),
        (ThreadSafeExtractionMetrics, ""),
        (ThreadSafeScoringMetrics, ""),
        (
            ThreadSafeExtractionMetrics.track_extraction_call_safe,
            "self, input_text, output_text, execution_time",
        ),
        (
            ThreadSafeScoringMetrics.track_scoring_call_safe,
            "self, input_text, output_text, execution_time",
        ),
        (ThreadSafeProgressTracker, "total_items, stage_name, verbose=False"),
        (ThreadSafeProgressTracker.update_progress, "self, item_id, status"),
        (ThreadSafeErrorCollector, ""),
        (ThreadSafeErrorCollector.add_error, "self, item_id, error"),
        (ThreadSafeErrorCollector.get_errors, "self"),
        (extract_single_card_worker, "candidate, retry_count, verbose"),
        (score_single_vote_worker, "card, criteria, vote_number, verbose"),
        (track_llm_call, "stage, input_text, output_text, execution_time"),
        (extract_article_card, "candidate, retry_count=3"),
        (extract_all_article_cards, "candidates, retry_count=3"),
        (score_article_card, "card, criteria, vote_number=1"),
        (score_all_cards_with_voting, "cards, criteria, votes=3"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_a_name_has_the_signature_that_others_rely_on(
    named: Callable[..., Any], signature: str
) -> None:
    parameters = inspect.signature(named).parameters.values()
    shown = [
        p.name if p.default is p.empty else f"{p.name}={p.default!r}"
        for p in parameters
        if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert ", ".join(shown) == signature
    extras = [p for p in parameters if p.kind is not p.POSITIONAL_OR_KEYWORD]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in extras)


@pytest.mark.parametrize(
    "named",
    [
        extract_article_card,
        extract_all_article_cards,
        score_article_card,
        score_all_cards_with_voting,
        extract_single_card_worker,
        score_single_vote_worker,
        ParallelArticleExtractor,
        ParallelCardScorer,
        ParallelCandidateGenerator,
    ],
)
def test_whoever_calls_a_model_takes_a_client_by_keyword(
    named: Callable[..., Any],
) -> None:
    client = inspect.signature(named).parameters["client"]
    assert (client.kind, client.default) == (client.KEYWORD_ONLY, None)


def test_the_package_names_exactly_its_public_names() -> None:
    assert parallel.__all__ == sorted(parallel.__all__)
    assert len(parallel.__all__) == 9
    assert all(hasattr(parallel, name) for name in parallel.__all__)


@pytest.mark.parametrize(
    ("make", "track", "stage"),
    [
        (ThreadSafeExtractionMetrics, "track_extraction_call_safe", "extract"),
        (ThreadSafeScoringMetrics, "track_scoring_call_safe", "score"),
    ],
)
def test_calls_tracked_by_many_threads_are_all_counted(
    make: Callable[..., Any], track: str, stage: str
) -> None:
    whole = PipelineMetrics()
    counter = make(metrics=whole)
    start = threading.Barrier(8)

    def work(_number: int) -> None:
        start.wait(FAILSAFE_S)
        for _ in range(50):
            getattr(counter, track)("one two three", "four five six", 0.5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    sums = counter.snapshot()
    assert (sums.name, sums.calls, sums.call_seconds) == (stage, 400, 200.0)
    assert (sums.prompt_tokens, sums.completion_tokens) == (1600, 1600)
    assert sums.tokens_estimated
    assert whole.snapshot().stages[stage].calls == 400
    assert make().snapshot().calls == 0
