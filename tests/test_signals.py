"""The main thread beside a run: ticks, signals, and the end."""

import os
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

import pytest

from parallel.signals import attend
from tests.stage_fakes import FAILSAFE_S


class Abandoned(Exception):
    """Stands for the end of the process."""


class Desk:
    """Writes down what the attendance was asked to do."""

    def __init__(self) -> None:
        self.ticked = threading.Event()
        self.asked = threading.Event()
        self.release = threading.Event()
        self.events: list[str] = []
        self.now_s = 0.0

    def on_tick(self) -> None:
        self.ticked.set()

    def on_first_signal(self) -> None:
        self.events.append("asked")
        self.asked.set()

    def on_abandon(self) -> NoReturn:
        self.events.append("abandoned")
        raise Abandoned

    def attend(self, work: Callable[[], object]) -> object:
        try:
            return attend(
                work,
                on_tick=self.on_tick,
                on_first_signal=self.on_first_signal,
                on_abandon=self.on_abandon,
                clock=lambda: self.now_s,
            )
        finally:
            self.release.set()


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_the_result_is_handed_back_and_the_last_state_is_drawn() -> None:
    desk = Desk()
    assert desk.attend(lambda: "done") == "done"
    assert desk.ticked.is_set()
    assert desk.events == []


def test_an_error_of_the_run_is_raised_as_it_is() -> None:
    def work() -> object:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        Desk().attend(work)


def test_the_screen_is_looked_after_while_the_run_works() -> None:
    desk = Desk()

    def work() -> bool:
        return desk.ticked.wait(FAILSAFE_S)

    assert desk.attend(work) is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_run_may_end_by_itself(number: int) -> None:
    desk = Desk()

    def work() -> str:
        send(number)
        assert desk.asked.wait(FAILSAFE_S)
        return "ended well"

    assert desk.attend(work) == "ended well"
    assert desk.events == ["asked"]


def test_the_second_signal_ends_at_once() -> None:
    desk = Desk()

    def work() -> None:
        send(signal.SIGINT)
        assert desk.asked.wait(FAILSAFE_S)
        send(signal.SIGTERM)
        desk.release.wait(FAILSAFE_S)

    with pytest.raises(Abandoned):
        desk.attend(work)
    assert desk.events == ["asked", "abandoned"]


def test_a_run_that_does_not_end_in_time_is_abandoned() -> None:
    desk = Desk()

    def work() -> None:
        send(signal.SIGINT)
        assert desk.asked.wait(FAILSAFE_S)
        desk.now_s = 10.1  # the grace is 10
        desk.release.wait(FAILSAFE_S)

    with pytest.raises(Abandoned):
        desk.attend(work)


def test_a_run_is_given_its_whole_grace() -> None:
    desk = Desk()

    def work() -> str:
        send(signal.SIGINT)
        assert desk.asked.wait(FAILSAFE_S)
        desk.now_s = 9.9
        desk.ticked.clear()
        assert desk.ticked.wait(FAILSAFE_S)
        return "just in time"

    assert desk.attend(work) == "just in time"


def test_the_handlers_of_before_are_back_afterwards() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    Desk().attend(lambda: None)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
