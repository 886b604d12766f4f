"""Prompts that a server cuts without a word, by its own count of tokens."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.llm.prompts_read import PromptsRead
from pipeline.metrics import Usage


def usage_of(prompt_tokens: int, **more: Any) -> Usage:
    return Usage(prompt_tokens=prompt_tokens, completion_tokens=1, **more)


def told(pairs: Iterable[tuple[int, int]]) -> list[int | None]:
    read = PromptsRead()
    return [read.note(usage_of(prompt_tokens=t), chars) for t, chars in pairs]


def test_three_prompts_of_different_length_that_count_the_same_are_cut() -> None:
    pairs = [(900, 1200), (1024, 1400), (1024, 1400), (1024, 1800), (1024, 1600)]
    assert told(pairs) == [None, None, None, None, 1024]


def test_it_is_told_once_and_known_ever_after() -> None:
    read = PromptsRead()
    said = [read.note(usage_of(prompt_tokens=1024), 4000 + 500 * n) for n in range(9)]
    assert [each for each in said if each] == [1024]
    assert read.cut_at() == 1024


def test_half_the_tokens_that_shorter_prompts_have_for_their_length_is_a_cut() -> None:
    assert told([(500, 2000), (1000, 4000), (1024, 9000)]) == [None, None, 1024]


@pytest.mark.parametrize(
    "pairs",
    [
        [(2048, 8000 + n) for n in range(9)],  # as long as each other
        [(100, 400 * n) for n in range(1, 9)],  # too short to be cut anywhere
        [(300, 1000), (1000, 5000)],
    ],
)
def test_what_may_have_other_reasons_is_no_cut(pairs: list[tuple[int, int]]) -> None:
    assert not any(told(pairs))


@given(st.lists(st.integers(1, 200_000)), st.floats(0.2, 0.35))
def test_prompts_that_are_read_whole_are_never_said_to_be_cut(
    lengths: list[int], density: float
) -> None:
    assert not any(told((max(1, int(density * each)), each) for each in lengths))


@given(st.permutations(list(range(2000, 20_000, 900))))
def test_a_cut_comes_to_light_in_whatever_order_prompts_are_sent(
    lengths: list[int],
) -> None:
    read = PromptsRead()
    for length in lengths:
        read.note(usage_of(prompt_tokens=min(length // 4, 4096)), length)
    for length in (20_000, 30_000):
        read.note(usage_of(prompt_tokens=4096), length)
    assert read.cut_at() == 4096


@pytest.mark.parametrize(
    "usage",
    [
        None,
        usage_of(prompt_tokens=1024, is_estimate=True),
        usage_of(prompt_tokens=1024, cached_tokens=900),
    ],
)
def test_a_count_that_is_none_tells_nothing(usage: Usage | None) -> None:
    read = PromptsRead()
    assert [read.note(usage, 4000 * n) for n in range(1, 9)] == [None] * 8


@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 20_000)), max_size=30),
    st.integers(512, 600),
)
def test_what_is_known_has_been_told(pairs: list[tuple[int, int]], cut: int) -> None:
    read = PromptsRead()
    is_told = False
    for tokens, characters in pairs:
        told_now = read.note(usage_of(min(tokens, cut)), characters)
        is_told = is_told or told_now is not None
        assert is_told or read.cut_at() is None
