"""Greedy schedules and lower bounds, on examples small enough for a hand."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.schedule import Job, greedy_makespan, jobs_from_log, lower_bound
from tests.loopback_ask import ask, schema_format
from tests.loopback_llm import LoopbackLLM, Uniform

NO_DEADLINE = settings(deadline=None)  # the machine may be busy
CLAIM = {"type": "object", "properties": {"claim": {"type": "string"}}}


def free(*times_s: float) -> list[Job]:
    return [Job(str(n), (n,), time_s) for n, time_s in enumerate(times_s)]


def test_one_place_takes_all_in_turn() -> None:
    assert greedy_makespan(free(1, 2, 3), 1) == 6
    assert lower_bound(free(1, 2, 3), 1) == 6


def test_a_free_place_takes_the_next() -> None:
    # 3 and 1 start; 1 ends and 2 starts, until 3; then 4 runs from 3 to 7.
    assert greedy_makespan(free(3, 1, 2, 4), 2) == 7
    assert lower_bound(free(3, 1, 2, 4), 2) == 5


def test_the_smaller_rank_goes_first() -> None:
    short_first = [Job("a", (0,), 1), Job("b", (1,), 1), Job("c", (2,), 4)]
    long_first = [Job("a", (1,), 1), Job("b", (2,), 1), Job("c", (0,), 4)]
    assert greedy_makespan(short_first, 2) == 5
    assert greedy_makespan(long_first, 2) == 4


def test_a_job_waits_for_the_one_before_it() -> None:
    chain = [Job("draft", (0,), 2), Job("card", (1,), 3, after="draft")]
    votes = [Job(f"vote {n}", (2, n), 1, after="card") for n in range(3)]
    # 2 + 3, then two votes at once, then the third.
    assert greedy_makespan([*votes, *chain], 2) == 7
    assert lower_bound([*votes, *chain], 2) == 6
    assert greedy_makespan([*chain, *votes], 64) == 6


def test_other_work_fills_the_wait() -> None:
    jobs = [
        Job("draft 1", (0, 1), 1),
        Job("draft 2", (0, 2), 3),
        Job("card 1", (1, 1), 1, after="draft 1"),
        Job("card 2", (1, 2), 2, after="draft 2"),
        Job("vote 1", (2, 1), 1, after="card 1"),
    ]
    assert greedy_makespan(jobs, 2) == 5
    assert lower_bound(jobs, 2) == 5


def test_nothing_takes_no_time() -> None:
    assert greedy_makespan([], 4) == 0
    assert lower_bound([], 4) == 0


@pytest.mark.parametrize(
    "jobs",
    [
        [Job("a", (0,), 1, after="missing")],
        [Job("a", (0,), 1, after="b"), Job("b", (0,), 1, after="a")],
    ],
)
def test_a_wait_without_end_is_an_error(jobs: list[Job]) -> None:
    with pytest.raises(ValueError, match="never ends"):
        greedy_makespan(jobs, 2)


TIMES_S = st.lists(st.floats(0.01, 9.0), min_size=1, max_size=12)


@NO_DEADLINE
@given(TIMES_S, st.data(), st.integers(1, 6))
def test_greedy_lies_between_the_bound_and_one_at_a_time(
    times_s: list[float], data: st.DataObject, c: int
) -> None:
    jobs = []
    for number, time_s in enumerate(times_s):
        before = data.draw(st.none() | st.integers(0, number - 1)) if number else None
        after = None if before is None else str(before)
        jobs.append(Job(str(number), (number,), time_s, after))
    greedy_s = greedy_makespan(jobs, c)
    assert lower_bound(jobs, c) <= greedy_s * (1 + 1e-9)
    assert greedy_s <= sum(times_s) * (1 + 1e-9)


def test_a_log_tells_what_was_made_from_what() -> None:
    def form(name: str) -> dict[str, object]:
        return {"response_format": schema_format(name, CLAIM)}

    with LoopbackLLM(service=Uniform(0.0, 0.001), keep_bodies=True) as server:
        drafts = [ask(server, f"Write {n}.").content for n in range(2)]
        cards = [
            json.loads(ask(server, f"Card: {draft}", **form("article_card")).content)
            for draft in reversed(drafts)
        ]
        for card in cards:
            for vote in range(2):
                ask(server, f"Judge: {card}", seed=vote, **form("article_score"))
        ask(server, f"Write, and not like {drafts[0]}")  # made from nothing
        ask(server, "Select.", **form("synthesis_blueprint"))
        ask(server, "Card of the final.", **form("article_card"))  # after the end
    jobs = {job.key: job for job in jobs_from_log(server.log())}
    items = [one.item for one in server.log()][:-2]
    assert set(jobs) == set(items)
    chain = [jobs[item].after for item in items]
    first, second, *_ = items
    cards_used = [items[2], items[2], items[3], items[3]]
    assert chain == [None, None, second, first, *cards_used, None]
    ranks = [jobs[item].rank for item in items[:-1]]
    assert ranks == [(0, 0), (0, 1), (1, 1), (1, 0), (2, 1), (2, 1), (2, 0), (2, 0)]
    for served in server.log()[:-2]:
        assert jobs[served.item].service_s == served.service_s


def test_a_log_without_bodies_is_refused() -> None:
    with LoopbackLLM() as server:
        ask(server)
    with pytest.raises(ValueError, match="keep_bodies"):
        jobs_from_log(server.log())
