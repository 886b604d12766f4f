"""
How much of an answer is read: several times what it can need, then no more.

A model can write white space, or the same run of text, for ever; a form carries no token
limit that would end it. Pure: the reader asks here, and closing the connection is up to
others. Thinking has a bound of its own and counts for none of the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_THOUGHT = 400_000
_MOST_TEXT = 400_000
_MOST_FORM = 1_000_000
_SLACK = 20_000
_WORD_CHARACTERS = 8
_TIMES = 6  # what a text may be longer than the words asked for
_FORM_TIMES = 3  # indentation, and escapes that take six characters each
_STRING, _NUMBER, _LITERAL = 4_000, 24, 8
_ITEMS = 50  # of a list that states no limit
_DEEPEST = 12

_SHORTEST_RUN, _LONGEST_RUN, _REPEATED = 20, 400, 2_400
_THOUGHT = re.compile(r"\s*<(think|thinking|thought|reasoning)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most characters of an answer, and of white space in a row."""

    characters: int = _MOST_TEXT
    blanks: int = 2_000


def bounds_of(schema: Mapping[str, Any] | None, words: int | None) -> Bounds:
    """What an answer in that form, or of so many words, is read to."""
    if schema is not None:
        return Bounds(characters=most_characters(schema), blanks=200)
    if words is not None:
        return Bounds(characters=_TIMES * words * _WORD_CHARACTERS + _SLACK)
    return Bounds()


def most_characters(schema: Mapping[str, Any]) -> int:
    """Several times the longest sensible answer in the form of the schema."""
    longest = _longest(schema, schema.get("$defs") or {}, 0)
    return min(_MOST_FORM, _FORM_TIMES * longest + _SLACK)


def _longest(node: Any, defs: Mapping[str, Any], depth: int) -> int:
    """Characters of the longest sensible value of a schema's node."""
    if depth > _DEEPEST or not isinstance(node, Mapping):
        return _STRING
    if "$ref" in node:
        return _longest(defs.get(str(node["$ref"]).rpartition("/")[2]), defs, depth + 1)
    options = [node["const"]] if "const" in node else node.get("enum")
    if options:
        return max(len(json.dumps(option)) for option in options)
    either = node.get("anyOf") or node.get("oneOf")
    if either:
        return max(_longest(each, defs, depth + 1) for each in either)
    return _longest_of_type(node, defs, depth)


def _longest_of_type(
    node: Mapping[str, Any], defs: Mapping[str, Any], depth: int
) -> int:
    if "properties" in node:
        return sum(
            len(name) + _LITERAL + _longest(each, defs, depth + 1)
            for name, each in node["properties"].items()
        )
    if "items" in node:
        item = _longest(node["items"], defs, depth + 1)
        return min(_MOST_FORM, int(node.get("maxItems", _ITEMS)) * (item + 2))
    kind = node.get("type")
    if kind in ("integer", "number"):
        return _NUMBER
    if kind in ("boolean", "null"):
        return _LITERAL
    return int(node.get("maxLength", _STRING))


def thought_at_start(text: str) -> int:
    """Characters of the thinking that a text begins with: all while it lasts."""
    opening = _THOUGHT.match(text)
    if opening is None:
        return 0
    end = text.lower().find(f"</{opening[1].lower()}>")
    return len(text) if end < 0 else end


def repeats_itself(text: str) -> bool:
    """Whether the text ends in one run of at most 400 characters, over and over."""
    tail = text[-_REPEATED - _LONGEST_RUN :]
    if len(tail) < _REPEATED + _LONGEST_RUN:
        return False
    last, at = tail[-_SHORTEST_RUN:], len(tail) - _SHORTEST_RUN
    while True:
        at = tail.rfind(last, 0, at + _SHORTEST_RUN - 1)
        run = len(tail) - _SHORTEST_RUN - at
        if at < 0 or run > _LONGEST_RUN:
            return False
        if tail[run:] == tail[:-run]:
            return True
