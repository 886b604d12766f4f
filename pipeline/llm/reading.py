"""
Reads the answer to a call: as a text, or as the form that was asked for.

What cannot be read is an UnreadableReply that says in one line what is wrong. Whether
it is asked for again is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.errors import UnreadableReply
from pipeline.llm.call import Reply
from pipeline.llm.ledger import Answer
from pipeline.replies import article_in, object_in
from pipeline.text_safety import whole_characters

R = TypeVar("R", bound=Reply)
_SHOWN_ERRORS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReply:
    """The text of an answer; `is_cut_off` when it ran into the token limit twice."""

    text: str
    model: str
    is_cut_off: bool = False


def text_in(answer: Answer, *, model: str, filter_think: bool) -> TextReply:
    """The text without thoughts and fences; UnreadableReply when nothing is left."""
    text = article_in(whole_characters(answer.text), filter_think=filter_think)
    if not text:
        message = "the reply holds no text"
        raise UnreadableReply(message)
    return TextReply(
        text=text, model=model, is_cut_off=answer.finish_reason == "length"
    )


def form_in(answer: Answer, record: type[R], *, context: Mapping[str, Any] | None) -> R:
    """The reply, validated; a cut-off one is refused, however whole it looks."""
    if answer.finish_reason == "length":
        message = "the reply was cut off at the token limit"
        raise UnreadableReply(message)
    found = _in_whole_characters(object_in(answer.text))
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
