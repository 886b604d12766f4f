"""All rules of one lane together, against simulated servers in virtual time."""

import random
from collections.abc import Callable
from math import inf
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel.lane_state import LaneState
from parallel.limit_records import LaneLimits
from tests.limit_simulator import (
    Call,
    CapInFlight,
    CapPerSecond,
    Faulty,
    NoLimit,
    Outage,
    Run,
    Seen,
    Server,
    Simulator,
    Slots,
    greedy_s,
    lognormal_calls,
    uniform_calls,
)

SEEDS = range(11)


def lane(most: int, **limits: float | bool | None) -> LaneState:
    stated = LaneLimits(max_in_flight=most, **limits)  # type: ignore[arg-type]  # by name
    return LaneState("server", stated, rng=random.Random(0))


def runs(
    make_server: Callable[[int], Server], calls_of: Callable[[int], list[Call]], n: int
) -> list[tuple[Run, list[Call]]]:
    """One run for each seed, none of which lost a call."""
    outcomes = []
    for seed in SEEDS:
        calls = calls_of(seed)
        run = Simulator(make_server(seed), max_in_flight=n, seed=seed).run(calls)
        assert run.done == len(calls)
        outcomes.append((run, calls))
    return outcomes


def test_a_cap_of_six_costs_little_time_and_few_refusals() -> None:
    outcomes = runs(
        lambda _seed: CapInFlight(6, retry_after_s=1.0),
        lambda seed: uniform_calls(80, seed=seed, low_s=0.15, high_s=0.6),
        32,
    )
    assert median(run.wall_s / greedy_s(calls, 6) for run, calls in outcomes) <= 1.2
    assert all(run.refused <= run.sent / 4 for run, _ in outcomes)


@pytest.mark.parametrize("low_s", [0.02, 0.05, 0.1, 0.15, 0.3])
def test_a_cap_of_ten_a_second_is_used_to_nine_tenths(low_s: float) -> None:
    outcomes = runs(
        lambda _seed: CapPerSecond(10.0, 5.0, retry_after_s=2.0),
        lambda seed: uniform_calls(200, seed=seed, low_s=low_s, high_s=3 * low_s),
        32,
    )
    assert median(195 / run.wall_s for run, _ in outcomes) >= 9.0


def test_a_saturated_server_is_not_flooded_and_not_starved() -> None:
    outcomes = runs(
        lambda _seed: Slots(4),
        lambda seed: lognormal_calls(200, seed=seed, median_s=0.3),
        32,
    )
    assert median(run.wall_s / greedy_s(calls, 4) for run, calls in outcomes) <= 1.15
    assert median(run.median_in_flight(from_share=0.5) for run, _ in outcomes) <= 8


def test_groups_that_work_at_other_speeds_do_not_hide_saturation() -> None:
    def calls_of(seed: int) -> list[Call]:
        calls = lognormal_calls(260, seed=seed, median_s=0.3)
        return [
            Call(one.service_s * (2 if number % 4 == 0 else 0.7), one.work, group)
            for number, one in enumerate(calls)
            for group in ["candidate" if number % 4 == 0 else "vote"]
        ]

    outcomes = runs(lambda _seed: Slots(4), calls_of, 32)
    assert median(run.median_in_flight(from_share=0.5) for run, _ in outcomes) <= 8


def test_a_server_without_limit_gets_all_that_the_user_allows() -> None:
    outcomes = runs(
        lambda _seed: NoLimit(), lambda seed: lognormal_calls(300, seed=seed), 32
    )
    assert all(max(limit for _, limit in run.limits) == 32 for run, _ in outcomes)
    assert median(run.wall_s / greedy_s(calls, 32) for run, calls in outcomes) <= 1.15


def test_up_to_sixteen_a_server_without_limit_is_used_from_the_first_second() -> None:
    for run, calls in runs(
        lambda _seed: NoLimit(), lambda seed: lognormal_calls(75, seed=seed), 16
    ):
        assert run.wall_s == pytest.approx(greedy_s(calls, 16))


@pytest.mark.parametrize("most", [1, 8, 32])
def test_an_outage_of_a_minute_loses_nothing_and_fails_few_calls(most: int) -> None:
    outcomes = runs(
        lambda _seed: Outage(NoLimit(), from_s=60.0, to_s=120.0),
        lambda seed: lognormal_calls(40 * min(most, 8), seed=seed),
        most,
    )
    assert all(run.failed <= 40 for run, _ in outcomes)


def test_an_outage_without_end_is_given_up() -> None:
    run = Simulator(
        Outage(NoLimit(), from_s=60.0, to_s=inf), max_in_flight=8, seed=1
    ).run(lognormal_calls(200, seed=1))
    assert run.is_out
    assert 960.0 <= run.wall_s <= 1100.0


def test_refusals_by_chance_do_not_drive_the_limit_to_one() -> None:
    outcomes = runs(
        lambda seed: Faulty(NoLimit(), rng=random.Random(seed), chances={"rate": 0.1}),
        lambda seed: lognormal_calls(400, seed=seed),
        16,
    )
    assert all(min(limit for _, limit in run.limits) > 2 for run, _ in outcomes)
    assert median(run.median_in_flight(from_share=0.3) for run, _ in outcomes) >= 9


def test_a_server_that_times_out_when_flooded_is_not_flooded_for_long() -> None:
    outcomes = runs(
        lambda _seed: Slots(4, timeout_s=120.0),
        lambda seed: lognormal_calls(300, seed=seed),
        128,
    )
    assert median(run.failed for run, _ in outcomes) <= 4


def test_stated_requests_a_minute_are_never_exceeded() -> None:
    state = lane(32, requests_per_minute=120.0)
    server = CapPerSecond(2.1, 2.0, retry_after_s=1.0)
    calls = uniform_calls(40, seed=0, low_s=0.1, high_s=4.0)
    run = Simulator(server, max_in_flight=32, state=state).run(calls)
    assert run.refused == 0
    assert run.wall_s <= 40 / 2 + 4.0


def test_quota_headers_keep_the_calls_below_the_rate() -> None:
    def run(*, sends_headers: bool) -> Run:
        server = CapPerSecond(
            10.0, 40.0, retry_after_s=2.0, sends_headers=sends_headers
        )
        calls = uniform_calls(300, seed=3, low_s=0.1, high_s=0.6)
        return Simulator(server, max_in_flight=16, seed=3).run(calls)

    assert run(sends_headers=True).refused < run(sends_headers=False).refused / 4


def test_a_fixed_limit_neither_grows_nor_shrinks() -> None:
    state = lane(24, is_adaptive=False)
    server = Faulty(
        CapInFlight(6, retry_after_s=1.0),
        rng=random.Random(0),
        chances={"timeout": 0.05},
    )
    calls = uniform_calls(60, seed=0, low_s=0.2, high_s=0.6)
    run = Simulator(server, max_in_flight=24, state=state).run(calls)
    assert run.done == 60
    assert run.limits == []


def finish(state: LaneState, kind: str, *, started_s: float, now_s: float) -> None:
    state.end("", now_s)
    state.note(Seen(kind=kind, started_s=started_s, retry_after_s=1.0), now_s)


def test_a_fault_keeps_its_place_until_something_is_answered() -> None:
    state = lane(4)
    for _ in range(4):
        state.start("", 0.0)
    finish(state, "transient", started_s=0.0, now_s=1.0)
    assert (state.hold_s(1.0), state.limit) == (inf, 4)
    finish(state, "ok", started_s=0.0, now_s=2.0)
    assert state.hold_s(2.0) == 0.0


def test_after_an_outage_half_the_places_are_used() -> None:
    state = lane(12)
    state.start("", 0.0)
    finish(state, "loading", started_s=0.0, now_s=1.0)
    assert state.start("", 6.0)
    finish(state, "ok", started_s=6.0, now_s=7.0)
    assert state.limit == 6


def test_calls_that_leave_places_empty_do_not_make_the_limit_grow() -> None:
    state = lane(16)
    for _ in range(16):
        state.start("", 0.0)
    for _ in range(12):
        finish(state, "rate", started_s=0.0, now_s=0.1)
    for _ in range(4):
        finish(state, "ok", started_s=0.0, now_s=0.2)
    for number in range(1, 100):
        state.start("", number)
        finish(state, "ok", started_s=number, now_s=number + 0.5)
    assert state.limit == 4


def test_a_call_refused_alone_makes_all_others_wait() -> None:
    state = lane(8)
    state.start("", 0.0)
    state.end("", 0.1)
    refused = Seen(kind="rate", started_s=0.0, finished_s=0.1, retry_after_s=20.0)
    assert state.note(refused, 0.1) == 20.0
    assert state.hold_s(0.1) == 20.0


def test_a_call_refused_beside_others_waits_alone() -> None:
    state = lane(8)
    state.start("", 0.0)
    state.start("", 0.0)
    state.end("", 0.1)
    state.note(Seen(kind="rate", started_s=0.0, retry_after_s=20.0), 0.1)
    assert state.hold_s(0.1) == 0.0


def test_the_answer_to_a_bad_request_says_nothing_of_load() -> None:
    state = lane(8)
    state.start("", 0.0)
    state.end("", 0.1)
    assert state.note(Seen(kind="other", started_s=0.0), 0.1) == 0.0
    assert (state.limit, state.hold_s(0.1)) == (8, 0.0)


def test_an_unknown_kind_of_outcome_is_named() -> None:
    with pytest.raises(ValueError, match="'rats'"):
        lane(8).note(Seen(kind="rats"), 0.0)


def test_what_it_did_is_told_in_order_and_once() -> None:
    state = lane(8)
    for number in range(5):
        state.start("", number)
    for number in range(5):
        state.end("", 10.0)
        state.note(Seen(kind="transient", started_s=number), 10.0)
    assert [event.kind for event in state.take_events()] == ["breaker open"]
    assert state.take_events() == []


def test_the_history_of_the_limit_stays_short_and_keeps_its_ends() -> None:
    state = lane(100, is_adaptive=True)
    now_s = 0.0
    for _ in range(3000):
        now_s += 10.0
        for _ in range(state.limit):
            state.start("", now_s)
        now_s += 1.0
        kind = "rate" if state.limit > 14 else "ok"
        for _ in range(state.in_flight):
            state.end("", now_s)
            state.note(Seen(kind=kind, started_s=now_s - 1.0, retry_after_s=1.0), now_s)
    assert 50 < len(state.history) <= 512
    assert state.history[0][0] < 100.0
    assert state.history[-1][0] > now_s - 200.0


@given(st.data())
def test_whatever_is_answered_the_limit_stays_in_bounds_and_waits_end(
    data: st.DataObject,
) -> None:
    most = data.draw(st.integers(1, 40))
    state, now_s = lane(most, max_outage_s=1e9), 0.0
    running: list[tuple[float, bool]] = []
    kinds = ["ok", "ok", "rate", "transient", "timeout", "loading", "other"]
    for _ in range(data.draw(st.integers(1, 120))):
        hold_s = state.hold_s(now_s)
        assert 1 <= state.limit <= most
        if hold_s == 0.0:
            assert state.in_flight < state.limit
            running.append((now_s, state.start("", now_s)))
        if not running:
            assert hold_s < inf, "nobody is left who could change that"
            now_s += hold_s
        elif hold_s > 0.0 or data.draw(st.booleans()):
            started_s, is_probe = running.pop(
                data.draw(st.integers(0, len(running) - 1))
            )
            now_s += data.draw(st.floats(0.001, 30.0))
            state.end("", now_s, is_probe=is_probe)
            seen = Seen(kind=data.draw(st.sampled_from(kinds)), started_s=started_s)
            assert 0.0 <= state.note(seen, now_s) <= 60.0


@settings(max_examples=25, deadline=None)
@given(
    most=st.integers(1, 16),
    seed=st.integers(0, 999),
    chances=st.fixed_dictionaries(
        {
            "rate": st.floats(0.0, 0.4),
            "transient": st.floats(0.0, 0.3),
            "timeout": st.floats(0.0, 0.1),
            "loading": st.floats(0.0, 0.05),
        }
    ),
)
def test_the_limit_climbs_back_when_faults_cease(
    most: int, seed: int, chances: dict[str, float]
) -> None:
    server = Faulty(NoLimit(), rng=random.Random(seed), chances=chances, until_s=40.0)
    simulator = Simulator(server, max_in_flight=most, seed=seed)
    calls = uniform_calls(700 + 150 * most, seed=seed, low_s=0.5, high_s=1.5)
    run = simulator.run(calls)
    assert run.done + run.lost == len(calls)
    assert simulator.state.limit == most
