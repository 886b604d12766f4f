"""
Reads the answer to a call: as a text, or as the form that was asked for.

The text is without thoughts and fences, the JSON without prose. An object that does not
end is never completed by guessing. What cannot be read is an UnreadableReply that says in
one line what is wrong; whether it is asked for again is decided elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import json_repair
from pydantic import ValidationError

from pipeline.errors import UnreadableReply
from pipeline.llm.call import Reply
from pipeline.text.safety import whole_characters

R = TypeVar("R", bound=Reply)
_SHOWN_ERRORS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReply:
    """The text of an answer; `is_cut_off` when it ran into the token limit twice."""

    text: str
    model: str
    is_cut_off: bool = False


def text_in(
    text: str, *, model: str, is_cut_off: bool, filter_think: bool
) -> TextReply:
    """The text without thoughts and fences; UnreadableReply when nothing is left."""
    article = article_in(whole_characters(text), filter_think=filter_think)
    if not article:
        message = "the reply holds no text"
        raise UnreadableReply(message)
    return TextReply(text=article, model=model, is_cut_off=is_cut_off)


def form_in(text: str, record: type[R], *, context: Mapping[str, Any] | None) -> R:
    """The reply, validated."""
    found = _in_whole_characters(object_in(text))
    try:
        return record.model_validate(found, context=context)
    except ValidationError as error:
        raise UnreadableReply(_validation_line(error)) from error


def _in_whole_characters(found: dict[str, Any]) -> dict[str, Any]:
    """The object without half characters, which JSON can name and nothing can hold."""
    whole: dict[str, Any] = json.loads(
        whole_characters(json.dumps(found, ensure_ascii=False))
    )
    return whole


def _validation_line(error: ValidationError) -> str:
    """The first errors of a reply, each with its place, in one line."""
    lines = [
        f"{'.'.join(map(str, e['loc'])) or 'the object'}: {_small_start(e['msg'])}"
        for e in error.errors(include_url=False, include_input=False)[:_SHOWN_ERRORS]
    ]
    return "; ".join(lines)


def _small_start(text: str) -> str:
    """Only the first letter: a model that reads 'a' will not answer 'A'."""
    return text[:1].lower() + text[1:]


_THINK_TAG = re.compile(r"<(/?)(think|thinking|thought|reasoning)>", re.IGNORECASE)
_OPEN_THINK = re.compile(r"^\s*<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_ORPHAN_END = re.compile(
    r"^.*?</(think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE
)
_WHOLE_FENCE = re.compile(r"^\s*```[\w-]*[ \t]*\n(.*)\n```\s*$", re.DOTALL)
# A bracket, or a whole string to pass over; a string that never ends is passed to the
# end of the text, so that what follows is cut, not guessed. It never fails to match:
# a second try from each quote inside would take the square of the time.
_MARK = re.compile(r'[{}\[\]]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_LONGEST_REPLY = 1_000_000
_DEEPEST_NESTING = 100


# The channels of "harmony" models, where a server hands them through.
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(\w+)[^<]{0,80}(?:<\|constrain\|>\w*)?<\|message\|>"
)
_CONTROL = re.compile(r"<\|(?:start|end|return|channel|message|call)\|>")


def without_thoughts(text: str) -> str:
    """The reply after its thinking; empty when the thinking never ended."""
    text = _without_blocks(_final_channel(text))
    if _OPEN_THINK.match(text):
        return ""
    # Some chat templates open the block in the prompt: only its end is in the reply.
    return _ORPHAN_END.sub("", text, count=1).strip()


def _final_channel(text: str) -> str:
    """What stands in the last channel for the reader; all where there are none."""
    channels = list(_CHANNEL.finditer(text))
    if not channels:
        return text
    finals = [found for found in channels if found[1] == "final"]
    return _CONTROL.split(text[finals[-1].end() :])[0] if finals else ""


def _without_blocks(text: str) -> str:
    """The text without what stands between two tags of a name, in one pass."""
    kept, kept_to, opening = [], 0, None
    for tag in _THINK_TAG.finditer(text):
        is_end, name = bool(tag[1]), tag[2].lower()
        if opening is None:
            opening = None if is_end else tag
        elif is_end and name == opening[2].lower():
            kept.append(text[kept_to : opening.start()])
            kept_to, opening = tag.end(), None
    return "".join([*kept, text[kept_to:]])


def article_in(text: str, *, filter_think: bool = True) -> str:
    """The article of a reply: no thoughts, no code fence around the whole."""
    text = without_thoughts(text) if filter_think else text.strip()
    fence = _WHOLE_FENCE.match(text)
    return (fence[1] if fence else text).strip()


def object_in(text: str) -> dict[str, Any]:
    """The JSON object of a reply, the largest where prose holds several.

    Raises UnreadableReply where there is none, or where it ends inside itself.
    """
    if len(text) > _LONGEST_REPLY:
        message = "the reply is longer than a million characters"
        raise UnreadableReply(message)
    visible = without_thoughts(text) or text
    spans, is_cut = _object_spans(visible)
    for span in sorted(spans, key=len, reverse=True):
        found = _loaded(span)
        if isinstance(found, dict) and found:
            return found
    if is_cut:
        message = "the reply ends inside its JSON object"
        raise UnreadableReply(message)
    message = "the reply holds no JSON object"
    raise UnreadableReply(message)


def _object_spans(text: str) -> tuple[list[str], bool]:
    """The outermost {...} pieces, and whether the last one never closes."""
    spans: list[str] = []
    start = text.find("{")
    while start != -1:
        end = _end_of_object(text, start)
        if end is None:
            return spans, True
        spans.append(text[start:end])
        start = text.find("{", end)
    return spans, False


def _end_of_object(text: str, start: int) -> int | None:
    """Where the bracket at `start` is closed; quoted brackets do not count."""
    depth = 0
    for mark in _MARK.finditer(text, start):
        if mark[0] in "{[":
            depth += 1
        elif mark[0] in "}]":
            depth -= 1
        if depth == 0:
            return mark.end()
        if depth > _DEEPEST_NESTING:
            message = "the reply nests deeper than a hundred levels"
            raise UnreadableReply(message)
    return None


def _loaded(span: str) -> object:
    try:
        return json.loads(span)
    except (ValueError, RecursionError):
        return json_repair.loads(span)
