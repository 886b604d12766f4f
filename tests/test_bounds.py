"""How much of an answer is read: more than any sensible one, and not for ever."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.llm.bounds import (
    Bounds,
    bounds_of,
    most_characters,
    repeats_itself,
    thought_at_start,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "mark": {"type": "integer"},
        "tone": {"enum": ["dry", "warm"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "maxItems": 4},
        "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
    },
    "$defs": {"Line": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}


def test_a_form_has_room_for_several_times_what_it_can_hold() -> None:
    filled = {
        "mark": 10**9,
        "tone": "warm",
        "lines": [{"n": 10**9}] * 4,
        "note": "x" * 3000,
    }
    assert most_characters(SCHEMA) > 2 * len(json.dumps(filled, indent=4))
    assert most_characters(SCHEMA) < 60_000


def test_a_schema_that_names_itself_has_an_end() -> None:
    again = {"type": "array", "items": {"$ref": "#/$defs/Again"}}
    assert (
        most_characters({"$ref": "#/$defs/Again", "$defs": {"Again": again}}) <= 10**6
    )


@given(
    st.recursive(
        st.sampled_from([{"type": "string"}, {"enum": ["a"]}, {}, {"const": 1}]),
        lambda inner: (
            st.builds(lambda each: {"items": each, "maxItems": 3}, inner)
            | st.builds(lambda each: {"properties": {"p": each}}, inner)
        ),
        max_leaves=6,
    )
)
def test_every_schema_has_a_bound(schema: dict[str, Any]) -> None:
    assert 0 < most_characters(schema) <= 10**6


def test_a_text_has_room_for_several_times_its_words() -> None:
    assert bounds_of(None, 1500).characters > 4 * 1500 * 8
    assert bounds_of(None, 100).characters < bounds_of(None, 3000).characters
    assert bounds_of(None, None) == Bounds()
    assert bounds_of(SCHEMA, None).blanks < bounds_of(None, 100).blanks


RUNS = st.text(min_size=1, max_size=400).filter(str.strip)


@given(st.text(max_size=300), RUNS)
def test_one_run_over_and_over_is_noticed(start: str, run: str) -> None:
    assert repeats_itself(start + run * (3000 // len(run) + 2))


@pytest.mark.parametrize("count", [200, 2000])
def test_a_text_that_goes_on_is_no_repetition(count: int) -> None:
    assert not repeats_itself(" ".join(f"Line {number}." for number in range(count)))
    assert not repeats_itself("the same. " * 3)
    assert not repeats_itself("the same. " * 900 + "And an end.")
    refrain = (f"Verse {number}. And so we keep a log.\n" for number in range(count))
    assert not repeats_itself("".join(refrain))


def test_thinking_at_the_start_is_told_from_the_text() -> None:
    assert thought_at_start("A text with <think> in it") == 0
    assert thought_at_start("  <think>never ended") == len("  <think>never ended")
    assert thought_at_start("<Think>a</tHINK>text") == len("<Think>a")
