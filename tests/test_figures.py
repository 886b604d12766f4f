"""Figures are found in digits and in words, and what they are worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grounding.figures import (
    figures_in,
    is_spelled_below_ten,
    value_of,
)
from tests.growth import assert_one_pass

BELOW_TWENTY = (
    " one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen"
)
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def spelled(number: int, *, joint: str = "-", and_: str = "and ") -> str:
    """A number from 1 to 999,999 as people spell it; nothing for 0."""
    units = BELOW_TWENTY.split(" ")
    if number >= 1000:
        rest = spelled(number % 1000, joint=joint, and_=and_)
        head = spelled(number // 1000, joint=joint, and_=and_)
        return f"{head} thousand {rest}".rstrip()
    if number >= 100:
        rest = spelled(number % 100, joint=joint)
        return f"{units[number // 100]} hundred {and_ if rest else ''}{rest}".rstrip()
    if number < 20:
        return units[number]
    tens, ones = TENS.split()[number // 10 - 2], units[number % 10]
    return f"{tens}{joint}{ones}" if ones else tens


@given(st.integers(1, 999_999), st.sampled_from("- "), st.sampled_from(["", "and "]))
def test_every_number_is_found_whole_and_has_its_value(
    number: int, joint: str, and_: str
) -> None:
    words = spelled(number, joint=joint, and_=and_)
    assert figures_in(f"Of {words} teams") == [words]
    assert value_of(words) == value_of(words.upper()) == str(number)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Fifteen teams, then fifteen more.", ["Fifteen", "fifteen"]),
        ("a ten-year plan", ["ten"]),
        ("twelve million users", ["twelve million"]),
        (
            "12 million, 2.5 billion and 3-million",
            ["12 million", "2.5 billion", "3-million"],
        ),
        ("In 2019 nine of 12 left.", ["2019", "nine", "12"]),
        ("12 millionaires", ["12"]),
        ("millions, a million, 2 millions", ["2"]),
        ("between one hundred and two hundred", ["one hundred", "two hundred"]),
        ("one thousand to two thousand", ["one thousand", "two thousand"]),
        ("one in twenty", ["one", "twenty"]),
        ("forty-two\npercent", ["forty-two"]),
        ("It happens often; attend, nonetheless.", []),
        ("a hundred of them, thousands even", []),
        ("the twenty-first century", []),
        ("the tenth of the twenties", []),
    ],
)
def test_what_is_a_number_in_words(text: str, found: list[str]) -> None:
    assert figures_in(text) == found


@pytest.mark.parametrize(
    ("figures", "value"),
    [
        (
            ["1,000", "1000", "1.000", "1 thousand", "one thousand", "10 hundred"],
            "1000",
        ),
        (["2.50"], "2.50"),
        (["2.5 million", "2,5 million", "2.50 Million", "2,500,000"], "2500000"),
        (["12 million", "twelve million", "Twelve-million", "12,000,000"], "12000000"),
        (["two hundred thousand", "200 thousand", "200,000"], "200000"),
        (["0.5 billion", "500 million", "five hundred million"], "500000000"),
        (["1.2.3 thousand"], "1.2.3 thousand"),
    ],
)
def test_what_is_worth_the_same_has_one_value(figures: list[str], value: str) -> None:
    assert {value_of(figure) for figure in figures} == {value}


def test_a_million_is_no_billion() -> None:
    assert value_of("12 million") != value_of("12 billion") != value_of("12")


def test_small_words_are_told_apart() -> None:
    assert [w for w in ["One", "nine", "ten", "9"] if is_spelled_below_ten(w)] == [
        "One",
        "nine",
    ]


@pytest.mark.parametrize("part", ["twenty-", "one hundred and "])
def test_numbers_without_end_take_one_pass(part: str) -> None:
    assert figures_in(part * 1_000) == [part.removesuffix("-").removesuffix(" and ")]
    assert_one_pass(figures_in, part)
