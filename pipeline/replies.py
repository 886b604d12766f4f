"""
What a model's reply holds: the text without thoughts, the JSON without prose.

Pure. It repairs only fences, quotes, commas and prose around an object; an object that
does not end is never completed by guessing, it is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

import json_repair

from pipeline.errors import UnreadableReply

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


def without_thoughts(text: str) -> str:
    """The reply after its thinking; empty when the thinking never ended."""
    text = _without_blocks(text)
    if _OPEN_THINK.match(text):
        return ""
    # Some chat templates open the block in the prompt: only its end is in the reply.
    return _ORPHAN_END.sub("", text, count=1).strip()


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
