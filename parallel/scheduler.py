"""
Runs tasks in order of rank, many at once, without stages or barriers.

A task names its rank and, in `then`, the tasks that follow it. How many may run is the
limiter's to say: a task starts with the permit for its first call in hand. The scheduler
does not know what a task does. It never repeats one, never interrupts one under way, and
draws nothing.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from parallel.limiter import Limiter, Permit
from pipeline.errors import EndpointDown

TICK_S = 0.2
MOST_THREADS = 4096  # permits and sleepers bound them, long before


def no_more(_result: object) -> Iterable[Task]:
    """Nothing follows this task."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work, where it stands in the order, and what follows it."""

    key: Hashable  # unique in a run; results are joined by it
    rank: tuple[int, ...]  # the smallest starts first; ties in order of insertion
    stage: str
    endpoint: str = ""  # whose permit it starts with
    run: Callable[[], object]  # called once, on a worker thread
    then: Callable[[Any], Iterable[Task]] = no_more  # on the scheduler's own thread


class Ended(NamedTuple):
    """What became of a task; without `has_run`, it was dropped before it started."""

    task: Task
    result: object = None
    error: BaseException | None = None
    has_run: bool = True


Events = queue.SimpleQueue[Ended | None]
"""Outcomes of tasks, and None where it is time to look at the limiter again."""


def next_event(events: Events, patience_s: float) -> Ended | None:
    """The next ended; None when there is none within that time."""
    try:
        return events.get(timeout=patience_s)
    except queue.Empty:
        return None


class Stopped(RuntimeError):
    """The stop event was set before all tasks were done."""

    def __init__(self, results: dict[Hashable, object]) -> None:
        """Carry what was finished, by key, in rank order."""
        super().__init__(f"stopped with {len(results)} tasks done")
        self.results = results


@dataclass(slots=True, kw_only=True, eq=False)
class Scheduler:
    """
    Runs tasks and what follows them, each as soon as it may start.

    With a `limiter` a task waits for a permit of its endpoint and stage; `max_tasks`
    bounds those under way, for callers whose calls are limited elsewhere. Every callback
    is called on the thread of run(), so they need no locks among themselves, and a slow
    one delays the next start. `on_stopping` is called once when a run ends early, before
    tasks under way are awaited: the place to cut their sleeps short.
    """

    limiter: Limiter | None = None
    max_tasks: int | None = None
    is_fatal: Callable[[Exception], bool] = lambda _error: False
    on_started: Callable[[Task], None] | None = None
    on_done: Callable[[Task, object], None] | None = None
    on_failed: Callable[[Task, Exception], None] | None = None
    on_stopping: Callable[[], None] | None = None
    stop: threading.Event | None = None
    make_executor: Callable[[int], Executor] = ThreadPoolExecutor
    next_event: Callable[[Events, float], Ended | None] = next_event

    def run(self, tasks: Iterable[Task]) -> dict[Hashable, object]:
        """Results of the tasks that succeeded, by key, in rank order.

        A task that raises is reported to `on_failed`, and nothing follows it. When
        `is_fatal` says so, or `stop` is set, nothing more starts, tasks under way are
        awaited and recorded without their `then`; then the first fatal error or
        `Stopped` is raised. An error of a callback or a repeated key escapes once
        tasks under way have ended, KeyboardInterrupt at once.
        """
        run = _Run(self)
        limiter = self.limiter
        try:
            with limiter.listening(run.wake) if limiter else nullcontext():
                run.serve(tasks)
        except BaseException as error:
            run.give_up(wait=isinstance(error, Exception))
            raise
        return run.results_or_raise()


# Where a task stands among the ready ones: its rank, then a number that no other has.
_Order = tuple[tuple[int, ...], int]
_Heaps = dict[tuple[str, str], list[tuple[_Order, Task]]]


@dataclass(slots=True)
class _Ready:
    """Tasks that may start, in order; those of a full endpoint or stage are passed by."""

    _heaps: _Heaps = field(default_factory=dict)

    def add(self, order: _Order, task: Task) -> None:
        heap = self._heaps.setdefault((task.endpoint, task.stage), [])
        heapq.heappush(heap, (order, task))

    def __bool__(self) -> bool:
        return any(self._heaps.values())

    def firsts(self) -> list[Task]:
        """The first task of each endpoint and stage, in order."""
        return [task for _, task in sorted(h[0] for h in self._heaps.values() if h)]

    def remove(self, first: Task) -> None:
        heapq.heappop(self._heaps[first.endpoint, first.stage])


class _Run:
    """One call of run(): its pool, its ready tasks and its results."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._ask = scheduler
        self._events: Events = queue.SimpleQueue()
        self._ready = _Ready()
        self._under_way = 0
        self._pool = scheduler.make_executor(scheduler.max_tasks or MOST_THREADS)
        self._orders: dict[Hashable, _Order] = {}
        self._results: dict[Hashable, object] = {}
        self._is_ending = False  # read by workers; only the thread of run() sets it
        self._is_stopped = False
        self._fatal: Exception | None = None

    def wake(self) -> None:
        """Look at the limiter again; for any thread."""
        self._events.put(None)

    def serve(self, tasks: Iterable[Task]) -> None:
        """Start tasks as permits come free until nothing is left to wait for."""
        self._add(tasks)
        while True:
            self._start_what_may_start()
            if not self._under_way and (self._is_ending or not self._ready):
                return
            self._await_one()

    def give_up(self, *, wait: bool) -> None:
        """Drop what has not started."""
        try:
            self._end()
        finally:
            self._pool.shutdown(wait=wait, cancel_futures=True)

    def results_or_raise(self) -> dict[Hashable, object]:
        """Results in rank order, or the reason why the run ended early."""
        self._pool.shutdown()
        error, self._fatal = self._fatal, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame, and so all results
        in_order = sorted(self._results, key=self._orders.__getitem__)
        results = {key: self._results[key] for key in in_order}
        if self._is_stopped:
            raise Stopped(results)
        return results

    def _add(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if task.key in self._orders:
                message = f"two tasks with the key {task.key!r}"
                raise ValueError(message)
            order = (task.rank, len(self._orders))
            self._orders[task.key] = order
            self._ready.add(order, task)

    def _start_what_may_start(self) -> None:
        while not self._must_end() and self._start_one():
            pass

    def _start_one(self) -> bool:
        """Start the first task in order that gets a permit; False when none does."""
        most, limiter = self._ask.max_tasks, self._ask.limiter
        if most is not None and self._under_way >= most:
            return False
        for task in self._ready.firsts():
            permit = None
            if limiter is not None:
                try:
                    permit = limiter.reserve(task.endpoint, task.stage)
                    if permit is None:
                        continue
                except EndpointDown:  # for the task to find out, which may go elsewhere
                    pass
            self._ready.remove(task)
            self._start(task, permit)
            return True
        return False

    def _start(self, task: Task, permit: Permit | None) -> None:
        self._under_way += 1
        if self._ask.on_started:
            self._ask.on_started(task)
        try:
            self._pool.submit(self._work, task, permit)
        except RuntimeError as error:
            # The pool had queued the task before it wanted a thread: those there are
            # will run it, and to run it here would be to run it twice.
            if self._under_way == 1:
                message = f"not one thread started ({error}); free memory or processes"
                raise RuntimeError(message) from error

    def _must_end(self) -> bool:
        if not self._is_ending and self._ask.stop is not None:
            self._is_stopped = self._ask.stop.is_set()
            if self._is_stopped:
                self._end()
        return self._is_ending

    def _end(self) -> None:
        if not self._is_ending:
            self._is_ending = True
            if self._ask.on_stopping:
                self._ask.on_stopping()

    def _work(self, task: Task, permit: Permit | None) -> None:
        """The worker boundary: whatever happens, one end is reported."""
        # Never by a name of this frame, which an error's traceback may hold.
        self._events.put(self._ended(task, permit))

    def _ended(self, task: Task, permit: Permit | None) -> Ended:
        with permit.lent() if permit else nullcontext():
            if self._is_ending:
                return Ended(task, has_run=False)
            try:
                return Ended(task, task.run())
            except BaseException as error:  # noqa: BLE001 - a lost end hangs the run; run() judges it
                return Ended(task, error=error)

    def _await_one(self) -> None:
        """Handle one ended. The wait is bounded so that signals are seen."""
        ended = self._ask.next_event(self._events, self._patience_s())
        if ended is not None:
            self._under_way -= 1
            self._record(ended)

    def _patience_s(self) -> float:
        """Seconds after which time alone may have let a task start."""
        limiter = self._ask.limiter
        if limiter is None or not self._ready or self._is_ending:
            return TICK_S
        return min(TICK_S, limiter.held_s(t.endpoint for t in self._ready.firsts()))

    def _record(self, ended: Ended) -> None:
        task, result, error, has_run = ended
        if isinstance(error, Exception):
            self._record_failure(task, error)
        elif error is not None:
            raise error
        elif has_run:
            self._results[task.key] = result
            if self._ask.on_done:
                self._ask.on_done(task, result)
            if not self._must_end():
                self._add(task.then(result))

    def _record_failure(self, task: Task, error: Exception) -> None:
        # Judged first: a task that waits for a thread must not start meanwhile.
        if self._ask.is_fatal(error):
            self._fatal = self._fatal or error
            self._end()
        if self._ask.on_failed:
            self._ask.on_failed(task, error)
