"""
Runs tasks in order of rank, many at once, without stages or barriers.

A task names its rank and, in `then`, the tasks that follow it. The scheduler does
not know what a task does. It never repeats one, never interrupts one under way,
and draws nothing.
"""

import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from parallel.window import Limits, Place, Task, Window

__all__ = ["TICK_S", "Scheduler", "Stopped", "Task", "never"]

TICK_S = 0.2


def never(_error: Exception) -> bool:
    """No error ends the run; each ends its own task."""
    return False


class Stopped(RuntimeError):
    """The stop event was set before all tasks were done."""

    def __init__(self, results: dict[Hashable, object]) -> None:
        """Carry what was finished, by key, in rank order."""
        super().__init__(f"stopped with {len(results)} tasks done")
        self.results = results


@dataclass(slots=True, kw_only=True, eq=False)
class Scheduler:
    """
    Runs tasks and what follows them, at most so many at once.

    Every callback, `then`, `room`, `extra_room` and `is_fatal` are called on the
    thread of run(), so they need no locks among themselves, and a slow one delays the
    next start. `room(lane)` is how many tasks of the lane may be outstanding;
    `extra_room()` is how many outstanding tasks only sleep, and so leave their places
    to others. Both are read before each start. `on_stopping` is called once when a run
    ends early, before tasks under way are awaited: the place to cut their sleeps short.
    """

    max_in_flight: int
    group_limits: Mapping[str, int] | None = None
    room: Callable[[str], int] | None = None
    extra_room: Callable[[], int] | None = None
    is_fatal: Callable[[Exception], bool] = never
    on_started: Callable[[Task], None] | None = None
    on_done: Callable[[Task, object], None] | None = None
    on_failed: Callable[[Task, Exception], None] | None = None
    on_tick: Callable[[], None] | None = None  # about every TICK_S
    on_stopping: Callable[[], None] | None = None
    stop: threading.Event | None = None
    max_threads: int | None = None  # with the sleepers; None: 4 a place and 16
    make_executor: Callable[[int], Executor] = ThreadPoolExecutor
    clock: Callable[[], float] = time.monotonic
    limits: Limits = field(init=False)
    _events: "queue.SimpleQueue[_Outcome | None]" = field(
        init=False, default_factory=queue.SimpleQueue
    )

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever start."""
        threads = self.max_threads
        self.limits = Limits(
            max_in_flight=self.max_in_flight,
            max_threads=4 * self.max_in_flight + 16 if threads is None else threads,
            groups=self.group_limits or {},
            room=self.room,
            extra_room=self.extra_room,
        )

    def run(self, tasks: Iterable[Task]) -> dict[Hashable, object]:
        """
        Results of the tasks that succeeded, by key, in rank order.

        A task that raises is reported to `on_failed`, and nothing follows it. When
        `is_fatal` says so, or `stop` is set, nothing more starts, tasks under way are
        awaited and recorded without their `then`; then the first fatal error or
        `Stopped` is raised. An error of a callback or a repeated key escapes once
        tasks under way have ended, KeyboardInterrupt at once. One run at a time.
        """
        self._events = queue.SimpleQueue()
        run = _Run(self, self._events)
        try:
            run.serve(tasks)
        except BaseException as error:
            run.give_up(wait=isinstance(error, Exception))
            raise
        return run.results_or_raise()

    def wake(self) -> None:
        """Look at room again now; for any thread, when a limit grew or a task sleeps."""
        self._events.put(None)


class _Outcome(NamedTuple):
    """What became of a task; without `has_run`, it was dropped before it started."""

    task: Task
    result: object = None
    error: BaseException | None = None
    has_run: bool = True


class _Run:
    """One call of run(): its pool, its window and its results."""

    def __init__(
        self, scheduler: Scheduler, events: "queue.SimpleQueue[_Outcome | None]"
    ) -> None:
        self._ask = scheduler
        self._events = events
        self._window = Window(scheduler.limits)
        self._pool = scheduler.make_executor(scheduler.limits.max_threads)
        self._places: dict[Hashable, Place] = {}
        self._results: dict[Hashable, object] = {}
        self._is_ending = False  # read by workers; only the thread of run() sets it
        self._is_stopped = False
        self._fatal: Exception | None = None
        self._has_thread = False
        self._next_tick_s = scheduler.clock() + TICK_S

    def serve(self, tasks: Iterable[Task]) -> None:
        """Start tasks as places come free until nothing is left to wait for."""
        self._add(tasks)
        while True:
            self._start_what_may_start()
            nothing_starts = self._is_ending or not self._window.waiting
            if nothing_starts and not self._window.outstanding:
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
        in_order = sorted(self._results, key=self._places.__getitem__)
        results = {key: self._results[key] for key in in_order}
        if self._is_stopped:
            raise Stopped(results)
        return results

    def _add(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if task.key in self._places:
                message = f"two tasks with the key {task.key!r}"
                raise ValueError(message)
            place = Place(task.rank, len(self._places))
            self._places[task.key] = place
            self._window.add(place, task)

    def _start_what_may_start(self) -> None:
        while not self._must_end() and (task := self._window.take()) is not None:
            if self._ask.on_started:
                self._ask.on_started(task)
            self._submit(task)

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

    def _submit(self, task: Task) -> None:
        try:
            self._pool.submit(self._work, task)
        except RuntimeError as error:
            if "can't start new thread" not in str(error):
                raise
            # The pool had queued the task before it wanted a thread: those there are
            # will run it, and to run it here would be to run it twice.
            if not self._has_thread:
                message = "not one thread could be started; free memory or processes"
                raise RuntimeError(message) from error
        else:
            self._has_thread = True

    def _work(self, task: Task) -> None:
        """The worker boundary: whatever happens, one outcome is reported."""
        if self._is_ending:
            self._events.put(_Outcome(task, has_run=False))
            return
        try:
            result = task.run()
        except BaseException as error:  # noqa: BLE001 - a lost outcome hangs the run; run() judges it
            self._events.put(_Outcome(task, error=error))
        else:
            self._events.put(_Outcome(task, result))

    def _await_one(self) -> None:
        """Handle one outcome. The wait is bounded so that signals are seen."""
        rest_s = self._next_tick_s - self._ask.clock()
        try:
            outcome = self._events.get(timeout=max(0.0, min(rest_s, TICK_S)))
        except queue.Empty:
            outcome = None
        if outcome is not None:
            self._window.release(outcome.task)
            self._record(outcome)
        now_s = self._ask.clock()
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + TICK_S
            if self._ask.on_tick:
                self._ask.on_tick()

    def _record(self, outcome: _Outcome) -> None:
        task, result, error, has_run = outcome
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
