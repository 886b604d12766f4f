"""The breaker, event by event."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel.limiter.breaker import CONSECUTIVE, Breaker


def tripped(*, max_outage_s: float = 900.0) -> Breaker:
    """A breaker that opened at second 0."""
    breaker = Breaker(max_outage_s=max_outage_s)
    for _ in range(CONSECUTIVE):
        breaker.note_fault("down", "a call", started_s=-1.0, now_s=0.0)
    return breaker


def probe(breaker: Breaker, now_s: float) -> None:
    assert breaker.hold_s(now_s) == 0.0
    assert breaker.note_start(now_s)
    breaker.note_probe_left(now_s)


def test_four_faults_in_a_row_do_not_open_it_and_five_do() -> None:
    breaker = Breaker(max_outage_s=900.0)
    for _ in range(CONSECUTIVE - 1):
        breaker.note_fault("down", "a call", started_s=0.0, now_s=0.0)
    assert not breaker.is_open
    breaker.note_fault("down", "a call", started_s=0.0, now_s=0.0)
    assert breaker.is_open
    assert breaker.hold_s(0.0) == 5.0


@pytest.mark.parametrize("kind", ["success", "refusal", "answer"])
def test_any_answer_between_faults_starts_the_count_afresh(kind: str) -> None:
    breaker = Breaker(max_outage_s=900.0)
    for _ in range(CONSECUTIVE - 1):
        breaker.note_fault("down", "a call", started_s=0.0, now_s=0.0)
    if kind == "success":
        breaker.note_success(started_s=0.0, now_s=0.0)
    elif kind == "refusal":
        breaker.note_refused(started_s=0.0, now_s=0.0)
    else:
        breaker.note_answer(started_s=0.0)
    breaker.note_fault("down", "a call", started_s=0.0, now_s=0.0)
    assert not breaker.is_open


def test_one_call_that_can_never_be_answered_is_no_outage() -> None:
    breaker = Breaker(max_outage_s=900.0)
    for _ in range(50):
        breaker.note_fault("fault", "a call", started_s=0.0, now_s=0.0)
    assert not breaker.is_open
    assert breaker.outage_s(1e9) is None


def test_faults_of_two_calls_and_nothing_answered_since_are_one() -> None:
    breaker = Breaker(max_outage_s=900.0)
    for call in ("one", "two", "one", "two"):
        breaker.note_fault("timeout", call, started_s=0.0, now_s=0.0)
    assert not breaker.is_open
    breaker.note_fault("fault", "one", started_s=0.0, now_s=0.0)
    assert breaker.is_open


def test_a_model_that_loads_opens_it_at_once() -> None:
    breaker = Breaker(max_outage_s=900.0)
    breaker.note_fault("loading", "a call", started_s=0.0, now_s=0.0)
    assert breaker.hold_s(0.0) == 5.0


def test_pauses_double_with_each_failed_probe_up_to_a_minute() -> None:
    breaker, now_s, pauses = tripped(), 0.0, []
    for _ in range(6):
        pause_s = breaker.hold_s(now_s)
        pauses.append(pause_s)
        now_s += pause_s
        probe(breaker, now_s)
        breaker.note_fault("down", "a call", started_s=now_s, now_s=now_s)
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_only_one_call_probes_and_the_others_wait_for_it() -> None:
    breaker = tripped()
    assert breaker.note_start(5.0)
    assert breaker.hold_s(5.0) == inf


def test_faults_of_calls_sent_before_it_opened_do_not_lengthen_the_pause() -> None:
    breaker = tripped()
    breaker.note_fault("down", "a call", started_s=-1.0, now_s=1.0)
    assert breaker.hold_s(1.0) == 4.0


def test_a_late_success_of_an_old_call_does_not_close_it() -> None:
    breaker = tripped()
    breaker.note_success(started_s=-1.0, now_s=1.0)
    assert breaker.is_open


def test_an_answered_probe_closes_it_at_half_and_clean_rounds_double_that() -> None:
    breaker = tripped()
    probe(breaker, 5.0)
    breaker.note_success(started_s=5.0, now_s=6.0, allowed=16)
    assert not breaker.is_open
    breaker.start_ramp(16)
    assert breaker.limit == 8
    for _ in range(8):
        breaker.note_success(started_s=6.0, now_s=7.0, allowed=32)
    assert breaker.limit == 16
    for _ in range(16):
        breaker.note_success(started_s=6.0, now_s=7.0, allowed=32)
    assert breaker.limit is None


def test_a_refused_probe_closes_it_because_the_server_is_there() -> None:
    breaker = tripped()
    probe(breaker, 5.0)
    breaker.note_refused(started_s=5.0, now_s=5.0)
    assert not breaker.is_open


def test_after_a_probe_of_which_nobody_tells_another_may_follow() -> None:
    breaker = tripped()
    probe(breaker, 5.0)
    assert breaker.hold_s(5.0) == 5.0
    probe(breaker, 10.0)


def test_a_probe_that_left_after_its_verdict_does_not_shorten_the_pause() -> None:
    breaker = tripped()
    assert breaker.note_start(5.0)
    breaker.note_fault("down", "a call", started_s=5.0, now_s=6.0)
    breaker.note_probe_left(6.0)
    assert breaker.hold_s(6.0) == 10.0


def test_an_outage_is_too_long_counted_from_its_first_fault() -> None:
    breaker = tripped(max_outage_s=12.0)
    assert breaker.outage_s(11.9) is None
    probe(breaker, 5.0)
    breaker.note_fault("down", "a call", started_s=5.0, now_s=6.0)
    assert breaker.hold_s(6.0) == 6.0, "it ends with the outage, before the next probe"
    assert breaker.outage_s(12.0) == 12.0


def test_an_outage_is_not_given_up_while_a_probe_is_under_way() -> None:
    breaker = tripped(max_outage_s=12.0)
    assert breaker.note_start(5.0)
    assert breaker.outage_s(20.0) is None
    breaker.note_fault("down", "a call", started_s=5.0, now_s=20.0)
    assert breaker.outage_s(20.0) == 20.0


def test_a_success_ends_the_outage_that_is_being_timed() -> None:
    breaker = tripped(max_outage_s=12.0)
    probe(breaker, 5.0)
    breaker.note_success(started_s=5.0, now_s=6.0)
    for _ in range(CONSECUTIVE):
        breaker.note_fault("down", "a call", started_s=7.0, now_s=13.0)
    assert breaker.outage_s(13.0) is None


def test_nothing_but_refusals_for_too_long_is_an_outage() -> None:
    breaker = Breaker(max_outage_s=12.0)
    breaker.note_refused(started_s=0.0, now_s=0.0)
    breaker.note_refused(started_s=11.0, now_s=11.0)
    assert breaker.outage_s(11.0) is None
    breaker.note_refused(started_s=12.0, now_s=12.0)
    assert breaker.outage_s(12.0) == 12.0


@given(
    st.lists(
        st.sampled_from(["down", "fault", "loading", "refused", "ok", "wait", "mute"])
    )
)
def test_it_never_holds_for_ever_unless_a_probe_is_under_way(steps: list[str]) -> None:
    breaker, now_s = Breaker(max_outage_s=1e9), 0.0
    for step in steps:
        hold_s = breaker.hold_s(now_s)
        assert 0.0 <= hold_s <= 60.0
        if step == "wait":
            now_s += hold_s
            continue
        if hold_s == 0.0 and breaker.note_start(now_s):
            assert breaker.hold_s(now_s) == inf
            breaker.note_probe_left(now_s)
        if step in ("down", "fault", "loading"):
            breaker.note_fault(step, "a call", started_s=now_s, now_s=now_s)
        elif step == "refused":
            breaker.note_refused(started_s=now_s, now_s=now_s)
        elif step == "ok":
            breaker.note_success(started_s=now_s, now_s=now_s)


def test_a_server_that_was_never_there_is_given_up_sooner() -> None:
    breaker = Breaker(max_outage_s=900.0, max_absence_s=30.0)
    for second in range(6):
        breaker.note_fault("absent", "a call", started_s=second, now_s=second)
    assert breaker.outage_s(29.9) is None
    assert breaker.outage_s(30.0) is not None


@pytest.mark.parametrize("seen", ["success", "refusal", "answer", "down", "loading"])
def test_a_server_that_was_there_once_is_waited_for(seen: str) -> None:
    breaker = Breaker(max_outage_s=900.0, max_absence_s=30.0)
    if seen == "success":
        breaker.note_success(started_s=0.0, now_s=0.0)
    elif seen == "refusal":
        breaker.note_refused(started_s=0.0, now_s=0.0)
    elif seen == "answer":
        breaker.note_answer(started_s=0.0)
    else:
        breaker.note_fault(seen, "a call", started_s=0.0, now_s=0.0)
    for second in range(6):
        breaker.note_fault("absent", "a call", started_s=second, now_s=second)
    assert breaker.outage_s(899.0) is None
