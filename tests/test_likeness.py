"""How much two texts are about the same."""

from hypothesis import given

from pipeline.grounding.likeness import content_words, likeness
from tests.stage_fakes import TEXTS


def test_words_of_weight_are_the_long_ones_and_every_number() -> None:
    assert content_words("The “Deciding” team, in 7 days") == {
        "decidi",
        "team",
        "7",
        "days",
    }


def test_a_longer_text_with_the_same_words_is_less_alike() -> None:
    wanted = content_words("stale arguments return")
    short = likeness(wanted, content_words("Arguments return."))
    long = likeness(
        wanted, content_words("Arguments return when nobody wrote down why.")
    )
    assert 0 < long < short < 1


@given(TEXTS, TEXTS)
def test_likeness_is_from_nought_to_one_and_the_same_both_ways(
    one: str, other: str
) -> None:
    first, second = content_words(one), content_words(other)
    assert 0 <= likeness(first, second) == likeness(second, first) <= 1
    assert likeness(first, first) == (1 if first else 0)
