"""The rules of the limiter, each alone: events in, a number out."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel.limiter.concurrency import CapRule, FirstPieceRule
from parallel.limiter.pace import Pacer, RefusalWaits, quota_rate
from parallel.limiter.rate import RateRule
from pipeline.llm.server_words import Quota

# A cap in flight.


def test_ten_refused_of_sixteen_leave_six() -> None:
    cap = CapRule(16)
    for allowed in range(16, 6, -1):
        cap.note_refused(allowed)
    assert cap.limit == 6


def test_a_refusal_cuts_from_what_was_let_out_and_not_from_the_maximum() -> None:
    cap = CapRule(128)
    cap.note_refused(16)
    assert cap.limit == 15


def test_a_limit_of_one_stays_at_one() -> None:
    cap = CapRule(4)
    for _ in range(50):
        cap.note_refused(1)
    assert cap.limit == 1


def test_one_place_comes_back_after_a_round_of_at_least_eight() -> None:
    cap = CapRule(16)
    for allowed in range(16, 10, -1):
        cap.note_refused(allowed)
    limits = []
    for _ in range(10):
        cap.note_success(cap.limit)
        limits.append(cap.limit)
    assert limits == [10] * 9 + [11]


@pytest.mark.parametrize("few", [1, 3])
def test_a_cut_by_few_refusals_of_a_round_is_undone_after_it(few: int) -> None:
    cap = CapRule(64)
    for in_flight in range(8 + few, 8, -1):
        cap.note_refused(in_flight)
    assert cap.limit == 8
    for _ in range(8):
        cap.note_success(8)
    assert cap.limit == 64


def test_a_cut_by_a_timeout_is_not_undone_with_it() -> None:
    cap = CapRule(64)
    cap.note_refused(9)
    cap.note_timeout(8, started_s=0.0, now_s=1.0)
    for _ in range(8):
        cap.note_success(4)
    assert cap.limit == 5


def test_growth_doubles_while_nothing_is_refused() -> None:
    cap = CapRule(64)
    for in_flight in (12, 11, 10, 9):
        cap.note_refused(in_flight)
    assert cap.limit == 8
    steps = []
    while cap.limit < 15:
        before = cap.limit
        cap.note_success(cap.limit)
        if cap.limit > before:
            steps.append(cap.limit - before)
    assert steps == [1, 2, 4]


def test_a_fault_starts_the_round_afresh_and_cuts_nothing() -> None:
    cap = CapRule(16)
    cap.note_refused(9)
    for _ in range(7):
        cap.note_success(8)
    cap.note_trouble()
    cap.note_success(8)
    assert cap.limit == 8


def test_timeouts_of_one_generation_halve_once() -> None:
    cap = CapRule(16)
    cap.note_timeout(16, started_s=0.0, now_s=30.0)
    cap.note_timeout(8, started_s=1.0, now_s=31.0)
    assert cap.limit == 8
    cap.note_timeout(8, started_s=30.0, now_s=60.0)
    assert cap.limit == 4


def test_one_refusal_a_round_is_pardoned_where_more_were_let_in_before() -> None:
    cap = CapRule(16)
    for _ in range(8):
        cap.note_success(16)
    cap.note_refused(12)
    assert cap.limit == 16
    cap.note_refused(12)
    assert cap.limit == 11


def test_a_refusal_at_the_most_that_was_ever_let_in_is_not_pardoned() -> None:
    cap = CapRule(16)
    for _ in range(8):
        cap.note_success(7)
    cap.note_refused(7)
    assert cap.limit == 6


# A rate.


def refuse(
    rate: RateRule, at_s: float, *, is_alone: bool = True, limit: int = 1
) -> bool:
    rate.note_start(at_s)
    return rate.note_refused(
        is_alone=is_alone, in_flight=limit, started_s=at_s, now_s=at_s
    )


def answer(rate: RateRule, at_s: float, *, full_limit: int | None = 1) -> None:
    rate.note_start(at_s)
    rate.note_success(full_limit=full_limit, started_s=at_s, now_s=at_s)


def with_history(*, successes: int = 10, refusals: int = 2) -> RateRule:
    """Ten answers a second up to second 1, the last of them refused."""
    rate = RateRule()
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
    rate = RateRule()
    for number in range(60):
        answer(rate, number / 10, full_limit=5)
        if number in (45, 52, 59):
            at_s = number / 10 + 0.05
            blames_rate = refuse(rate, at_s, is_alone=False, limit=4)
            assert blames_rate == (number == 59)


def test_a_refusal_after_a_slack_stretch_was_of_no_empty_bucket() -> None:
    rate = with_history(successes=10, refusals=0)
    answer(rate, 1.0, full_limit=5)
    for number in range(6):
        assert not refuse(rate, 1.1 + number, is_alone=False, limit=4)
    assert rate.pace is None


def test_refusals_at_the_highest_limit_are_the_business_of_the_cap() -> None:
    rate = with_history(successes=10, refusals=0)
    for number in range(6):
        answer(rate, 1.0 + number, full_limit=4)
        assert not refuse(rate, 1.1 + number, is_alone=False, limit=4)


def test_under_a_pace_only_calls_sent_since_the_last_cut_slow_it() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    pace = rate.pace or 0.0
    rate.note_refused(is_alone=False, in_flight=1, started_s=1.0, now_s=1.2)
    assert rate.pace == pace
    refuse(rate, 1.3)
    assert 0.8 * pace <= rate.pace <= 0.97 * pace


def test_clean_rounds_quicken_the_pace_by_little_and_then_by_more() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    paces = [rate.pace or 0.0]
    now_s = 1.1
    for _ in range(5):
        for _ in range(10):
            now_s += 0.1
            answer(rate, now_s)
        paces.append(rate.pace or 0.0)
    steps = [after / before - 1 for before, after in pairwise(paces)]
    assert steps == pytest.approx([0.005, 0.01, 0.02, 0.02, 0.02])


def test_a_refusal_under_the_pace_measures_the_rate_anew() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    now_s = 1.1
    for _ in range(40):
        now_s += 0.11
        answer(rate, now_s)
    refuse(rate, now_s + 0.05)
    let_in = 10 + 40
    assert rate.pace == pytest.approx(0.95 * let_in / (now_s + 0.05), rel=0.01)


def test_what_is_sent_a_moment_after_the_pace_began_was_let_in_before_it() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    began = rate.pace
    refuse(rate, 1.06)
    assert rate.pace == began
    refuse(rate, 1.2)
    assert rate.pace is not None
    assert began is not None
    assert rate.pace < began


def test_a_pace_that_does_not_stop_the_refusals_is_dropped_and_doubted() -> None:
    rate = with_history()
    refuse(rate, 1.01)
    for number in range(3):
        refuse(rate, 1.2 + 0.1 * number, limit=9)
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
    spent = Quota(limit_requests=100, remaining_requests=20, reset_requests_s=8)
    pacer.note_quota(spent, 0.0)
    pacer.note_quota(Quota(limit_requests=0, remaining_requests=-1), 1.0)
    assert pacer.gap_s(7.9) == pytest.approx(1 / 9.5)
    assert pacer.gap_s(8.1) == 0.0


# The silence before a first piece.

TIMEOUT_S = 30.0


class Queue:
    """Calls that a server of four slots works off, each for as long as all others."""

    def __init__(self, rule: FirstPieceRule, *, calls: int, service_s: float) -> None:
        self.rule, self.now_s = rule, 0.0
        self._service_s = service_s
        self._waiting = list(range(calls))
        self.in_flight = calls
        for call in self._waiting:
            rule.note_start(call, 0.0)
        self._begin()

    def _begin(self) -> None:
        self._written, self._waiting = self._waiting[:4], self._waiting[4:]
        for call in self._written:
            self.rule.note_first_piece(call, in_flight=self.in_flight, now_s=self.now_s)

    def work(self) -> None:
        """One round: four calls end, four others begin."""
        self.now_s += self._service_s
        for call in self._written:
            self.in_flight -= 1
            self.rule.note_end(call, in_flight=self.in_flight, now_s=self.now_s)
        self._begin()


def test_a_silence_of_a_third_of_the_timeout_cuts_to_what_is_written_at_once() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    queue = Queue(rule, calls=32, service_s=4.0)
    limits = []
    for _ in range(3):
        queue.work()
        limits.append(rule.limit)
    assert limits == [None, None, 5]


def test_while_nobody_was_served_a_silence_is_that_of_a_model_being_loaded() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    for call in range(8):
        rule.note_start(call, 0.0)
    for call in range(8):
        rule.note_first_piece(call, in_flight=8, now_s=25.0 + call / 100)
    assert rule.limit is None
    for call in range(8):
        rule.note_end(call, in_flight=7 - call, now_s=30.0)
    assert rule.limit is None


def cut_at_12(rule: FirstPieceRule) -> None:
    """A queue of 32 that has led to a limit of five at second 12."""
    queue = Queue(rule, calls=32, service_s=4.0)
    while rule.limit is None:
        queue.work()


def serve(rule: FirstPieceRule, number: int, *, silence_s: float) -> None:
    """One call after another that is as long silent."""
    for call in range(number):
        rule.note_start(("new", call), 100.0 + call)
        at_s = 100.0 + call + silence_s
        rule.note_first_piece(("new", call), in_flight=1, now_s=at_s)
        rule.note_end(("new", call), in_flight=0, now_s=at_s)


def test_a_cut_that_helped_stays_and_grows_only_while_silences_are_short() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    cut_at_12(rule)
    serve(rule, 5, silence_s=4.0)
    assert rule.limit == 5
    serve(rule, 5, silence_s=1.0)
    assert rule.limit == 6


def test_a_cut_that_did_not_help_is_undone_for_good() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    cut_at_12(rule)
    serve(rule, 5, silence_s=11.0)
    assert rule.limit is None
    cut = FirstPieceRule(TIMEOUT_S)
    for each in (rule, cut):
        queue = Queue(each, calls=32, service_s=4.0)
        for _ in range(6):
            queue.work()
    assert cut.limit is not None
    assert rule.limit is None


def test_calls_sent_before_the_cut_say_nothing_of_it() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    queue = Queue(rule, calls=32, service_s=4.0)
    for _ in range(7):
        queue.work()
    assert rule.limit == 5


def test_a_timeout_beside_answers_is_the_queue_s_and_one_beside_none_is_not() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    assert not rule.explains_timeout(0.0, in_flight=8, now_s=30.0)
    cut_at_12(rule)
    assert rule.explains_timeout(0.0, in_flight=8, now_s=30.0)
    assert not rule.explains_timeout(20.0, in_flight=8, now_s=50.0), (
        "sent after the cut"
    )


def test_without_a_timeout_nothing_is_ever_cut() -> None:
    rule = FirstPieceRule(None)
    queue = Queue(rule, calls=32, service_s=400.0)
    for _ in range(7):
        queue.work()
    assert rule.limit is None


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
