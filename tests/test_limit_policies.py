"""The rules of the limiter, each alone: events in, a number out."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel.policies.cap import CapPolicy
from parallel.policies.meter import Meter, Reading
from parallel.policies.pace import Pacer, quota_rate
from parallel.policies.rate import RatePolicy
from parallel.policies.throughput import ThroughputPolicy
from parallel.policies.waits import RefusalWaits
from tests.limit_simulator import Headers

# A cap in flight.


def test_ten_refused_of_sixteen_leave_six() -> None:
    cap = CapPolicy(16)
    for allowed in range(16, 6, -1):
        cap.note_refused(allowed)
    assert cap.limit == 6


def test_a_refusal_cuts_from_what_was_let_out_and_not_from_the_maximum() -> None:
    cap = CapPolicy(128)
    cap.note_refused(16)
    assert cap.limit == 15


def test_a_limit_of_one_stays_at_one() -> None:
    cap = CapPolicy(4)
    for _ in range(50):
        cap.note_refused(1)
    assert cap.limit == 1


def test_one_place_comes_back_after_a_round_of_at_least_eight() -> None:
    cap = CapPolicy(16)
    for allowed in range(16, 10, -1):
        cap.note_refused(allowed)
    limits = []
    for _ in range(10):
        cap.note_success(cap.limit)
        limits.append(cap.limit)
    assert limits == [10] * 9 + [11]


def test_growth_doubles_while_nothing_is_refused() -> None:
    cap = CapPolicy(64)
    cap.note_refused(9)
    assert cap.limit == 8
    steps = []
    while cap.limit < 15:
        before = cap.limit
        cap.note_success(cap.limit)
        if cap.limit > before:
            steps.append(cap.limit - before)
    assert steps == [1, 2, 4]


def test_a_fault_starts_the_round_afresh_and_cuts_nothing() -> None:
    cap = CapPolicy(16)
    cap.note_refused(9)
    for _ in range(7):
        cap.note_success(8)
    cap.note_trouble()
    cap.note_success(8)
    assert cap.limit == 8


def test_timeouts_of_one_generation_halve_once() -> None:
    cap = CapPolicy(16)
    cap.note_timeout(16, started_s=0.0, now_s=30.0)
    cap.note_timeout(8, started_s=1.0, now_s=31.0)
    assert cap.limit == 8
    cap.note_timeout(8, started_s=30.0, now_s=60.0)
    assert cap.limit == 4


def test_one_refusal_a_round_is_pardoned_where_more_were_let_in_before() -> None:
    cap = CapPolicy(16)
    for _ in range(8):
        cap.note_success(16)
    cap.note_refused(12)
    assert cap.limit == 16
    cap.note_refused(12)
    assert cap.limit == 11


def test_a_refusal_at_the_most_that_was_ever_let_in_is_not_pardoned() -> None:
    cap = CapPolicy(16)
    for _ in range(8):
        cap.note_success(7)
    cap.note_refused(7)
    assert cap.limit == 6


# A rate.


def refuse(
    rate: RatePolicy, at_s: float, *, is_alone: bool = True, limit: int = 1
) -> bool:
    rate.note_start(at_s)
    return rate.note_refused(is_alone=is_alone, limit=limit, started_s=at_s, now_s=at_s)


def answer(rate: RatePolicy, at_s: float, *, full_limit: int | None = 1) -> None:
    rate.note_start(at_s)
    rate.note_success(full_limit=full_limit, started_s=at_s, now_s=at_s)


def with_history(*, successes: int = 10, refusals: int = 2) -> RatePolicy:
    """Ten answers a second up to second 1, the last of them refused."""
    rate = RatePolicy()
    refuse(rate, 0.0, is_alone=False)
    for number in range(successes):
        answer(rate, 0.1 + 0.09 * number)
    for number in range(refusals):
        refuse(rate, 1.0 + 0.001 * number, is_alone=False)
    return rate


def test_a_call_refused_alone_after_enough_evidence_starts_a_pace() -> None:
    rate = with_history()
    assert refuse(rate, 1.01)
    assert rate.pace == pytest.approx(0.95 * 10 / 1.01)


@pytest.mark.parametrize(
    ("successes", "refusals", "is_alone"),
    [(7, 2, True), (10, 1, True), (10, 2, False)],
    ids=["too few successes", "too few refusals", "others in flight"],
)
def test_without_each_piece_of_evidence_there_is_no_pace(
    successes: int, refusals: int, *, is_alone: bool
) -> None:
    rate = with_history(successes=successes, refusals=refusals)
    assert not refuse(rate, 1.01, is_alone=is_alone)
    assert rate.pace is None


def test_refusals_where_more_were_let_in_before_are_evidence_too() -> None:
    rate = with_history(successes=10, refusals=0)
    answer(rate, 1.0, full_limit=5)
    for number in range(3):
        blames_rate = refuse(rate, 1.1 + number, is_alone=False, limit=4)
        assert blames_rate == (number == 2)


def test_refusals_at_the_highest_limit_are_the_business_of_the_cap() -> None:
    rate = with_history(successes=10, refusals=0)
    for number in range(6):
        answer(rate, 1.0 + number, full_limit=4)
        assert not refuse(rate, 1.1 + number, is_alone=False, limit=4)


def test_under_a_pace_only_calls_sent_since_the_last_cut_slow_it() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    pace = rate.pace or 0.0
    rate.note_refused(is_alone=False, limit=1, started_s=1.0, now_s=1.2)
    assert rate.pace == pace
    refuse(rate, 1.3)
    assert rate.pace == pytest.approx(0.9 * pace)


def test_clean_rounds_quicken_the_pace_but_carefully_where_it_was_refused() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    first = rate.pace or 0.0
    now_s = 1.1
    for _ in range(10):
        now_s += 0.1
        answer(rate, now_s)
    assert rate.pace == pytest.approx(1.1 * first)
    refuse(rate, now_s + 0.01)
    after_cut = rate.pace or 0.0
    for _ in range(10):
        now_s += 0.1
        answer(rate, now_s)
    assert rate.pace == pytest.approx(1.02 * after_cut)


def test_a_pace_that_does_not_stop_the_refusals_is_dropped_and_doubted() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    for number in range(4):
        refuse(rate, 1.1 + 0.1 * number, limit=9)
    assert rate.pace is None
    answer(rate, 2.0, full_limit=9)
    for number in range(6):
        refuse(rate, 2.1 + 0.1 * number, is_alone=False, limit=4)
    assert rate.pace is None


def test_a_pace_that_holds_nobody_back_is_dropped() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    for number in range(200):
        answer(rate, 1.1 + number)
    assert rate.pace is None


# The space between starts.


def test_a_stated_rate_spaces_the_starts_from_the_first() -> None:
    pacer = Pacer(requests_per_s=2.0)
    assert pacer.hold_s(0.0) == 0.0
    pacer.note_start(0.0)
    assert pacer.hold_s(0.0) == 0.5
    pacer.note_start(0.51)
    assert pacer.hold_s(0.51) == pytest.approx(0.49), "a late start is caught up"


def test_time_without_calls_is_not_saved_up_for_a_burst() -> None:
    pacer = Pacer(requests_per_s=1.0)
    pacer.note_start(100.0)
    assert pacer.hold_s(100.0) >= 0.75


def test_a_stated_token_rate_spaces_by_the_tokens_that_calls_take() -> None:
    pacer = Pacer(tokens_per_s=1000.0)
    assert pacer.gap_s(0.0) == 1.0
    for _ in range(200):
        pacer.note_tokens(3000)
    assert pacer.gap_s(0.0) == pytest.approx(3.0, rel=0.01)


def test_the_slowest_of_all_rates_counts() -> None:
    pacer = Pacer(requests_per_s=10.0)
    pacer.learned_per_s = 4.0
    assert pacer.gap_s(0.0) == 0.25


@pytest.mark.parametrize(
    ("limit", "remaining", "reset_s", "rate"),
    [
        (100.0, 20.0, 8.0, 9.5),
        (60.0, 59.0, 60.0, 0.95 * 59 / 60),
        (None, 20.0, 8.0, None),
        (100.0, -1.0, 8.0, None),
        (0.0, 20.0, 8.0, None),
        (100.0, 20.0, 0.0, None),
    ],
    ids=["spent", "window just begun", "no limit", "-1", "0", "no reset"],
)
def test_quota_headers_give_a_rate_or_nothing(
    limit: float | None, remaining: float, reset_s: float, rate: float | None
) -> None:
    given_rate = quota_rate(limit, remaining, reset_s)
    assert given_rate == (None if rate is None else pytest.approx(rate))


def test_quota_headers_hold_until_they_are_reset_and_empty_ones_change_nothing() -> (
    None
):
    pacer = Pacer()
    spent = Headers(limit_requests=100, remaining_requests=20, reset_requests_s=8)
    pacer.note_quota(spent, 0.0)
    pacer.note_quota(Headers(limit_requests=0, remaining_requests=-1), 1.0)
    assert pacer.gap_s(7.9) == pytest.approx(1 / 9.5)
    assert pacer.gap_s(8.1) == 0.0


# Throughput.


def test_speed_is_work_over_the_time_of_the_places_it_took() -> None:
    meter = Meter()
    meter.clear(0.0)
    for number in range(4):
        meter.note_start("vote", 0.0 + number)
        meter.note_end("vote", 1.0 + number)
        meter.note_answer("vote", 10, started_s=0.0 + number)
    before = meter.reading()
    meter.clear(4.0)
    for number in range(4):
        for _ in range(2):
            meter.note_start("vote", 4.0 + number)
        for _ in range(2):
            meter.note_end("vote", 5.0 + number)
        meter.note_answer("vote", 10, started_s=4.0 + number)
        meter.note_answer("vote", 5, started_s=4.0 + number)
    share = before.share_of_proportional(meter.reading())
    assert share == pytest.approx(0.5), "twice the places, 1.5 times the work"


def test_a_call_that_began_before_the_stretch_counts_by_its_time_in_it() -> None:
    meter = Meter()
    meter.note_start("vote", 0.0)
    meter.clear(3.0)
    meter.note_end("vote", 4.0)
    for _ in range(4):
        meter.note_answer("vote", 10, started_s=0.0)
    whole = Meter()
    whole.clear(3.0)
    whole.note_start("vote", 3.0)
    whole.note_end("vote", 4.0)
    for _ in range(4):
        whole.note_answer("vote", 10, started_s=3.0)
    share = _doubled(whole).share_of_proportional(meter.reading())
    assert share is not None
    # Half the places, a quarter of the speed: an eighth of the work is left.
    assert share == pytest.approx((0.5 * 0.25 - 1.0) / (0.5 - 1.0))


def _doubled(meter: Meter) -> Reading:
    """The reading with twice the places in use, at the same speed."""
    reading = meter.reading()
    reading.places *= 2
    return reading


def test_groups_that_took_few_of_the_later_places_are_not_compared() -> None:
    readings = []
    for places in ({"vote": 1}, {"vote": 1, "draft": 2}):
        meter = Meter()
        meter.clear(0.0)
        for group, count in places.items():
            for _ in range(count):
                meter.note_start(group, 0.0)
        for group, count in places.items():
            for _ in range(count):
                meter.note_end(group, 1.0)
            for _ in range(4):
                meter.note_answer(group, 10, started_s=0.0)
        readings.append(meter.reading())
    assert readings[0].share_of_proportional(readings[1]) is None
    assert readings[1].share_of_proportional(readings[0]) is not None


def test_stretches_without_a_common_group_are_not_compared() -> None:
    meter = Meter()
    readings = []
    for group, places in (("draft", 1), ("vote", 2)):
        meter.clear(0.0)
        for _ in range(places):
            meter.note_start(group, 0.0)
        for _ in range(places):
            meter.note_end(group, 1.0)
        for _ in range(8):
            meter.note_answer(group, 10, started_s=0.0)
        readings.append(meter.reading())
    assert readings[0].share_of_proportional(readings[1]) is None


@pytest.mark.parametrize("most", [1, 5, 16])
def test_up_to_sixteen_the_number_of_the_user_holds(most: int) -> None:
    policy = ThroughputPolicy(most)
    for number in range(500):
        policy.note_start("", number)
        policy.note_success(
            "", 1, in_flight=1, allowed=most, started_s=number, now_s=number
        )
        policy.note_end("", number)
    assert policy.limit == most


def test_above_sixteen_it_starts_at_sixteen() -> None:
    assert ThroughputPolicy(128).limit == 16


# Waits.


def test_a_hint_is_obeyed_up_to_the_longest_outage() -> None:
    waits = RefusalWaits(longest_s=900.0, rng=random.Random(0))
    assert waits.note_refused(7.0, started_s=0.0, now_s=0.0) == 7.0
    assert waits.note_refused(5000.0, started_s=0.0, now_s=0.0) == 900.0


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_guesses_stay_between_nothing_and_two_to_the_episode(
    seed: int, refusals: int
) -> None:
    waits = RefusalWaits(longest_s=900.0, rng=random.Random(seed))
    for number in range(1, refusals + 1):
        guess_s = waits.note_refused(None, started_s=number, now_s=number)
        assert 0.0 <= guess_s <= min(60.0, 2.0**number)


def test_a_success_ends_the_episode() -> None:
    rng = random.Random(0)
    waits = RefusalWaits(longest_s=900.0, rng=rng)
    for number in range(20):
        waits.note_refused(None, started_s=number, now_s=number)
    waits.note_success(started_s=20.0, now_s=21.0)
    guesses = [waits.note_refused(None, started_s=22.0, now_s=22.0) for _ in range(99)]
    assert max(guesses) <= 2.0


def test_all_pause_for_the_whole_wait_when_nothing_was_answered_lately() -> None:
    waits = RefusalWaits(longest_s=900.0, rng=random.Random(0))
    assert waits.pause_all(20.0, is_paced=False, now_s=0.0) == 20.0
    assert waits.hold_s(5.0) == 15.0


def test_pauses_are_short_and_double_where_an_answer_came_just_now() -> None:
    waits = RefusalWaits(longest_s=900.0, rng=random.Random(0))
    waits.note_success(started_s=0.0, now_s=0.0)
    pauses, now_s = [], 0.0
    for _ in range(3):
        now_s += waits.pause_all(20.0, is_paced=False, now_s=now_s)
        pauses.append(waits.hold_s(0.0))
    assert pauses == pytest.approx([0.2, 0.6, 1.4])
