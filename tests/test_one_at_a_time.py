"""The plainest limit: one at a time, and an end to waiting for a server."""

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Unreachable
from pipeline.llm.limiting import Observation, OneAtATime, Seen
from tests.fakes import FAILSAFE_S
from tests.task_fakes import NOTICE_S, Trap


def seen(
    kind: Seen, *, at_s: float = 0.0, retry_after_s: float | None = None
) -> Observation:
    return Observation(
        kind=kind, started_s=at_s, finished_s=at_s, retry_after_s=retry_after_s
    )


def test_never_two_are_inside() -> None:
    limit, trap = OneAtATime(), Trap(1)

    def enter(_number: int) -> str:
        with limit.permit("score"):
            return trap()

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(enter, range(4), timeout=FAILSAFE_S))) == 4


def test_a_permit_is_given_back_by_a_failure() -> None:
    limit = OneAtATime()
    with pytest.raises(LookupError), limit.permit("score"):
        raise LookupError
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(limit.permit("score").__enter__).result(FAILSAFE_S) is limit


@pytest.mark.parametrize("kind", ["rate", "loading", "down"])
def test_the_servers_hint_is_the_wait_up_to_a_quarter_of_an_hour(kind: Seen) -> None:
    limit = OneAtATime()
    assert limit.note(seen(kind, retry_after_s=7.0)) == 7.0
    assert limit.note(seen(kind, retry_after_s=1e9)) == 900.0


@given(seed=st.integers(), refusals=st.integers(1, 20))
def test_without_a_hint_waits_grow_up_to_a_minute(seed: int, refusals: int) -> None:
    limit = OneAtATime(rng=random.Random(seed))
    for refusal in range(1, refusals + 1):
        assert 0 <= limit.note(seen("rate")) <= min(60.0, 2.0**refusal)


@pytest.mark.parametrize("kind", ["ok", "fault", "timeout", "other"])
def test_anything_but_a_refusal_starts_afresh(kind: Seen) -> None:
    limit = OneAtATime(rng=random.Random(1))
    for _ in range(9):
        limit.note(seen("rate"))
    assert limit.note(seen(kind, at_s=800.0)) == 0.0
    assert limit.note(seen("rate", at_s=1600.0)) <= 2.0


def test_it_gives_up_when_there_was_nothing_but_refusals_for_too_long() -> None:
    limit = OneAtATime()
    limit.note(seen("rate", at_s=100.0))
    limit.note(seen("loading", at_s=1000.0))
    with pytest.raises(Unreachable, match="no call was let in for 900 s"):
        limit.note(seen("rate", at_s=1000.1))


def test_it_gives_up_sooner_on_a_server_that_never_was_there() -> None:
    limit = OneAtATime()
    limit.note(seen("absent", at_s=100.0))
    limit.note(seen("absent", at_s=130.0))
    with pytest.raises(Unreachable, match="for 30 s"):
        limit.note(seen("absent", at_s=130.1))
    was_there = OneAtATime()
    was_there.note(seen("loading", at_s=0.0))
    was_there.note(seen("absent", at_s=1.0))
    was_there.note(seen("absent", at_s=800.0))


def test_it_sleeps_by_what_it_was_given() -> None:
    naps: list[float] = []
    OneAtATime(nap=naps.append).sleep(2.5)
    assert naps == [2.5]


def test_an_observation_is_noted_whole() -> None:
    limit = OneAtATime(rng=random.Random(1))
    with ThreadPoolExecutor(1) as pool:

        class Interrupted:
            """An observation during whose reading another one arrives."""

            kind, started_s, retry_after_s = "rate", 0.0, 3.0

            @property
            def finished_s(self) -> float:
                between = pool.submit(limit.note, seen("ok"))
                with contextlib.suppress(TimeoutError):
                    between.result(NOTICE_S)
                return 1.0

        assert limit.note(cast("Observation", Interrupted())) == 3.0
