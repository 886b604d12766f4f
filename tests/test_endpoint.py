"""All rules of one endpoint together, against simulated servers in virtual time."""

import random
from collections.abc import Callable
from math import inf
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel.limiter.endpoint import EndpointState
from tests.limit_simulator import (
    Call,
    CapInFlight,
    CapPerSecond,
    Faulty,
    NoLimit,
    Outage,
    Run,
    Server,
    Simulator,
    Slots,
    greedy_s,
    lognormal_calls,
    seen,
    uniform_calls,
)

SEEDS = range(5)


def endpoint(most: int, **limits: float | None) -> EndpointState:
    return EndpointState(
        "server",
        max_in_flight=most,
        rng=random.Random(0),
        **limits,  # type: ignore[arg-type]  # one of them has a default that is no None
    )


def runs(
    make_server: Callable[[int], Server],
    calls_of: Callable[[int], list[Call]],
    n: int,
    timeout_s: float | None = None,
) -> list[tuple[Run, list[Call]]]:
    """One run for each seed, none of which lost a call."""
    outcomes = []
    for seed in SEEDS:
        calls = calls_of(seed)
        server = make_server(seed)
        simulator = Simulator(server, max_in_flight=n, seed=seed, timeout_s=timeout_s)
        run = simulator.run(calls)
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
    # Of 32 that are let in at first 26 are one too many.
    assert all(run.refused <= 26 + len(calls) / 8 for run, calls in outcomes)


@pytest.mark.parametrize("low_s", [0.02, 0.05, 0.1, 0.15, 0.3])
def test_a_cap_of_ten_a_second_is_used_to_nine_tenths(low_s: float) -> None:
    outcomes = runs(
        lambda _seed: CapPerSecond(10.0, 5.0, retry_after_s=2.0),
        lambda seed: uniform_calls(200, seed=seed, low_s=low_s, high_s=3 * low_s),
        32,
    )
    assert median(195 / run.wall_s for run, _ in outcomes) >= 9.0


@pytest.mark.parametrize("most", [1, 16, 64, 128])
def test_a_server_without_limit_is_used_in_full_from_the_first_second(
    most: int,
) -> None:
    for run, calls in runs(
        lambda _seed: NoLimit(), lambda seed: lognormal_calls(300, seed=seed), most
    ):
        assert run.wall_s == pytest.approx(greedy_s(calls, most))
        assert run.limits == []


def test_what_only_waits_in_the_server_is_cut_before_it_breaks_the_timeout() -> None:
    outcomes = runs(
        lambda _seed: Slots(4, timeout_s=32.0),
        lambda seed: lognormal_calls(145, seed=seed),
        32,
        timeout_s=32.0,
    )
    for run, calls in outcomes:
        assert run.wall_s <= 1.25 * greedy_s(calls, 4)
        assert len(run.given_up_s) <= 0.12 * run.sent
        assert max(run.given_up_s, default=0.0) <= 32.0
        assert run.limits[-1][1] <= 8


def test_without_a_timeout_in_danger_what_waits_in_the_server_may_wait() -> None:
    for run, calls in runs(
        lambda _seed: Slots(4),
        lambda seed: lognormal_calls(145, seed=seed),
        32,
        timeout_s=1000.0,
    ):
        assert run.wall_s == pytest.approx(greedy_s(calls, 4))
        assert run.limits == []


def test_a_model_that_thinks_is_cut_for_a_trial_and_never_again() -> None:
    def thinking(seed: int) -> Server:
        rng = random.Random(seed)
        return NoLimit(lambda: rng.uniform(3.0, 30.0))

    for run, _ in runs(
        thinking, lambda seed: lognormal_calls(300, seed=seed), 32, timeout_s=30.0
    ):
        cuts = [number for number, (_, limit) in enumerate(run.limits) if limit < 32]
        assert cuts in ([0], []), "one cut, and back"
        assert run.failed == 0


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


def test_stated_requests_a_minute_are_never_exceeded() -> None:
    state = endpoint(32, requests_per_minute=120.0)
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


def finish(state: EndpointState, kind: str, *, started_s: float, now_s: float) -> None:
    state.note(seen(kind, started_s=started_s, retry_after_s=1.0), now_s)
    state.end(None, now_s)


def test_a_fault_keeps_its_place_until_something_is_answered() -> None:
    state = endpoint(4)
    for _ in range(4):
        state.start(None, 0.0)
    finish(state, "down", started_s=0.0, now_s=1.0)
    assert (state.hold_s(1.0), state.limit) == (inf, 4)
    finish(state, "ok", started_s=0.0, now_s=2.0)
    assert state.hold_s(2.0) == 0.0


def test_after_an_outage_half_the_places_are_used() -> None:
    state = endpoint(12)
    state.start(None, 0.0)
    finish(state, "loading", started_s=0.0, now_s=1.0)
    state.start(None, 6.0)
    finish(state, "ok", started_s=6.0, now_s=7.0)
    assert state.limit == 6


def test_calls_that_leave_places_empty_do_not_make_the_limit_grow() -> None:
    state = endpoint(16)
    for _ in range(16):
        state.start(None, 0.0)
    for _ in range(12):
        finish(state, "rate", started_s=0.0, now_s=0.1)
    for _ in range(4):
        finish(state, "ok", started_s=0.0, now_s=0.2)
    for number in range(1, 100):
        state.start(None, number)
        finish(state, "ok", started_s=number, now_s=number + 0.5)
    assert state.limit == 4


def test_a_call_refused_alone_makes_all_others_wait() -> None:
    state = endpoint(8)
    state.start(None, 0.0)
    refused = seen("rate", retry_after_s=20.0)
    assert state.note(refused, 0.1) == 20.0
    state.end(None, 0.1)
    assert state.hold_s(0.1) == 20.0


def test_a_call_refused_beside_others_waits_alone() -> None:
    state = endpoint(8)
    for _ in range(3):
        state.start(None, 0.0)
    assert state.note(seen("rate", retry_after_s=20.0), 0.1) == 20.0
    state.end(None, 0.1)
    assert state.limit == 2
    finish(state, "ok", started_s=0.0, now_s=0.2)
    assert state.hold_s(0.2) == 0.0


def test_the_answer_to_a_bad_request_says_nothing_of_load() -> None:
    state = endpoint(8)
    state.start(None, 0.0)
    assert state.note(seen("other"), 0.1) == 0.0
    state.end(None, 0.1)
    assert (state.limit, state.hold_s(0.1)) == (8, 0.0)


def test_what_it_did_is_told_in_order_and_once() -> None:
    state = endpoint(8)
    for number in range(5):
        state.start(None, number)
    for number in range(5):
        finish(state, "down", started_s=number, now_s=10.0)
    assert [event.kind for event in state.take_events()] == ["breaker open"]
    assert state.take_events() == []


def test_the_history_of_the_limit_stays_short_and_keeps_its_ends() -> None:
    state = endpoint(100)
    now_s = 0.0
    for _ in range(3000):
        now_s += 10.0
        for _ in range(state.limit):
            state.start(None, now_s)
        now_s += 1.0
        kind = "rate" if state.limit > 14 else "ok"
        for _ in range(state.in_flight):
            finish(state, kind, started_s=now_s - 1.0, now_s=now_s)
    assert 50 < len(state.history) <= 512
    assert state.history[0][0] < 100.0
    assert state.history[-1][0] > now_s - 200.0


KINDS = ["ok", "ok", "rate", "down", "fault", "timeout", "loading", "other"]


@given(st.data())
def test_whatever_is_answered_the_limit_stays_in_bounds_and_waits_end(
    data: st.DataObject,
) -> None:
    most = data.draw(st.integers(1, 40))
    state, now_s = endpoint(most, max_outage_s=1e9, timeout_s=60.0), 0.0
    running: list[tuple[float, object]] = []
    for _ in range(data.draw(st.integers(1, 120))):
        hold_s = state.hold_s(now_s)
        assert 1 <= state.limit <= most
        if hold_s == 0.0:
            assert state.in_flight < state.limit
            running.append((now_s, object()))
            state.start(running[-1][1], now_s)
        if not running:
            assert hold_s < inf, "nobody is left who could change that"
            now_s += hold_s
        elif hold_s > 0.0 or data.draw(st.booleans()):
            chosen = data.draw(st.integers(0, len(running) - 1))
            started_s, call = running.pop(chosen)
            if data.draw(st.booleans()):
                now_s += data.draw(st.floats(0.001, 30.0))
                state.note_first_piece(call, started_s=started_s, now_s=now_s)
            now_s += data.draw(st.floats(0.001, 30.0))
            kind = data.draw(st.sampled_from(KINDS))
            assert 0.0 <= state.note(seen(kind, started_s=started_s), now_s) <= 60.0
            state.end(call, now_s)


@settings(max_examples=8)
@given(
    most=st.integers(1, 9),
    seed=st.integers(0, 999),
    chances=st.fixed_dictionaries(
        {
            "rate": st.floats(0.0, 0.4),
            "fault": st.floats(0.0, 0.3),
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
    calls = uniform_calls(500 + 100 * most, seed=seed, low_s=0.5, high_s=1.5)
    run = simulator.run(calls)
    assert run.done + run.lost == len(calls)
    assert simulator.state.limit == most
