"""The three concurrent stages, their workers and counters, under their public names."""

import inspect
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings

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
from parallel.concurrency import Concurrency
from parallel.lane_gate import gate_for
from parallel.limiter import Limiter
from pipeline.candidates import candidate_plans
from pipeline.criteria import CRITERIA
from pipeline.errors import ItemRejected, SettingsError
from pipeline.extract import extract_all_article_cards, extract_article_card
from pipeline.llm.client import ChatClient
from pipeline.llm.connection import Connection, Endpoint
from pipeline.llm.presets import Preset
from pipeline.metrics import PipelineMetrics, track_llm_call
from pipeline.records import ArticleCandidate
from pipeline.score import score_all_cards_with_voting, score_article_card
from tests.loopback_llm import ChatRequest, Lognormal, LoopbackLLM
from tests.stage_fakes import (
    BRIEF,
    FAILSAFE_S,
    SEEDS,
    Asked,
    Crowd,
    candidate,
    card,
    drawn_order,
    refuse,
    stand,
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


@given(order=SEEDS)
@settings(max_examples=8, deadline=None)
def test_results_come_in_the_order_of_the_input_whatever_ends_first(order: int) -> None:
    one = stand()
    drafts = [candidate(n, f"# Title {n}\n\nText {n}.") for n in (7, 3, 11, 2, 5)]
    with drawn_order(order):
        extractor = ParallelArticleExtractor(4, client=one.client)
        cards = extractor.extract_cards_parallel(drafts)
        scores = ParallelCardScorer(3, client=one.client).score_cards_parallel(
            cards, CRITERIA, 2
        )
        written = ParallelCandidateGenerator(
            9, client=one.client
        ).generate_candidates_parallel(candidate_plans(BRIEF, iterations=4)[::-1])
    assert cards == extract_all_article_cards(drafts, client=one.client)
    assert scores == score_all_cards_with_voting(cards, CRITERIA, 2, client=one.client)
    assert [c.article_id for c in cards] == [7, 3, 11, 2, 5]
    assert [s.article_id for s in scores] == [7, 3, 11, 2, 5]
    assert [w.article_id for w in written] == [4, 3, 2, 1]


def test_the_one_that_starts_first_may_end_last() -> None:
    others_done = threading.Event()
    done: list[str] = []

    def answer(asked: Asked) -> None:
        if asked.item_id == "1":
            assert others_done.wait(FAILSAFE_S), "the first held up the others"
        else:
            done.append(asked.item_id)
            if len(done) == 3:
                others_done.set()

    extractor = ParallelArticleExtractor(2, client=stand(answer).client)
    cards = extractor.extract_cards_parallel([candidate(n) for n in (1, 2, 3, 4)])
    assert [c.article_id for c in cards] == [1, 2, 3, 4]


def test_votes_of_one_card_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(6)

    def answer(_asked: Asked) -> None:
        together.wait(FAILSAFE_S)

    scorer = ParallelCardScorer(6, client=stand(answer).client)
    scores = scorer.score_cards_parallel([card(1), card(2)], CRITERIA)
    assert [s.votes for s in scores] == [3, 3]


@pytest.mark.parametrize("limit", [1, 3])
def test_never_more_than_the_limit_go_at_once(limit: int) -> None:
    crowd = Crowd(limit)

    def answer(_asked: Asked) -> None:
        with crowd.inside():
            pass

    scorer = ParallelCardScorer(limit, client=stand(answer).client)
    scorer.score_cards_parallel([card(n) for n in range(1, 5)], CRITERIA)
    assert crowd.peak <= limit


def test_failed_items_are_left_out_and_collected_in_item_order() -> None:
    one = stand(refuse(("extract", "10"), ("extract", "2")))
    extractor = ParallelArticleExtractor(3, client=one.client)
    drafts = [candidate(n) for n in (10, 1, 2)]
    assert [c.article_id for c in extractor.extract_cards_parallel(drafts)] == [1]
    assert [(e.item_id, e.reason) for e in extractor.errors.get_errors()] == [
        ("card 2", "not this one"),
        ("card 10", "not this one"),
    ]


def test_a_failed_vote_is_an_abstention_in_parallel_too() -> None:
    one = stand(refuse(("score", "1", 2), ("score", "2")))
    scorer = ParallelCardScorer(4, client=one.client)
    scores = scorer.score_cards_parallel([card(1), card(2)], CRITERIA)
    assert [(s.article_id, s.votes, s.abstained) for s in scores] == [(1, 2, 1)]
    assert len(scorer.errors) == 4


def test_comparisons_run_alone_too() -> None:
    one = stand(refuse(("score", "1-2")))
    scorer = ParallelCardScorer(4, client=one.client)
    scores = scorer.compare_cards_parallel([card(n) for n in (1, 2, 3)], CRITERIA)
    assert [(s.article_id, s.votes, s.abstained) for s in scores] == [
        (1, 3, 1),
        (2, 3, 1),
        (3, 4, 0),
    ]


def test_the_retry_count_reaches_the_calls() -> None:
    one = stand(lambda _asked: {"no": "card"})
    extractor = ParallelArticleExtractor(client=one.client)
    assert extractor.extract_cards_parallel([candidate()], retry_count=1) == []
    assert len(one.asked) == 2


@pytest.mark.parametrize("limit", [0, -2])
def test_a_limit_under_which_nothing_could_start_is_refused(limit: int) -> None:
    with pytest.raises(SettingsError, match=f"at least 1, got {limit}"):
        ParallelCardScorer(limit)


def test_nothing_to_do_is_no_call() -> None:
    one = stand()
    assert ParallelArticleExtractor(client=one.client).extract_cards_parallel([]) == []
    assert ParallelCardScorer(client=one.client).score_cards_parallel([], TWO) == []
    assert one.asked == []


def test_verbose_says_a_line_for_each_item_and_quiet_says_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = stand(refuse(("extract", "2")))
    drafts = [candidate(1), candidate(2)]
    ParallelArticleExtractor(client=one.client).extract_cards_parallel(drafts)
    assert capsys.readouterr() == ("", "")
    ParallelArticleExtractor(verbose=True, client=one.client).extract_cards_parallel(
        drafts
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert sorted(re.findall(r"card \d \w+", err)) == ["card 1 done", "card 2 failed"]


def test_workers_do_one_item_and_say_so_when_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = stand(refuse(("score", "1", 9)))
    made = extract_single_card_worker(candidate(4), 3, False, client=one.client)
    vote = score_single_vote_worker(card(1), CRITERIA, 2, True, client=one.client)
    assert (made.article_id, vote.article_id, vote.votes) == (4, 1, 1)
    with pytest.raises(ItemRejected):
        score_single_vote_worker(card(1), CRITERIA, 9, True, client=one.client)
    assert capsys.readouterr().err == (
        "vote 2 on card 1: done\nvote 9 on card 1: failed: not this one\n"
    )


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


# Over real HTTP: service times spread over two orders of magnitude.


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
    endpoint = Endpoint(
        preset=preset, base_url=server.base_url, api_key="k", max_in_flight=12
    )
    return ChatClient({"loop": Connection(endpoint, gate_for(limiter, preset))})


def marked(number: int) -> ArticleCandidate:
    sentences = " ".join(f"Mark-{number} says thing {k}." for k in range(9))
    return candidate(number, f"# Mark-{number} headline\n\n{sentences}")


def test_cards_and_scores_of_12_candidates_are_paired_rightly_and_in_order(
    server: LoopbackLLM,
) -> None:
    limiter = Limiter(7)
    client = http_client(server, limiter)
    concurrency = Concurrency(max_in_flight=7, limiter=limiter)
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
