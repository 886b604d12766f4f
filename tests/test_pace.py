"""When the next call may start: spaces between starts, and waits after refusals."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel.limiter.pace import Pacer, RefusalWaits, quota_rate
from pipeline.llm.server_words import Quota


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


A_DAY = Quota(limit_requests=1000, remaining_requests=500, reset_requests_s=2580)


@pytest.mark.parametrize(
    ("calls_left", "gap_s"), [(0, 0.0), (500, 0.0), (501, 2580 / 475)]
)
def test_a_quota_of_a_day_slows_only_a_run_that_needs_more(
    calls_left: int, gap_s: float
) -> None:
    pacer = Pacer(calls_left=lambda: calls_left)
    pacer.note_quota(A_DAY, 0.0)
    assert pacer.gap_s(1.0) == pytest.approx(gap_s)


@pytest.mark.parametrize(("tokens_left", "is_slowed"), [(50_000, False), (9_000, True)])
def test_tokens_of_a_day_are_weighed_by_what_a_call_takes(
    tokens_left: float, is_slowed: bool
) -> None:
    pacer = Pacer(calls_left=lambda: 10)  # of about 1,000 tokens each
    pacer.note_quota(
        Quota(limit_tokens=1e5, remaining_tokens=tokens_left, reset_tokens_s=40_000),
        0.0,
    )
    assert (pacer.gap_s(1.0) > 0.0) is is_slowed


def test_a_quota_of_a_minute_paces_whatever_the_run_needs() -> None:
    pacer = Pacer(calls_left=lambda: 1)
    minute = Quota(limit_requests=60, remaining_requests=20, reset_requests_s=60)
    pacer.note_quota(minute, 0.0)
    assert pacer.gap_s(1.0) == pytest.approx(60 / (0.95 * 40))


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
