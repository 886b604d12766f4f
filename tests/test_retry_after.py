"""Retry-After in every form met in the field, and in none."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.llm.server_words import Quota, hint_in, quota_in, seconds_in, spelled

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
EPOCH_S = NOW.timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("300", 300.0),
        ("120ms", 0.12),
        ("1m2.5s", 62.5),
        ("6m0s", 360.0),
        ("2h", 7200.0),
        ("1d 2h", 93600.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Sat, 31 Jan 2026 12:01:00", 60.0),
        ("2026-01-31T12:01:00Z", 60.0),
        (str(EPOCH_S + 30), 30.0),
        (str(int(EPOCH_S * 1000) + 30_000), 30.0),
        (str(EPOCH_S - 30), 0.0),
    ],
)
def test_every_form_names_its_seconds(value: str, seconds: float) -> None:
    assert seconds_in(value, now=NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-5", "nan", "inf", "1e999", "5 apples", "s", "1m?", "9" * 400 + "s"],
)
def test_what_cannot_be_read_is_no_hint(value: str) -> None:
    assert seconds_in(value, now=NOW) is None


DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "", "x"]),
    st.integers(-1, 10**20),
    st.sampled_from(["Jan", "Feb", "13"]),
    st.integers(-1, 10**20),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["GMT", "+9999", "-2359", "+999999999999"]),
)


@given(st.text(max_size=30) | DATES | st.floats().map(str) | st.integers().map(str))
@example("Mon, 1 Jan 99999999999999999999 00:00:00 GMT")
def test_no_text_crashes_and_none_is_negative_or_endless(value: str) -> None:
    seconds = seconds_in(value, now=NOW)
    assert seconds is None or 0 <= seconds < float("inf")


def test_milliseconds_of_their_own_header_come_first() -> None:
    headers = {"retry-after-ms": "250", "retry-after": "9"}
    assert hint_in(headers, now=NOW) == 0.25
    assert hint_in({**headers, "retry-after-ms": "x"}, now=NOW) == 9.0
    assert hint_in({}, now=NOW) is None


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 7m12.3s.", 432.3),
        ("Try again in 5 seconds", 5.0),
        ("Please retry after 86400 seconds.", 86400.0),
        ("Please retry in 17.200000000s.", 17.2),
        ("cooldown 5 seconds", 5.0),
        ("Wait for 1 hour and 2 minutes", 3720.0),
        ("try again in 250ms", 0.25),
        ("It resets in 2 days", 172_800.0),
        ("Try again in 5 seconds. cooldown_list=['c9d4']", 5.0),
        ("Limit 12000, Used 11034. Please try again later.", None),
        ("Try again in 3.", None),
        ("available models: 3m, 7m", None),
        ("9" * 400 + "s: try again in " + "9" * 400 + "s", None),
        ("", None),
    ],
)
def test_a_wait_in_words_is_read(words: str, seconds: float | None) -> None:
    assert hint_in({}, None, words, now=NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "body",
    [
        [{"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": "17s"}]}}],
        {
            "error": {
                "metadata": {"headers": {"X-RateLimit-Reset": EPOCH_S * 1e3 + 17e3}}
            }
        },
        {"error": {"retry_after": 17}},
    ],
)
def test_a_wait_in_the_body_comes_before_the_words(body: object) -> None:
    assert hint_in({}, body, "try again in 9s", now=NOW) == pytest.approx(17.0)
    assert hint_in({"retry-after": "3"}, body, "in 9s", now=NOW) == 3.0


@given(st.text(max_size=60))
def test_no_words_crash(words: str) -> None:
    hint = hint_in({}, {"message": words}, words, now=NOW)
    assert hint is None or 0 <= hint < float("inf")


@pytest.mark.parametrize(
    ("seconds", "said"), [(86400.0, "24 h"), (578.0, "10 min"), (25.0, "25 s")]
)
def test_a_wait_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert spelled(seconds) == said


def test_quota_headers_are_read() -> None:
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-tokens": "1m2s",
    }
    assert quota_in(headers, now=NOW) == Quota(
        limit_requests=500,
        remaining_requests=499,
        reset_requests_s=0.12,
        limit_tokens=30000,
        remaining_tokens=29000,
        reset_tokens_s=62.0,
    )


def test_idle_or_absent_quota_headers_say_nothing() -> None:
    assert quota_in({}, now=NOW) is None
    headers = {
        "x-ratelimit-limit-requests": "-1",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "",
    }
    assert quota_in(headers, now=NOW) == Quota()


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_no_quota_header_crashes(limit: str, remaining: str, reset: str) -> None:
    headers = {
        "x-ratelimit-limit-tokens": limit,
        "x-ratelimit-remaining-tokens": remaining,
        "x-ratelimit-reset-tokens": reset,
    }
    quota = quota_in(headers, now=NOW)
    assert quota is not None
    assert quota.limit_tokens is None or quota.limit_tokens > 0
