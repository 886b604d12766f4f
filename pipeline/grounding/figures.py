"""
The figures of a sentence and what they are worth: "15" and "fifteen", "2 million".

Numbers in words are English ones up to 999,999 and whole millions, without fractions,
ordinals and years ("nineteen eighty-four"). A word of scale belongs to its number, so
that a million cannot pass for a billion.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from pipeline.text.article import DIGITS, figure_value

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
_SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
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
_SPELLED = (
    rf"\b{_BELOW_THOUSAND}"
    rf"(?:{_JOINT}thousand\b(?:{_JOINT}(?:and{_JOINT})?{_BELOW_THOUSAND}"
    rf"(?!{_JOINT}thousand\b))?)?"
    rf"(?!-(?:{_ORDINALS})\b)"
)
_FIGURE = re.compile(
    rf"{DIGITS}(?:{_JOINT}(?:{'|'.join(_SCALES)})\b)?"
    rf"|{_SPELLED}(?:{_JOINT}(?:million|billion|trillion)\b)?",
    re.IGNORECASE,
)


def figures_in(text: str) -> list[str]:
    """Figures as they are written, in order, without repeats; "a hundred" is none."""
    return list(dict.fromkeys(_FIGURE.findall(text)))


def value_of(figure: str) -> str:
    """What it is worth, in digits: the same for "15" and "fifteen".

    Decimal places count, so that 2.50 is not 2.5, except before a word of scale.
    """
    first, *rest = re.split(_JOINT, figure.casefold())
    if not first[0].isdigit():
        return str(_value_of_words([first, *rest]))
    digits = figure_value(first)
    if not rest:
        return digits
    try:
        value = Decimal(digits.replace(",", ".")) * _SCALES[rest[0]]
    except InvalidOperation:  # 1.2.3 thousand
        return figure
    return f"{value.normalize():f}"


def _value_of_words(words: list[str]) -> int:
    above = current = 0
    for word in words:
        if word == "hundred":
            current *= _SCALES[word]
        elif word in _SCALES:
            above, current = (above + current) * _SCALES[word], 0
        else:
            current += _VALUES.get(word, 0)  # "and" adds nothing
    return above + current


def is_spelled_below_ten(figure: str) -> bool:
    """Whether it is one of the words that stand in every sentence: "one" to "nine"."""
    return figure.casefold() in _ONES.split("|")
