"""
Numbers that a text spells out in English, so that "fifteen" and "15" are one figure.

Up to 999,999, without fractions, ordinals and years ("nineteen eighty-four"). Of "twelve
million" it reads the twelve, as of "12 million". Other languages spell out unseen.
"""

from __future__ import annotations

import re

from pipeline.article_text import figure_value

_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = (
    "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
)
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ORDINALS = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth"
_VALUES = {
    **{word: 1 + place for place, word in enumerate(_ONES.split("|"))},
    **{word: 10 + place for place, word in enumerate(_TEENS.split("|"))},
    **{word: 20 + 10 * place for place, word in enumerate(_TENS.split("|"))},
}
_JOINT = r"[-\s]"
_BELOW_HUNDRED = (
    rf"(?:(?:{_TENS})(?:{_JOINT}(?:{_ONES})\b)?"
    rf"|(?:{_TEENS}|{_ONES}))\b"
)
_BELOW_THOUSAND = (
    rf"{_BELOW_HUNDRED}"
    rf"(?:{_JOINT}hundred\b"
    rf"(?:{_JOINT}(?:and{_JOINT})?{_BELOW_HUNDRED}(?!{_JOINT}hundred\b))?)?"
)
_SPELLED = re.compile(
    rf"\b{_BELOW_THOUSAND}"
    rf"(?:{_JOINT}thousand\b(?:{_JOINT}(?:and{_JOINT})?{_BELOW_THOUSAND}"
    rf"(?!{_JOINT}thousand\b))?)?"
    rf"(?!-(?:{_ORDINALS})\b)",
    re.IGNORECASE,
)


def spelled_numbers(text: str) -> list[str]:
    """Numbers as they are spelled out, in order, without repeats; "a hundred" is none."""
    return list(dict.fromkeys(_SPELLED.findall(text)))


def value_of(figure: str) -> str:
    """The digits of a figure, however it is written: "15" for "fifteen" and for "15"."""
    if figure[0].isdigit():
        return figure_value(figure)
    thousands = below = 0
    for word in re.split(_JOINT, figure.casefold()):
        if word == "hundred":
            below *= 100
        elif word == "thousand":
            thousands, below = below * 1000, 0
        else:
            below += _VALUES.get(word, 0)  # "and" adds nothing
    return str(thousands + below)


def is_spelled_below_ten(figure: str) -> bool:
    """Whether it is one of the words that stand in every sentence: "one" to "nine"."""
    return figure.casefold() in _ONES.split("|")
