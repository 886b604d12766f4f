"""
The words of an error: for the user to read, and for the rules that ask what it is about.

Pure. Errors come as objects, lists, sentences and pages, in one another: a router hides
its provider's error in a string of JSON. What the words mean is decided elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

_REASON_CHARACTERS = 1_000
_PAGE_READ = 20_000
_DEEPEST = 8
_SAYING = ("message", "detail", "error", "msg", "description", "error_description")
# Not what was asked, which careless servers echo beside it.
_TELLING = (
    *_SAYING,
    *("loc", "code", "type", "status", "param", "reason", "metadata", "raw"),
    *("details", "violations", "fieldViolations", "quotaId", "innererror"),
)
_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
GROUPED = re.compile(r"(?<=\d)[,_](?=\d{3}\b)")  # 32,768
_PAGE = re.compile(r"<!doctype html|<html|<head|<body", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an error says: in one line to be shown, and whole, in small letters.

    `named` are the fields that it points at, as `param` or `loc`.
    """

    said: str
    words: str
    named: tuple[str, ...]

    def has(self, pattern: str) -> bool:
        """Whether the pattern, of small letters, is found in the words."""
        return re.search(pattern, self.words) is not None

    def names(self, name: str) -> bool:
        """Whether it is about that parameter: by field or by a word meant as a name."""
        return _points_at(name, self.named) or _mentions(name, self.words)


def told_by(body: object) -> Told:
    """The words of an error's body, parsed or as it came."""
    opened = _opened(body, 0)
    words = "\n".join(map(str, _all_words(opened, 0))).lower()
    named = tuple(_fields(opened, 0))
    return Told(said=_cut(_said(opened, 0)), words=words, named=named)


def parsed(text: str) -> object:
    """The body of an error: JSON where it is, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def one_line(text: object) -> str:
    """The text in one line; a page by its title."""
    if not isinstance(text, str):
        return ""
    page = _PAGE.search(text[:_PAGE_READ])
    if page is None and not text.lstrip().startswith("<"):
        return " ".join(text.split())
    start = page.start() if page else 0
    before = " ".join(text[:start].split())
    title = _TITLE.search(text[start : start + _PAGE_READ])
    name = " ".join(unescape(_TAG.sub(" ", title[2])).split()) if title else ""
    return f"{before} an HTML page{f' ({name[:200]})' if name else ''}".lstrip()


def _cut(text: str) -> str:
    return text if len(text) <= _REASON_CHARACTERS else text[:_REASON_CHARACTERS] + "…"


def _opened(body: object, depth: int) -> object:
    """The body with the JSON that stands in its strings taken out of them."""
    if depth > _DEEPEST:
        return ""
    if isinstance(body, Mapping):
        return {key: _opened(value, depth + 1) for key, value in body.items()}
    if isinstance(body, list):
        return [_opened(each, depth + 1) for each in body]
    if isinstance(body, str) and body.lstrip().startswith(("{", "[")):
        inner = parsed(body)
        return _opened(inner, depth + 1) if isinstance(inner, dict | list) else body
    return body


def _said(body: object, depth: int) -> str:
    """What a person would quote: message or detail, and a provider's own words."""
    if isinstance(body, list):
        said = [_said(each, depth + 1) for each in body[:3]]
        return "; ".join(dict.fromkeys(filter(None, said)))
    if not isinstance(body, Mapping):
        return one_line(body)
    said = [_said(body[key], depth + 1) for key in _SAYING if body.get(key)]
    metadata = body.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("raw"):
        said.append(_said(metadata["raw"], depth + 1))
    place = body.get("loc")
    if isinstance(place, list):
        said.append(" ".join(map(str, place)))
    return ": ".join(dict.fromkeys(filter(None, said)))


def _all_words(body: object, depth: int) -> Iterator[Any]:
    if depth > _DEEPEST or body is None:
        return
    if isinstance(body, Mapping):
        for key in _TELLING:
            yield from _all_words(body.get(key), depth + 1)
    elif isinstance(body, list):
        for each in body:
            yield from _all_words(each, depth + 1)
    else:
        yield body


def _fields(body: object, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(body, list):
        for each in body:
            yield from _fields(each, depth + 1)
    if not isinstance(body, Mapping):
        return
    if isinstance(param := body.get("param"), str):
        yield param
    place = body.get("loc")
    if isinstance(place, list):
        yield ".".join(str(part) for part in place if part != "body")
    for key in _TELLING:
        yield from _fields(body.get(key), depth + 1)


def _points_at(name: str, named: Collection[str]) -> bool:
    return any(field == name or field.startswith(f"{name}.") for field in named)


_SUBJECT = r"is (?:not (?:supported|allowed|permitted|available|a valid)|unsupported)"
_BEFORE = (
    r"(?:unknown|unsupported|unrecognized|unexpected|invalid|extra)"
    r"[^.]{0,40}(?:parameter|argument|field|input|property|key|name)s?[^.\w]{0,3}"
    r"(?:supplied|provided|given)?[:\s]*"
)


def _mentions(name: str, words: str) -> bool:
    """Whether the words use the name as one, not as a word of prose.

    Quoted, after "parameter" or at the head of a sentence about it. A name that holds
    an underscore is no prose.
    """
    plain = re.escape(name.lower())
    if "_" in name and re.search(rf"(?<![\w]){plain}(?!\w)", words):
        return True
    forms = (
        rf"[`'\"‘“]{plain}(?:\.[\w.]+)?\\?[`'\"’”]",
        rf"\bparam(?:eter)?s?\s*[:=]?\s+{plain}\b",
        rf"(?:^|[:;.] ){plain}(?:\.\w+)*(?:: | {_SUBJECT})",
        rf"{_BEFORE}{plain}\b",
    )
    return any(re.search(form, words, re.MULTILINE) for form in forms)
