"""
Promises of the scheduler, over forests of tasks, limits and orders of completion.

No threads: the pool is held in hand, and what completes next is drawn by hypothesis.
"""

import random
import threading
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from parallel.limiter import Limiter
from parallel.scheduler import Ended, Events, Scheduler, Stopped, Task
from tests.task_fakes import HandPool, fails

STAGES = ("generate", "extract", "score")
ENDPOINTS = ("near", "far")


class WrongKeyError(Exception):
    """Ends the run."""


@dataclass(frozen=True)
class Plan:
    """One task as drawn; `leader` is an earlier task, or none."""

    leader: int | None
    rank: int
    stage: str
    endpoint: str
    end: str


@dataclass(frozen=True)
class Bounds:
    """Limits as drawn."""

    total: int
    stages: dict[str, int]
    endpoints: dict[str, int]


@st.composite
def forests(
    draw: st.DrawFn, ends: tuple[str, ...] = ("ok", "ok", "fails")
) -> list[Plan]:
    size = draw(st.integers(0, 25))
    return [
        Plan(
            leader=draw(st.none() | st.integers(0, n - 1)) if n else None,
            rank=draw(st.integers(0, 3)),
            stage=draw(st.sampled_from(STAGES)),
            endpoint=draw(st.sampled_from(ENDPOINTS)),
            end=draw(st.sampled_from(ends)),
        )
        for n in range(size)
    ]


BOUNDS = st.builds(
    Bounds,
    total=st.integers(1, 6),
    stages=st.dictionaries(st.sampled_from(STAGES), st.integers(1, 4)),
    endpoints=st.fixed_dictionaries({name: st.integers(1, 4) for name in ENDPOINTS}),
)


class Rehearsal:
    """Runs a forest and watches every start against a model of its own."""

    def __init__(
        self,
        plans: list[Plan],
        bounds: Bounds,
        rng: random.Random,
        *,
        stop_after: int | None = None,
    ) -> None:
        self.plans, self.bounds = plans, bounds
        self._rng, self._stop_after = rng, stop_after
        self._pool, self._stop = HandPool(), threading.Event()
        self._limiter = Limiter(bounds.total, stage_limits=bounds.stages)
        for name, most in bounds.endpoints.items():
            self._limiter.endpoint(name, max_in_flight=most)
        self._waits = 0
        self._places: dict[int, tuple[tuple[int, ...], int]] = {}
        self.ready: set[int] = set()
        self.outstanding: set[int] = set()
        self.holding: set[int] = set()  # a permit
        self.started: list[int] = []
        self.ran: Counter[int] = Counter()
        self.done: dict[int, object] = {}
        self.failed: list[int] = []
        self.is_ending = False

    def run(self) -> dict[int, object]:
        scheduler = Scheduler(
            limiter=self._limiter,
            is_fatal=lambda error: isinstance(error, WrongKeyError),
            on_started=self._watch_start,
            on_done=self._note_done,
            on_failed=self._note_failed,
            on_stopping=self._note_ending,
            stop=self._stop,
            make_executor=lambda _: self._pool,
            next_event=self._complete_one,
        )
        return cast(dict[int, object], scheduler.run(self._followers(None)))

    @property
    def permits(self) -> int:
        """Those that nobody gave back."""
        return self._limiter.in_flight()

    def place(self, n: int) -> tuple[tuple[int, ...], int]:
        return self._places[n]

    def has_room(self, plan: Plan) -> bool:
        """Room for one more task like this one beside those that hold a permit."""
        plans = [self.plans[n] for n in self.holding]
        in_stage = sum(other.stage == plan.stage for other in plans)
        at_endpoint = sum(other.endpoint == plan.endpoint for other in plans)
        return (
            len(plans) < self.bounds.total
            and in_stage < self.bounds.stages.get(plan.stage, 99)
            and at_endpoint < self.bounds.endpoints[plan.endpoint]
        )

    def _followers(self, leader: int | None) -> list[Task]:
        tasks = []
        for n, plan in enumerate(self.plans):
            if plan.leader == leader:
                self._places[n] = ((plan.rank,), len(self._places))
                self.ready.add(n)
                tasks.append(self._task(n, plan))
        return tasks

    def _task(self, n: int, plan: Plan) -> Task:
        def work() -> object:
            self.ran[n] += 1
            self.holding.remove(n)
            if plan.end == "fatal":
                raise WrongKeyError
            return f"result {n}" if plan.end == "ok" else fails()()

        return Task(
            key=n,
            rank=(plan.rank,),
            stage=plan.stage,
            endpoint=plan.endpoint,
            run=work,
            then=lambda _result: self._followers(n),
        )

    def _watch_start(self, task: Task) -> None:
        n = task.key
        assert isinstance(n, int)
        assert not self.is_ending
        assert self.has_room(self.plans[n])
        earlier = [m for m in self.ready if self.place(m) < self.place(n)]
        assert not [m for m in earlier if self.has_room(self.plans[m])]
        self.ready.remove(n)
        self.outstanding.add(n)
        self.holding.add(n)
        self.started.append(n)

    def _note_done(self, task: Task, result: object) -> None:
        assert isinstance(task.key, int)
        self.outstanding.remove(task.key)
        self.done[task.key] = result

    def _note_failed(self, task: Task, _error: Exception) -> None:
        assert isinstance(task.key, int)
        self.outstanding.remove(task.key)
        self.failed.append(task.key)

    def _note_ending(self) -> None:
        assert not self.is_ending
        self.is_ending = True

    def _complete_one(self, events: Events, _patience_s: float) -> Ended | None:
        """Before the scheduler waits: time to complete one."""
        if self._pool.held:
            self._pool.held.pop(self._rng.randrange(len(self._pool.held)))()
        if self._stop_after == sum(self.ran.values()):
            self._stop.set()
        self._waits += 1
        assert self._waits < 1000, "it waits for what never comes"
        return None if events.empty() else events.get()


@given(forests(), BOUNDS, st.randoms(use_true_random=False))
def test_nothing_is_forgotten_run_twice_out_of_order_or_past_a_limit(
    plans: list[Plan], bounds: Bounds, rng: random.Random
) -> None:
    rehearsal = Rehearsal(plans, bounds, rng)
    results = rehearsal.run()
    reached: set[int] = set()
    for n, plan in enumerate(plans):
        leader = plan.leader
        if leader is None or (leader in reached and plans[leader].end == "ok"):
            reached.add(n)
    fine = {n for n in reached if plans[n].end == "ok"}
    assert rehearsal.ran == Counter(reached)
    assert results == {n: f"result {n}" for n in fine} == rehearsal.done
    assert list(results) == sorted(results, key=rehearsal.place)
    assert sorted(rehearsal.failed) == sorted(reached - fine)
    assert not rehearsal.outstanding
    assert rehearsal.permits == 0


@given(
    forests(),
    st.randoms(use_true_random=False),
    st.randoms(use_true_random=False),
    BOUNDS,
    BOUNDS,
)
def test_results_do_not_depend_on_limits_or_on_the_order_of_completion(
    plans: list[Plan],
    rng: random.Random,
    other_rng: random.Random,
    bounds: Bounds,
    other: Bounds,
) -> None:
    assert (
        Rehearsal(plans, bounds, rng).run() == Rehearsal(plans, other, other_rng).run()
    )


@given(forests(), BOUNDS, st.randoms(use_true_random=False), st.integers(0, 12))
def test_a_stopped_run_ends_with_what_is_done_and_loses_nothing_that_ran(
    plans: list[Plan], bounds: Bounds, rng: random.Random, stop_after: int
) -> None:
    rehearsal = Rehearsal(plans, bounds, rng, stop_after=stop_after)
    try:
        results: dict[Hashable, object] = dict(rehearsal.run().items())
    except Stopped as stopped:
        results = stopped.results
    assert rehearsal.is_ending or not rehearsal.ready
    assert results == rehearsal.done
    _assert_what_ran_is_reported(rehearsal)


@given(
    forests(("ok", "ok", "ok", "fails", "fatal")),
    BOUNDS,
    st.randoms(use_true_random=False),
)
def test_a_fatal_error_ends_the_run_and_loses_nothing_that_ran(
    plans: list[Plan], bounds: Bounds, rng: random.Random
) -> None:
    rehearsal = Rehearsal(plans, bounds, rng)
    try:
        rehearsal.run()
    except WrongKeyError:
        assert rehearsal.is_ending
    else:
        assert not [n for n in rehearsal.ran if plans[n].end == "fatal"]
    _assert_what_ran_is_reported(rehearsal)


def _assert_what_ran_is_reported(rehearsal: Rehearsal) -> None:
    assert set(rehearsal.ran) <= set(rehearsal.started)
    assert sorted(rehearsal.ran.elements()) == sorted(
        [*rehearsal.done, *rehearsal.failed]
    )
