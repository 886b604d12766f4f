"""Reading an answer from its bytes, however they are split, cut or spoilt."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.llm.bounds import Bounds
from pipeline.llm.stream import AnswerReader

WORDS = ["Ä log", " pays. ", "日本", "\n", "“x”", "{", "data:", "]"]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(min_size=1, max_size=5), min_size=1)
USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


def piece(content: str | None = None, **delta: Any) -> dict[str, Any]:
    told = {"content": content, **delta} if content is not None else delta
    return {"choices": [{"index": 0, "delta": told, "finish_reason": None}]}


def ending(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def events(*pieces: object, done: bool = True, newline: str = "\n") -> bytes:
    lines = [f"data: {json.dumps(each, ensure_ascii=False)}" for each in pieces]
    lines += ["data: [DONE]"] if done else []
    return "".join(f"{line}{newline}{newline}" for line in lines).encode()


def read(data: bytes, cuts: Sequence[int] = (), **bounds: int) -> AnswerReader:
    """What is read of the bytes, fed in parts that end at the cuts."""
    reader = AnswerReader(Bounds(**bounds)) if bounds else AnswerReader()
    places = sorted({min(cut, len(data)) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        if start < end:
            reader.feed(data[start:end])
    reader.finish()
    return reader


def state(reader: AnswerReader) -> dict[str, Any]:
    names = [name for name in vars(reader) if not name.startswith("_")]
    shown = {name: getattr(reader, name) for name in names if name != "life"}
    return {**shown, "text": reader.text, "words": reader.words}


BODY = json.dumps(
    {"choices": [{"message": {"content": "Ä whole one."}, "finish_reason": "stop"}]}
).encode()
STREAM = events(
    piece("", role="assistant"),
    piece("A log"),
    piece(" päys "),
    piece("日本."),
    ending(),
    {"choices": [], "usage": USAGE},
)
MIXED = (
    b": hello\r\n\r\nevent: message\r\nid: 1\r\n"
    + events(piece(reasoning="hm"), piece("a"), newline="\r\n", done=False)
    + b": still here\n\n"
    + events(piece("b"), ending("eos_token"))
)
FAILED = events(piece("a"))[: -len(b"data: [DONE]\n\n")] + (
    b'event: error\ndata: {"message": "gone", "code": 502}\n\n'
)
PAGE = b"<!DOCTYPE html>\n<html><title>Oh</title></html>\n"
WHOLE = {"body": BODY, "stream": STREAM, "mixed": MIXED, "failed": FAILED, "page": PAGE}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
@given(cuts=st.lists(st.integers(0, 900), max_size=40))
def test_any_split_of_the_bytes_reads_the_same(data: bytes, cuts: list[int]) -> None:
    assert state(read(data, cuts)) == state(read(data))
    assert state(read(data, range(len(data)))) == state(read(data))


@pytest.mark.parametrize("data", [BODY, STREAM, MIXED], ids=["body", "stream", "mixed"])
def test_a_cut_at_any_byte_is_never_taken_for_a_whole_answer(data: bytes) -> None:
    whole = read(data)
    assert whole.is_whole
    for cut in range(len(data)):
        short = read(data[:cut])
        assert not short.is_whole or short.text == whole.text
        assert whole.text.startswith(short.text)


@given(TEXTS)
def test_a_text_in_pieces_is_the_text(parts: list[str]) -> None:
    reader = read(events(*map(piece, parts), ending()))
    assert reader.text == "".join(parts)
    assert (reader.is_whole, reader.finish_reason) == (True, "stop")
    assert reader.pieces == len(parts)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_no_bytes_crash_it(data: bytes, cuts: list[int]) -> None:
    reader = read(data, cuts)
    assert reader.tokens >= 0
    read(b"data: " + data + b"\n\n", cuts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("choices", "delta", "message", "content", "usage", "error"),
                    *("index", "finish_reason", "reasoning", "refusal", "text"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_no_pieces_crash_it(pieces: list[Any]) -> None:
    reader = read(events(*pieces))
    assert isinstance(reader.text, str)
    assert reader.tokens >= 0


def test_usage_comes_last_and_is_the_count() -> None:
    reader = read(STREAM)
    assert reader.usage == USAGE
    assert reader.tokens == 3


def test_thinking_is_life_and_no_text() -> None:
    names = ("reasoning", "reasoning_content", "thinking")
    reader = read(events(*(piece(**{name: "hmm"}) for name in names), piece("Yes.")))
    assert reader.text == "Yes."
    assert (reader.pieces, reader.thought_characters) == (4, 9)


def test_parts_of_content_are_joined_and_thinking_in_them_left_out() -> None:
    parts: Any = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "one "},
        {"type": "text", "text": "two"},
    ]
    reader = read(events(piece(parts), ending()))
    assert reader.text == "one two"
    assert reader.thought_characters > 0


def test_a_refusal_is_put_together() -> None:
    reader = read(events(piece(refusal="I ca"), piece(refusal="nnot."), ending()))
    assert (reader.refusal, reader.text) == ("I cannot.", "")


def test_only_the_first_of_several_choices_is_read() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "B"}}]}
    both = {"choices": [other["choices"][0], {"index": 0, "delta": {"content": "C"}}]}
    assert read(events(piece("A"), other, both, ending())).text == "AC"


def test_a_whole_message_at_the_end_is_not_read_twice() -> None:
    last = {"choices": [{"message": {"content": "A log."}, "finish_reason": "stop"}]}
    assert read(events(piece("A log."), last)).text == "A log."
    assert read(events(last)).text == "A log."


def test_done_without_a_reason_ends_an_answer() -> None:
    reader = read(events(piece("A")))
    assert (reader.is_whole, reader.finish_reason) == (True, None)


def test_neither_done_nor_a_reason_ends_none() -> None:
    assert not read(events(piece("A"), done=False)).is_whole


@pytest.mark.parametrize(
    "data",
    [
        events({"error": {"message": "gone", "code": 502}}),
        b'event: error\ndata: {"message": "gone", "code": 502}\n\n',
        b'error: {"message": "gone", "code": 502}\n\n',
        b'{"error": {"message": "gone", "code": 502}}\n\n',
        b': wait\n\n{"error":\n {"message": "gone", "code": 502}}',
        b'[{"error": {"message": "gone", "code": 502}}]',
        b"event: error\ndata: gone 502\n\n",
    ],
)
def test_an_error_is_kept_in_whatever_form_it_comes(data: bytes) -> None:
    reader = read(data)
    assert "gone" in str(reader.error)
    assert "502" in str(reader.error)
    again = read(events(piece("A"), done=False) + data)
    assert "gone" in str(again.error)


@pytest.mark.parametrize("before", [b"", b"\n\n   \n", b"\xef\xbb\xbf", b": hi\n\n"])
@pytest.mark.parametrize("after", [b"", b"\n", b"\n\ndata: [DONE]\n\n"])
def test_a_whole_body_is_one_with_anything_around_it(
    before: bytes, after: bytes
) -> None:
    reader = read(before + BODY + after)
    assert (reader.text, reader.is_whole) == ("Ä whole one.", True)
    assert not reader.is_streamed


def test_a_body_over_several_lines_is_one() -> None:
    reader = read(json.dumps(json.loads(BODY), indent=2).encode())
    assert reader.text == "Ä whole one."


def test_one_piece_over_several_lines_is_one() -> None:
    told = json.dumps(piece("A log."), indent=1)
    lines = "".join(f"data: {line}\n" for line in told.splitlines())
    reader = read(f"{lines}\n".encode() + events(ending()))
    assert (reader.text, reader.is_whole) == ("A log.", True)


def test_a_piece_that_cannot_be_read_spoils_the_answer() -> None:
    reader = read(b'data: {"choices": [{"delta\n\n' + events(piece("A"), ending()))
    assert reader.is_damaged
    assert not reader.is_whole


def test_what_is_neither_is_kept_as_words() -> None:
    assert read(b"404 page not found\n").words == "404 page not found\n"
    assert read(PAGE).words.startswith("<!DOCTYPE html>")
    assert read(b'"no such path"').words == "no such path"
    assert not read(b"404 page not found").is_whole


def test_the_last_line_needs_no_newline() -> None:
    reader = read(events(piece("A"), done=False) + b"data: [DONE]")
    assert reader.is_whole


def test_nothing_after_the_end_is_read() -> None:
    assert read(events(piece("A"), ending()) + events(piece("B"))).text == "A"


def endless(*parts: str, times: int) -> bytes:
    return events(*(piece(part) for part in parts * times), done=False)


def test_white_space_without_end_is_not_read_on() -> None:
    data = events(piece('{"a":'))[: -len("data: [DONE]\n\n")] + endless(
        " \n", times=500
    )
    reader = read(data, blanks=200)
    assert "white space" in reader.endless
    assert reader.characters < 300
    assert reader.is_over
    assert not reader.is_whole


def test_some_white_space_is_no_fault() -> None:
    pieces = [piece(" " * 150), piece("a"), piece(" " * 150), piece("b"), ending()]
    assert not read(events(*pieces), blanks=200).endless


def test_a_run_of_text_over_and_over_is_not_read_on() -> None:
    start = " ".join(str(number) for number in range(3000))
    data = endless(start, times=1) + endless("and so on, ", "my friend. ", times=9000)
    reader = read(data)
    assert not reader.endless  # without bounds all is read
    reader = read(data, characters=10**6)
    assert "repeats itself" in reader.endless
    assert reader.characters < len(start) + 10_000


def test_more_than_the_most_is_not_read_and_thinking_does_not_count() -> None:
    lines = "".join(f"line {number}\n" for number in range(3000))
    parts = [lines[at : at + 50] for at in range(0, len(lines), 50)]
    assert read(events(*map(piece, parts)), characters=9000).endless
    assert not read(events(*map(piece, parts)), characters=90_000).endless
    thought = events(*map(piece, ["<think>", *parts, "</think>\nYes."]), ending())
    assert read(thought, characters=9000).is_whole
    apart = events(*(piece(reasoning=part) for part in parts), piece("Yes."), ending())
    assert read(apart, characters=9000).is_whole


def test_thinking_has_a_bound_of_its_own() -> None:
    data = events(*[piece(reasoning="x" * 50_000)] * 9)
    assert "thinking" in read(data).endless
    inside = events(piece("<think>"), *[piece("x y z " * 9_000)] * 9)
    assert read(inside, characters=10**6).endless


def test_comments_are_no_life_and_all_else_is() -> None:
    reader = AnswerReader()
    for data in (b": a\n\n", b"\n", b"   ", b"\r\n: b\n"):
        reader.feed(data)
    assert reader.life == 0
    for data in (events(piece("A")), b'{"a"'):
        reader = AnswerReader()
        reader.feed(data)
        assert reader.life > 0


def test_tokens_are_guessed_while_nobody_counts() -> None:
    assert read(events(*[piece("a")] * 9)).tokens == 9
    assert read(events(piece("x" * 400))).tokens == 100
