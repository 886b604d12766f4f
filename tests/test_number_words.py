"""Numbers that are spelled out are found and have the value of their digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grounding.number_words import (
    is_spelled_below_ten,
    spelled_numbers,
    value_of,
)

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
    assert spelled_numbers(f"Of {words} teams") == [words]
    assert value_of(words) == value_of(words.upper()) == str(number)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Fifteen teams, then fifteen more.", ["Fifteen", "fifteen"]),
        ("a ten-year plan", ["ten"]),
        ("twelve million users", ["twelve"]),
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
    assert spelled_numbers(text) == found


def test_digits_keep_their_value() -> None:
    assert value_of("1,000") == value_of("1000") == value_of("one thousand") == "1000"
    assert value_of("2.50") == "2.50"


def test_small_words_are_told_apart() -> None:
    assert [w for w in ["One", "nine", "ten", "9"] if is_spelled_below_ten(w)] == [
        "One",
        "nine",
    ]


def test_a_megabyte_of_numbers_takes_no_time() -> None:
    assert spelled_numbers("twenty-" * 150_000) == ["twenty"]
    assert spelled_numbers("one hundred and " * 70_000) == ["one hundred"]
