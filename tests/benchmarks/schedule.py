"""
What a perfect client would have needed: greedy schedules and lower bounds.

A job has a rank, a time and at most one job before it. Pure arithmetic over the
simulated server's log; it runs nothing.
"""

import heapq
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.loopback_log import Served

_ORDER = {"generate": 0, "extract": 1, "score": 2}


@dataclass(frozen=True, slots=True)
class Job:
    """One call: smaller ranks go first; it may start once `after` has ended."""

    key: str
    rank: tuple[int, ...]
    service_s: float
    after: str | None = None


def greedy_makespan(jobs: Iterable[Job], c: int) -> float:
    """
    Seconds until the last job ends, with `c` at once and never an idle place.

    Whenever a place is free, the ready job of the smallest rank takes it. Raises
    ValueError when a job waits for one that is not there, or in a circle.
    """
    followers: defaultdict[str | None, list[Job]] = defaultdict(list)
    for job in jobs:
        followers[job.after].append(job)
    ready = [(job.rank, job.key, job) for job in followers.pop(None, [])]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now_s = 0.0
    while ready or running:
        while ready and len(running) < c:
            _, key, job = heapq.heappop(ready)
            heapq.heappush(running, (now_s + job.service_s, key))
        now_s, ended = heapq.heappop(running)
        for job in followers.pop(ended, []):
            heapq.heappush(ready, (job.rank, job.key, job))
    if followers:
        raise ValueError(
            f"jobs wait for what never ends: {sorted(map(str, followers))}"
        )
    return now_s


def lower_bound(jobs: Sequence[Job], c: int) -> float:
    """Seconds that no schedule can beat: all work over `c`, or the longest chain."""
    by_key = {job.key: job for job in jobs}

    def chain_s(job: Job) -> float:
        before = by_key.get(job.after) if job.after is not None else None
        return job.service_s + (chain_s(before) if before is not None else 0.0)

    total_s = sum(job.service_s for job in jobs)
    return max(total_s / c, max(map(chain_s, jobs), default=0.0))


def jobs_from_log(log: Iterable[Served]) -> list[Job]:
    """
    The candidates, extractions and votes up to the first SELECT, and what each waits for.

    Needs a log with bodies: an answer carries a coined name, and the request that uses
    it names it too. Attempts that failed are left out. Ranks are stage first, then the
    order in which the candidates were asked for.
    """
    good = sorted((one for one in log if one.is_good), key=lambda one: one.arrived_s)
    good = list(itertools.takewhile(lambda one: one.stage != "select", good))
    made_by = {one.name: one for one in good if one.stage in {"generate", "extract"}}
    numbers: dict[str, int] = {}  # of an item: its candidate's place
    candidates = itertools.count()
    jobs: list[Job] = []
    for stage in _ORDER:
        for one in (one for one in good if one.stage == stage):
            before = _source(one, made_by)
            numbers[one.item] = numbers[before.item] if before else next(candidates)
            rank = (_ORDER[stage], numbers[one.item])
            after = before.item if before else None
            jobs.append(Job(one.item, rank, one.service_s, after))
    return jobs


def _source(served: Served, made_by: dict[str, Served]) -> Served | None:
    """The latest answer whose name the request contains."""
    if served.body is None:
        raise ValueError("jobs_from_log needs a server with keep_bodies=True")
    text = json.dumps(served.body["messages"], ensure_ascii=False)
    earlier = [
        one
        for name, one in made_by.items()
        if _ORDER[one.stage] < _ORDER[served.stage] and name in text
    ]
    return max(earlier, key=lambda one: _ORDER[one.stage], default=None)
