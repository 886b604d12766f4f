"""
What the benchmarks have the program do, and the time it takes.

Drafts and cards are made here from a seed, so that a stage can be run alone; what a
whole run would make of them is not the question.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from parallel import flow
from parallel.extractor import ParallelArticleExtractor
from parallel.scorer import ParallelCardScorer
from pipeline import run as sequential
from pipeline.criteria import CRITERIA
from pipeline.extract import extract_all_article_cards
from pipeline.generate import candidate_plans, plans_from_texts
from pipeline.job import Job
from pipeline.judging.certainty import opening_votes
from pipeline.judging.questions import AskAll
from pipeline.judging.schemes import Judging
from pipeline.records import (
    ArticleCandidate,
    ArticleCard,
    ArticleScore,
    Brief,
    CandidatePlan,
    Evidence,
    Judged,
)
from pipeline.run import run_pipeline
from pipeline.score import score_all_cards_with_voting
from pipeline.settings import Votes
from pipeline.store.run_folder import RunFolder
from tests.benchmarks.setting import Engine, Tuning, engine
from tests.loopback_llm import Lognormal, LoopbackLLM, Served
from tests.loopback_prose import article

BRIEF = Brief(topic="Why small teams keep promises that large ones forget", words=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much work there is."""

    candidates: int = 15
    votes: Votes = 3

    @property
    def judging(self) -> Judging:
        """Absolute votes, as many as asked."""
        return Judging(votes=self.votes)

    def plans(self) -> list[CandidatePlan]:
        """Drafts to be written."""
        return candidate_plans(BRIEF, iterations=self.candidates)

    def drafts(self) -> list[ArticleCandidate]:
        """Drafts that are there."""
        return [
            ArticleCandidate(article_id=n, preset="loopback", model="", text=_text(n))
            for n in range(1, self.candidates + 1)
        ]

    def plans_with_text(self) -> list[CandidatePlan]:
        """The same drafts as plans that cost no call."""
        texts = [(f"draft {one.article_id}", one.text) for one in self.drafts()]
        return plans_from_texts(BRIEF, texts)

    def cards(self) -> list[ArticleCard]:
        """Cards that are there."""
        return [_card(draft) for draft in self.drafts()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One timed piece of work: its result, and what the server saw of it."""

    wall_s: float
    log: list[Served]
    requests: int  # that the metrics of the run report
    result: Any
    limits: list[int]  # of the endpoint, one after another


Work = Callable[[Engine, Load], Any]


def timed(server: LoopbackLLM, work: Work, *, load: Load, tuning: Tuning) -> Trial:
    """The work by a fresh engine; making that is not timed."""
    with engine(server.base_url, tuning) as made:
        since_s = time.monotonic()
        result = work(made, load)
        wall_s = time.monotonic() - since_s
        requests = made.metrics.snapshot().total.requests
        limits = [limit for _, limit in made.limiter.snapshots()[0].history]
    # Both processes read one clock, so the log can be cut by it.
    log = [one for one in server.log() if one.arrived_s >= since_s]
    most = tuning.max_in_flight
    return Trial(
        wall_s=wall_s,
        log=log,
        requests=requests,
        result=result,
        limits=[most, *limits],
    )


@contextmanager
def warm_server(*, seed: int, service: Lognormal, **how: Any) -> Iterator[LoopbackLLM]:
    """A simulated server in a process of its own, after a first run against it."""
    with LoopbackLLM(seed=seed, service=service, process=True, **how) as server:
        # A thing done for the first time is slow: modules are loaded.
        timed(server, draft_and_judge, load=Load(candidates=1), tuning=Tuning())
        yield server


def extract_parallel(made: Engine, load: Load) -> list[ArticleCard]:
    """Extraction alone."""
    return ParallelArticleExtractor(
        client=made.client, concurrency=made.concurrency
    ).extract_cards_parallel(load.drafts())


def extract_sequential(made: Engine, load: Load) -> list[ArticleCard]:
    """Extraction alone, one at a time."""
    return extract_all_article_cards(load.drafts(), client=made.client)


def score_parallel(made: Engine, load: Load) -> list[ArticleScore]:
    """Scoring alone."""
    return ParallelCardScorer(
        client=made.client, concurrency=made.concurrency
    ).score_cards_parallel(load.cards(), CRITERIA, load.votes)


def score_sequential(made: Engine, load: Load) -> list[ArticleScore]:
    """Scoring alone, one at a time."""
    return score_all_cards_with_voting(
        load.cards(), CRITERIA, load.votes, client=made.client
    )


def judge_parallel(made: Engine, load: Load) -> Judged:
    """Extraction and scoring of drafts that are there."""
    return _flow(made, load)(load.plans_with_text())


def judge_sequential(made: Engine, load: Load) -> Judged:
    """The same, one call at a time."""
    return _loops(made, load)(load.plans_with_text())


def draft_and_judge(made: Engine, load: Load) -> Judged:
    """Candidates, extraction and scoring."""
    return _flow(made, load)(load.plans())


def draft_and_judge_sequential(made: Engine, load: Load) -> Judged:
    """The same, one call at a time."""
    return _loops(made, load)(load.plans())


def whole_parallel(made: Engine, load: Load) -> Any:
    """All six stages."""
    ask = partial(flow.ask_at_once, concurrency=made.concurrency, client=made.client)
    return _whole(made, load, _flow(made, load), ask=ask)


def whole_sequential(made: Engine, load: Load) -> Any:
    """All six stages, one call at a time."""
    return _whole(made, load, _loops(made, load))


def lost(result: Judged | Sequence[ArticleScore], load: Load) -> int:
    """Drafts, cards and votes (or votes alone) that were asked for and are not there."""
    if isinstance(result, Judged):
        found = len(result.candidates) + len(result.cards)
        return load.candidates * 2 - found + lost(result.scores, load)
    without_a_vote = load.candidates - len(result)
    return without_a_vote * opening_votes(load.votes) + sum(s.abstained for s in result)


def _flow(made: Engine, load: Load) -> Callable[[list[CandidatePlan]], Judged]:
    return partial(
        flow.draft_and_judge,
        judging=load.judging,
        concurrency=made.concurrency,
        client=made.client,
    )


def _loops(made: Engine, load: Load) -> Callable[[list[CandidatePlan]], Judged]:
    return partial(sequential.draft_and_judge, judging=load.judging, client=made.client)


def _whole(made: Engine, load: Load, way: Any, *, ask: AskAll | None = None) -> Any:
    today = datetime.now(UTC).date()
    outputs = RunFolder.create(made.folder, "run", today=today)
    job = Job(brief=BRIEF, plans=load.plans())
    return run_pipeline(job, way, outputs=outputs, client=made.client, ask=ask)


@lru_cache(maxsize=256)  # made once: it is not to be timed
def _text(number: int) -> str:
    return article(random.Random(number), name=f"Draft{number}", words=400)


def _card(draft: ArticleCandidate) -> ArticleCard:
    sentences = draft.text.replace("\n", " ").split(". ")
    return ArticleCard(
        article_id=draft.article_id,
        headline_candidates=(draft.text.splitlines()[0],),
        opening_hook=sentences[0],
        core_argument=f"What draft {draft.article_id} says holds.",
        key_points=tuple(sentences[1:4]),
        evidence=(Evidence(sentence=sentences[-1], kind="example"),),
        structure="a claim, three grounds, a call to act",
        sections=("The claim", "The grounds", "The call"),
        tone="plain",
        audience="people who lead small teams",
        memorable_phrases=tuple(sentences[4:6]),
        weaknesses=("few figures",),
        word_count=len(draft.text.split()),
    )
