"""
What a server says in the body of an error, whatever form it chose.

It finds the words; what they mean is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

_REASON_CHARACTERS = 200
_TELLING = ("error", "message", "detail", "msg", "loc", "code", "type")
_OF_A_ROUTER = ("metadata", "raw")
_DEEPEST = 8


def said_in(body: object) -> str:
    """The server's words, one line, cut to a readable length."""
    if isinstance(body, Mapping):
        inner = body.get("error")
        body = body.get("message") or body.get("detail") or (inner and said_in(inner))
    text = one_line(body) or one_line(words_in(body))
    return text if len(text) <= _REASON_CHARACTERS else text[:_REASON_CHARACTERS] + "…"


def words_in(body: object, depth: int = 0) -> str:
    """Everything that tells what is wrong, without an echo of what was asked.

    A router hides its provider's words in metadata, FastAPI lists an object a field.
    """
    if depth > _DEEPEST:
        return ""
    if isinstance(body, Mapping):
        told = [
            body[key] for key in (*_TELLING, *_OF_A_ROUTER) if body.get(key) is not None
        ]
        return " ".join(words_in(part, depth + 1) for part in told)
    if isinstance(body, list):
        return " ".join(words_in(part, depth + 1) for part in body)
    return "" if body is None else str(body)


def one_line(text: object) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""
