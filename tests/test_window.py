"""The window picks in order and never past a limit; no threads are needed."""

import pytest

from parallel.window import Limits, Place, Task, Window


def limits(
    max_in_flight: int = 100,
    *,
    max_threads: int = 1000,
    groups: dict[str, int] | None = None,
    lanes: dict[str, int] | None = None,
    sleeping: int = 0,
) -> Limits:
    return Limits(
        max_in_flight=max_in_flight,
        max_threads=max_threads,
        groups=groups or {},
        room=None if lanes is None else lanes.__getitem__,
        extra_room=lambda: sleeping,
    )


def window_with(tasks: list[Task], of: Limits) -> Window:
    window = Window(of)
    for number, task in enumerate(tasks):
        window.add(Place(task.rank, number), task)
    return window


def task(key: int, *, rank: int = 0, group: str = "score", lane: str = "") -> Task:
    return Task(key=key, rank=(rank,), group=group, lane=lane, run=lambda: None)


def taken(window: Window) -> list[object]:
    keys: list[object] = []
    while (next_task := window.take()) is not None:
        keys.append(next_task.key)
    return keys


def test_the_smallest_rank_is_taken_first_and_ties_in_order_of_insertion() -> None:
    tasks = [
        task(1, rank=2),
        task(2, rank=1, group="extract"),
        task(3, rank=2, lane="far"),
        task(4, rank=1),
    ]
    assert taken(window_with(tasks, limits())) == [2, 4, 1, 3]


def test_nothing_is_taken_past_the_total() -> None:
    window = window_with([task(key) for key in range(5)], limits(2))
    assert taken(window) == [0, 1]
    window.release(task(0))
    assert taken(window) == [2]


def test_sleeping_tasks_leave_their_places_to_others() -> None:
    window = window_with([task(key) for key in range(5)], limits(2, sleeping=1))
    assert taken(window) == [0, 1, 2]


def test_sleeping_tasks_never_outgrow_the_threads() -> None:
    tasks = [task(key) for key in range(9)]
    window = window_with(tasks, limits(2, sleeping=99, max_threads=4))
    assert len(taken(window)) == 4


def test_a_full_group_is_passed_by() -> None:
    tasks = [task(key) for key in range(3)] + [task(9, rank=5, group="extract")]
    assert taken(window_with(tasks, limits(groups={"score": 1}))) == [0, 9]


def test_a_full_lane_is_passed_by() -> None:
    tasks = [task(key, lane="slow") for key in range(3)] + [
        task(9, rank=5, lane="fast")
    ]
    window = window_with(tasks, limits(lanes={"slow": 1, "fast": 8}))
    assert taken(window) == [0, 9]


def test_a_lane_full_of_sleepers_leaves_threads_to_the_other() -> None:
    tasks = [task(key, lane="out") for key in range(99)] + [
        task(100, rank=1, lane="ok")
    ]
    window = window_with(
        tasks, limits(2, sleeping=99, max_threads=10, lanes={"out": 99, "ok": 2})
    )
    keys = taken(window)
    assert len(keys) == 9
    assert keys[-1] == 100


def test_choosing_among_5000_ready_tasks_asks_for_room_a_few_times_each() -> None:
    asked = 0

    def room(_lane: str) -> int:
        nonlocal asked
        asked += 1
        return 10_000

    of = Limits(
        max_in_flight=10_000, max_threads=10_000, groups={}, room=room, extra_room=None
    )
    tasks = [
        task(key, rank=key % 7, group="abc"[key % 3], lane="xy"[key % 2])
        for key in range(5000)
    ]
    assert len(taken(window_with(tasks, of))) == 5000
    assert asked <= 6 * 5000  # once for each of the six pairs of group and lane


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_in_flight": 0}, "max_in_flight must be at least 1, got 0"),
        ({"max_threads": 0}, "max_threads must be at least 1, got 0"),
        ({"groups": {"score": 0}}, "limit of 'score' must be at least 1, got 0"),
    ],
)
def test_limits_that_let_nothing_start_are_refused(
    wrong: dict[str, object], message: str
) -> None:
    right: dict[str, object] = {"max_in_flight": 1, "max_threads": 1, "groups": {}}
    with pytest.raises(ValueError, match=message):
        Limits(**(right | wrong), room=None, extra_room=None)  # type: ignore[arg-type]  # wrong on purpose
