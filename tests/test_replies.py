"""What is found in a reply, however it is wrapped, and whatever is in it."""

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UnreadableReply
from pipeline.llm.reading import article_in, object_in, without_thoughts

CARD = {"hook": 'a "quoted" } brace', "points": [1, 2, {"deep": "{"}]}
TEXT = json.dumps(CARD)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner)
    ),
    max_leaves=8,
)
PIECES = [*'{}[]":,\\', "{'", "```", "```json\n", "<think>", "</think>", "\n", "\ud800"]
PIECES += ["//", "/*", "null", "1e", "-", '\\"', "\\u12", "“", "</thought>", "a", " "]


@pytest.mark.parametrize(
    "reply",
    [
        TEXT,
        f"\n\n{TEXT}\n",
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"Here is the card:\n\n{TEXT}\n\nTell me if you want {{more}}.",
        f'<think>\nMaybe {{"hook": 1}}?\n</think>\n{TEXT}',
        f"maybe {{}} or not\n</think>{TEXT}",
        f"<THINKING>x</THINKING>{TEXT}",
        f"<think>one</think><reasoning>two</reasoning>{TEXT}",
        f"<think>{TEXT}",  # never closed: the object is all there is
    ],
)
def test_an_object_is_found_in_whatever_is_around_it(reply: str) -> None:
    assert object_in(reply) == CARD


@pytest.mark.parametrize(
    "reply",
    [
        '{"a": [1, 2,], "b": "x",}',
        "{'a': [1, 2], 'b': 'x'}",
        '{a: [1, 2], b: "x"}',
        '{"a": [1 2] "b": "x"}',
    ],
)
def test_quotes_and_commas_are_mended(reply: str) -> None:
    assert object_in(reply) == {"a": [1, 2], "b": "x"}


@pytest.mark.parametrize("cut", range(1, len(TEXT)))
def test_an_object_that_ends_inside_itself_is_never_completed(cut: int) -> None:
    with pytest.raises(UnreadableReply, match="ends inside its JSON object"):
        object_in(TEXT[:cut])


@pytest.mark.parametrize(
    "reply", ["", "No.", "[1, 2]", '"text"', "{}", "}{", "<think>hm</think>", "} a"]
)
def test_a_reply_without_an_object_says_so(reply: str) -> None:
    with pytest.raises(UnreadableReply):
        object_in(reply)


def test_the_largest_of_several_objects_is_taken() -> None:
    assert object_in(f'{{"a": 1}} then {TEXT} then {{"b": 2}}') == CARD


def test_what_is_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(UnreadableReply, match="longer than a million"):
        object_in("{" + " " * 1_000_000 + "}")
    with pytest.raises(UnreadableReply, match="deeper than a hundred"):
        object_in('{"a":' * 101 + "1" + "}" * 101)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), JSON, min_size=1), st.booleans())
def test_every_object_survives_being_wrapped(
    value: dict[str, Any], plain: bool
) -> None:
    text = json.dumps(value, ensure_ascii=plain)
    if "think" not in text and "thought" not in text:
        assert object_in(f"Sure!\n```json\n{text}\n```\nDone.") == value


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text())
def test_no_text_fails_in_any_other_way(text: str) -> None:
    article_in(text)
    try:
        found = object_in(text)
    except UnreadableReply:
        return
    assert isinstance(found, dict)
    assert found


def seconds_for(work: Callable[[str], object], text: str) -> float:
    """The least of three measurements of this thread's own time."""
    taken = []
    for _ in range(3):
        start_s = time.thread_time()
        with contextlib.suppress(UnreadableReply):
            work(text)
        taken.append(time.thread_time() - start_s)
    return min(taken)


@pytest.mark.parametrize("work", [object_in, article_in])
@pytest.mark.parametrize(
    ("start", "again"),
    [
        ("", "<think>"),
        ("", "</think>"),
        ("", "<think></thought>"),
        ("", "<"),
        ("", "{}"),
        ("", "{ "),
        ("", "[" * 50 + "]" * 50),
        ('{"', '\\"'),
        ('{"a": "', "\\\\"),
        ("```\n", "\n```"),
        ("```\n", "\n``` "),
        ("", "\n"),
        ("", " "),
        ('{"a": 1} ', '"'),
        ("{", '"a" '),
        ("{", "a: "),
    ],
)
def test_sixteen_times_the_text_takes_nothing_like_the_square(
    work: Callable[[str], object], start: str, again: str
) -> None:
    few, many = 400, 16 * 400
    small = seconds_for(work, start + again * few + "\\")
    large = seconds_for(work, start + again * many + "\\")
    # 16 is linear, 256 is the square; below 2 ms the clock is all that is measured.
    assert large < 80 * max(small, 0.000_05) or large < 0.002


def test_a_million_hostile_characters_are_refused_at_once() -> None:
    for text in ("<think>" * 142_000, '{"' + '\\"' * 499_000 + "\\", "{" * 1_000_000):
        with pytest.raises(UnreadableReply):
            object_in(text)


def test_thoughts_go_and_the_text_stays() -> None:
    assert (
        without_thoughts("<think>a</think>\nText <b>bold</b>.") == "Text <b>bold</b>."
    )
    assert without_thoughts("One <thought>x</thought>two") == "One two"
    assert without_thoughts("thinking...\n</think>\nText") == "Text"
    assert without_thoughts("<think>never ended") == ""
    assert without_thoughts("<think>a</think><think>never ended") == ""
    assert without_thoughts("I think <so>.") == "I think <so>."


@pytest.mark.parametrize("end", ["<|return|>", "<|end|>", ""])
def test_only_the_channel_for_the_reader_is_kept(end: str) -> None:
    thought = '<|channel|>analysis<|message|>Maybe {"a": 1}?<|end|><|start|>assistant'
    final = "<|channel|>final<|message|>"
    assert article_in(f"{thought}{final}# Logs\n\nPay.{end}") == "# Logs\n\nPay."
    assert object_in(f"{thought}{final}{TEXT}{end}") == CARD
    as_json = "<|channel|>final <|constrain|>json<|message|>"
    assert object_in(f"{thought}{as_json}{TEXT}{end}") == CARD
    assert article_in(thought) == ""


def test_a_fence_around_the_whole_article_goes_and_one_inside_stays() -> None:
    assert article_in("```markdown\n# Title\n\nText\n```") == "# Title\n\nText"
    inside = "# Title\n\n```python\nx = 1\n```\n\nEnd."
    assert article_in(inside) == inside


def test_an_unfiltered_article_keeps_its_thoughts() -> None:
    text = "<think>a</think> Text"
    assert article_in(text, filter_think=False) == text
    assert article_in(text) == "Text"
