"""How many calls a second, learned from refusals: events in, a pace out."""

from itertools import pairwise

import pytest

from parallel.limiter.rate import RateRule


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
