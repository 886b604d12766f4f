"""Fewer calls at once while memory is short."""

from typing import cast

from parallel.limiter import Limiter
from parallel.memory import memory_watch
from pipeline.settings import Settings

GB = 1024**3


class Machine:
    """A machine whose free memory and clock are set by hand."""

    def __init__(self, *, in_flight: int) -> None:
        self.free = 4 * GB
        self.now_s = 0.0
        self.calls = in_flight
        self.limits: list[int | None] = []
        self.said: list[str] = []
        self.look = memory_watch(
            cast("Limiter", self),
            Settings(topic="t", min_free_memory="1G"),
            say=self.said.append,
            available=lambda: self.free,
            clock=lambda: self.now_s,
        )

    def in_flight(self) -> int:
        return self.calls

    def shrink_to(self, max_in_flight: int) -> None:
        self.limits.append(max_in_flight)

    def restore(self) -> None:
        self.limits.append(None)

    def look_with(self, free: int) -> None:
        self.free = free
        self.now_s += 1.0
        self.look()


def test_it_halves_while_memory_is_short_and_restores_when_there_is_enough() -> None:
    machine = Machine(in_flight=8)
    machine.look_with(2 * GB)
    assert machine.limits == []
    machine.look_with(GB - 1)
    machine.calls = 4
    machine.look_with(GB - 1)
    assert machine.limits == [4, 2]
    machine.look_with(GB + 1)  # over the floor, but not by enough
    assert machine.limits == [4, 2]
    machine.look_with(2 * GB)
    assert machine.limits == [4, 2, None]


def test_short_memory_is_told_once_and_once_when_it_is_over() -> None:
    machine = Machine(in_flight=8)
    for _ in range(3):
        machine.look_with(GB // 2)
    for _ in range(3):
        machine.look_with(3 * GB)
    assert len(machine.said) == 2
    assert "537 MB" in machine.said[0]
    assert "--min-free-memory 1024M" in machine.said[0]


def test_one_call_at_a_time_is_left_however_short_memory_is() -> None:
    machine = Machine(in_flight=0)
    machine.look_with(0)
    assert machine.limits == [1]


def test_memory_is_looked_at_once_a_second_however_often_it_is_asked() -> None:
    machine = Machine(in_flight=8)
    machine.free = 0
    for _ in range(10):
        machine.look()
    assert machine.limits == [4]


def test_the_default_floor_is_never_under_256_megabytes() -> None:
    said: list[str] = []
    limiter = Limiter(8)
    look = memory_watch(
        limiter,
        Settings(topic="t"),
        say=said.append,
        available=lambda: 256 * 1024**2 - 1,
    )
    look()
    assert len(said) == 1
