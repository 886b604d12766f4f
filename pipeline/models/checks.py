"""
What headers and bodies of models.yaml may hold, and the words for what is wrong with it.

A body may hold what JSON can carry; YAML reads dates, NaN and numbers as names, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_HERE = {
    "authorization": "the key comes from the variable that key_env names",
    **dict.fromkeys(
        ("content-length", "content-type", "host", "transfer-encoding"),
        "it is set for each request",
    ),
}
_DEEPEST = 50
_PLAIN = "text, numbers, true, false, null, lists and maps"


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers, if they can be sent and are the user's to set."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            message = f"must be the name of a header, got {name!r}"
            raise _wrong([name], message)
        if reason := _NOT_HERE.get(name.lower()):
            message = f"may not be set here: {reason}"
            raise _wrong([name], message)
        if not is_header_value(value):
            message = "must be one line of plain ASCII text"
            raise _wrong([name], message)
    return headers


def is_header_value(text: str) -> bool:
    """Whether a header can carry the text."""
    return text.isascii() and text.isprintable()


def plain_json(value: Any, place: tuple[str, ...] = ()) -> Any:
    """The value, if JSON can carry it; else an error with the place where it cannot."""
    if len(place) > _DEEPEST:
        message = f"must not be nested deeper than {_DEEPEST} levels"
        raise _wrong((), message)
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                message = f"a name here must be text, got {key}; put it in quotes"
                raise _wrong(place, message)
            plain_json(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            plain_json(inner, (*place, str(number)))
    elif not _is_plain(value):
        message = f"must be of {_PLAIN}, got {value}; put text in quotes"
        raise _wrong(place, message)
    return value


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return value == _whole(value)
    return value is None or isinstance(value, bool | int)


def _wrong(place: Sequence[str], rule: str) -> PydanticCustomError:
    kind, said = "in_the_midst", _whole(rule)
    return PydanticCustomError(kind, "{rule}", {"place": list(place), "rule": said})


def _whole(text: str) -> str:
    """The text with a mark for what no file could carry: half a character."""
    return text.encode(errors="replace").decode()


def place_in(error: ErrorDetails) -> Sequence[str]:
    """Where below the field it is, when the field is checked as a whole."""
    place: Sequence[str] = error.get("ctx", {}).get("place", ())
    return place


def rule(error: ErrorDetails) -> str:
    """What a value broke, and the value; not that of a field that nobody asked for,
    where somebody may have put a key.
    """
    if error["type"] in ("value_error", "in_the_midst"):
        return error["msg"].removeprefix("Value error, ")
    shown = error["input"]
    is_shown = (
        isinstance(shown, str | int | float) and error["type"] != "extra_forbidden"
    )
    return error["msg"].lower() + (f", got {shown}" if is_shown else "")


def line_of(text: str, keys: list[str]) -> int:
    """The line, from 1, of the deepest of the nested keys that the text has."""
    node = yaml.compose(text)
    line = 1
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            break
        found = [(k, v) for k, v in node.value if k.value == key]
        if not found:
            break
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line
