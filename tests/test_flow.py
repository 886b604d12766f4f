"""The parallel way equals the sequential one, whatever ends first."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel import flow
from parallel.errors import ThreadSafeErrorCollector
from parallel.stage import Concurrency
from pipeline import run as sequential
from pipeline.errors import EndpointRejected, ItemRejected, PipelineError
from pipeline.generate import candidate_plans, plans_from_texts
from pipeline.job import Job
from pipeline.judging.panel import Judge, Panel
from pipeline.judging.questions import ask_one_by_one
from pipeline.judging.schemes import Judging
from pipeline.records import ArticleCandidate, CandidatePlan, FailedItem
from pipeline.run import run_pipeline
from pipeline.work import Watch
from tests.loopback_service import chance_of
from tests.stage_fakes import (
    BRIEF,
    DRAFT,
    FAILSAFE_S,
    FULL,
    SEEDS,
    SHORT,
    Asked,
    Kept,
    Scripted,
    refuse,
    stand,
    usual,
)
from tests.task_fakes import Crowd, drawn_order, limited

STAGES = ("generate", "extract", "score", "gate")
WRITER_BRIEF = replace(BRIEF, words=60)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run as drawn; `lost` is the share of calls of each stage that fail."""

    drafts: int
    mode: str
    votes: int | Literal["auto"]
    judges: int
    lost: dict[str, float]
    seed: int
    is_short: bool

    def answer(self, asked: Asked) -> Any:
        if asked.stage in self.lost:
            chance = chance_of(self.seed, *asked.key)
            if chance < self.lost[asked.stage]:
                return ItemRejected(f"lost {asked.stage}")
        return None


CASES = st.builds(
    Case,
    drafts=st.integers(1, 6),
    mode=st.sampled_from(["absolute", "absolute", "pairwise", "funnel"]),
    votes=st.integers(1, 4) | st.just("auto"),
    judges=st.integers(1, 3),
    lost=st.fixed_dictionaries(
        {stage: st.sampled_from([0.0, 0.2, 0.5]) for stage in STAGES}
    ),
    seed=SEEDS,
    is_short=st.booleans(),
)
LIMITS = st.builds(
    limited,
    st.integers(1, 12),
    st.dictionaries(st.sampled_from(STAGES), st.integers(1, 6)),
)

Way = Callable[..., Any]


def files(case: Case, way: Way, ask: Way = ask_one_by_one) -> dict[str, str]:
    """What a whole run leaves behind, or the line that it ends with."""
    main = SHORT if case.is_short else FULL
    names = [f"judge {number}" for number in range(1, case.judges)]
    others = {
        name: Scripted(case.answer, preset=replace(FULL, name=name)) for name in names
    }
    one = stand(case.answer, preset=main, others=others)
    kept, errors = Kept(), ThreadSafeErrorCollector()

    def on_candidate(candidate: ArticleCandidate) -> None:
        kept.write_candidate(candidate.article_id, candidate.preset, candidate.text)

    def failed() -> list[FailedItem]:
        found = errors.get_errors()
        return [FailedItem(item=str(e.item_id), reason=e.reason) for e in found]

    watch = Watch(
        on_failed=lambda _stage, name, error: errors.add_error(name, error),
        on_candidate=on_candidate,
    )
    ids = range(1, case.drafts + 2)
    panel = Panel(
        judges=tuple(Judge(preset=n, family=n) for n in (main.name, *names)),
        # The first two judges wrote some of the drafts, the first one the article.
        authors={i: (main.name, *names)[i % min(2, case.judges)] for i in ids}
        | {ids[-1]: main.name},
    )
    judging = Judging(mode=case.mode, votes=case.votes, panel=panel)
    job = Job(
        brief=WRITER_BRIEF,
        plans=candidate_plans(WRITER_BRIEF, iterations=case.drafts),
        judging=judging,
        synthesis_retries=1,
        failed=failed,
    )
    try:
        run_pipeline(
            job,
            partial(way, judging=judging, client=one.client, watch=watch),
            outputs=kept,
            client=one.client,
            ask=partial(ask, client=one.client, watch=watch),
            watch=watch,
        )
    except PipelineError as error:
        kept.files["error"] = str(error)
    drafts = {f"draft {number}": text for number, text in kept.drafts.items()}
    return kept.files | drafts


@given(case=CASES, limits=LIMITS, order=SEEDS)
@settings(max_examples=40)
def test_parallel_equals_sequential_in_any_order_at_any_concurrency(
    case: Case, limits: Concurrency, order: int
) -> None:
    one_by_one = files(case, sequential.draft_and_judge)
    with drawn_order(order):
        at_once = files(
            case,
            partial(flow.draft_and_judge, concurrency=limits),
            partial(flow.ask_at_once, concurrency=limits),
        )
    assert at_once == one_by_one


@given(orders=st.tuples(SEEDS, SEEDS), mode=st.sampled_from(["absolute", "pairwise"]))
@settings(max_examples=8)
def test_the_same_requests_are_sent_in_any_order(
    orders: tuple[int, int], mode: str
) -> None:
    def requests(order: int) -> list[str]:
        one = stand()
        with drawn_order(order):
            judge(candidate_plans(WRITER_BRIEF, iterations=4), one.client, mode=mode)
        return sorted(repr(asked.body) for asked in one.asked)

    first, second = map(requests, orders)
    assert first == second
    assert len(first) == 4 + 4 + 12


def judge(
    plans: Sequence[CandidatePlan],
    client: Any,
    *,
    limits: Concurrency | None = None,
    mode: str = "absolute",
    watch: Watch | None = None,
) -> Any:
    return flow.draft_and_judge(
        plans,
        judging=Judging(mode=mode),
        concurrency=limits or limited(4),
        client=client,
        watch=watch or Watch(),
    )


def test_a_card_is_judged_while_other_drafts_are_still_being_written() -> None:
    was_judged = threading.Event()

    def answer(asked: Asked) -> None:
        if asked.stage == "score" and asked.item_id == "1":
            was_judged.set()
        if asked.stage == "generate" and asked.item_id != "1":
            assert was_judged.wait(FAILSAFE_S), "a stage waited for another"

    one = stand(answer)
    judged = judge(candidate_plans(WRITER_BRIEF, iterations=4), one.client)
    assert [s.article_id for s in judged.scores] == [1, 2, 3, 4]


def test_given_drafts_are_judged_beside_those_to_be_written() -> None:
    one = stand()
    plans = [
        *plans_from_texts(WRITER_BRIEF, [("given", DRAFT)]),
        CandidatePlan(article_id=2, brief=WRITER_BRIEF),
    ]
    judged = judge(plans, one.client)
    assert [c.article_id for c in judged.candidates] == [1, 2]
    assert judged.candidates[0].text == DRAFT
    assert [c.article_id for c in judged.cards] == [1, 2]
    assert [s.article_id for s in judged.scores] == [1, 2]


def test_drafts_alone_are_neither_extracted_nor_scored() -> None:
    one = stand()
    judged = flow.draft_and_judge(
        candidate_plans(WRITER_BRIEF, iterations=3),
        judging=Judging(is_wanted=False),
        concurrency=limited(4),
        client=one.client,
    )
    assert [asked.stage for asked in one.asked] == ["generate"] * 3
    assert (len(judged.candidates), judged.cards, judged.scores) == (3, [], [])


@pytest.mark.parametrize("mode", ["absolute", "pairwise"])
def test_never_more_than_the_limit_are_in_flight_over_all_stages(mode: str) -> None:
    crowd = Crowd(3)

    def answer(_asked: Asked) -> None:
        with crowd.inside():
            pass

    judge(
        candidate_plans(WRITER_BRIEF, iterations=5),
        stand(answer).client,
        limits=limited(3),
        mode=mode,
    )
    assert crowd.peak <= 3


def test_each_stage_keeps_its_own_limit() -> None:
    crowds = {"generate": Crowd(4), "extract": Crowd(2), "score": Crowd(3)}

    def answer(asked: Asked) -> None:
        with crowds[asked.stage].inside():
            pass

    judge(
        candidate_plans(WRITER_BRIEF, iterations=6),
        stand(answer).client,
        limits=limited(9, {"generate": 4, "extract": 2, "score": 3}),
    )
    assert {name: c.peak <= c.limit for name, c in crowds.items()} == dict.fromkeys(
        crowds, True
    )


def test_what_ends_the_run_ends_it_and_starts_nothing_more() -> None:
    def answer(asked: Asked) -> Any:
        return EndpointRejected("quota") if asked.item_id == "2" else usual(asked)

    one = stand(answer)
    failed: list[str] = []
    watch = Watch(on_failed=lambda _stage, name, _error: failed.append(name))
    with drawn_order(0), pytest.raises(EndpointRejected, match="quota"):
        judge(
            candidate_plans(WRITER_BRIEF, iterations=30),
            one.client,
            limits=limited(2),
            watch=watch,
        )
    assert len(one.asked) < 12
    assert failed == []


def test_failed_items_are_reported_once_each_with_their_stage() -> None:
    one = stand(refuse(("generate", "1"), ("extract", "2"), ("score", "3", 2)))
    failed: list[tuple[str, str]] = []
    done: list[str] = []
    watch = Watch(
        on_failed=lambda stage, name, _error: failed.append((stage, name)),
        on_done=lambda _stage, name: done.append(name),
    )
    judged = judge(candidate_plans(WRITER_BRIEF, iterations=3), one.client, watch=watch)
    assert sorted(failed) == [
        ("extract", "card 2"),
        ("generate", "candidate 1"),
        ("score", "vote 2 on card 3"),
    ]
    assert sorted(done) == [
        "candidate 2",
        "candidate 3",
        "card 3",
        "vote 1 on card 3",
        "vote 3 on card 3",
    ]
    assert [s.abstained for s in judged.scores] == [1]
