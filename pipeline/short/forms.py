"""
Forms that hold a small model: flat JSON, the line that shows one, and grammars.

A small model fills in a flat object of numbers and closed words when the schema holds
it to them; free strings and nesting it gets wrong. An article it cannot be told to
divide either, so a GBNF grammar makes headline, paragraphs and sections; headline,
opening and key points may stand in it as literals, in the article to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Field = Mapping[str, Any]


def one_of(values: Sequence[int] | Sequence[str]) -> Field:
    """A field that takes one of the values."""
    kind = "integer" if isinstance(values[0], int) else "string"
    return {"type": kind, "enum": list(values)}


def from_to(lowest: int, highest: int) -> Field:
    """A field that takes a whole number in that range."""
    return {"type": "integer", "minimum": lowest, "maximum": highest}


YES_OR_NO: Field = {"type": "boolean"}


def form(fields: Mapping[str, Field]) -> dict[str, Any]:
    """The schema of a flat object with exactly these fields."""
    return {
        "type": "object",
        "properties": {name: dict(field) for name, field in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def shape(schema: Mapping[str, Any]) -> str:
    """The line that shows the model what to fill in."""
    words = {"integer": "number", "string": "word", "boolean": "true or false"}
    parts = (
        f'"{name}": {words[field["type"]]}'
        for name, field in schema["properties"].items()
    )
    return "Reply with JSON in one line: {" + ", ".join(parts) + "}"


def check_choices(values: Mapping[str, object], schema: Mapping[str, Any]) -> None:
    """ValueError that names the first value that its field does not take."""
    for name, field in schema["properties"].items():
        value = values.get(name)
        if "enum" in field and value not in field["enum"]:
            taken = ", ".join(map(str, field["enum"]))
            message = f"{name} must be one of {taken}, got {value}"
            raise ValueError(message)


WORDS = 220
"""Words of a short article: what the model can write before it repeats itself."""

_RULES_FILE = Path(__file__).parents[1] / "prompts" / "article.gbnf"
_WORDS_PER_SENTENCE = 15.0  # measured: the mean of a free sentence
_WORDS_PER_HEADING = 5
_WORDS_PER_HEADLINE = 8
_SECTIONS = 3
_HEADINGS = ("Why ", "What ", "How to ")
_MOST_SENTENCES = 64  # of 4,096 tokens
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPES = str.maketrans(
    {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Angle:
    """One way into a topic, so that drafts of one brief differ."""

    instruction: str
    headings: tuple[str, str, str]


ANGLES: tuple[Angle, ...] = (
    Angle(
        instruction="Open with one concrete scene from a working day.",
        headings=("What ", "Why ", "How to "),
    ),
    Angle(
        instruction="Start from the strongest objection and answer it.",
        headings=("Why ", "What ", "How to "),
    ),
    Angle(
        instruction="Give practical steps in the order the reader takes them.",
        headings=("Why ", "How to ", "What "),
    ),
    Angle(
        instruction="Contrast how things go without it and with it.",
        headings=("When ", "What ", "How to "),
    ),
    Angle(
        instruction="Show what it costs to do nothing.",
        headings=("What ", "How ", "Where to "),
    ),
    Angle(
        instruction="Write it as advice to a new colleague.",
        headings=("What ", "When ", "How to "),
    ),
    Angle(
        instruction="Start from a common mistake and correct it.",
        headings=("Why ", "What ", "How to "),
    ),
)


def angle_of(number: int) -> Angle:
    """Return the angle of candidate `number`, counted from 1; they go round."""
    return ANGLES[(number - 1) % len(ANGLES)]


def draft_grammar(angle: Angle, *, words: int = WORDS) -> str:
    """Return the grammar of a first draft of about `words` words on an angle."""
    counts = _spread_over(_SECTIONS, words=words - _WORDS_PER_HEADLINE)
    blocks = ['"# " headline', _paragraph(_free(counts[0]))]
    for start, count in zip(angle.headings, counts[1:], strict=True):
        blocks += [_heading(start), _paragraph(_free(count))]
    return _grammar(blocks)


def article_grammar(
    *,
    headline: str | None,
    opening: str | None,
    points: Sequence[str],
    words: int = WORDS,
) -> str:
    """Return the grammar of an article around what must be in it to the letter.

    Each point leads a section of its own; without points there are three free
    sections. Free sentences fill up to `words`, at least one a paragraph. A literal
    keeps its line breaks and loses only control characters, which no model writes.
    """
    given = [text for text in (headline, opening, *points) if text]
    left = words - sum(len(text.split()) for text in given)
    left -= 0 if headline else _WORDS_PER_HEADLINE
    counts = _spread_over(len(points) or _SECTIONS, words=left)
    blocks = ['"# " ' + (literal(headline) if headline else "headline")]
    blocks.append(_paragraph(_led(opening, counts[0])))
    for index, count in enumerate(counts[1:]):
        point = points[index] if points else None
        start = _HEADINGS[index % len(_HEADINGS)]
        blocks += [_heading(start), _paragraph(_led(point, count))]
    return _grammar(blocks)


def literal(text: str) -> str:
    """Return `text` as a GBNF string that matches it and nothing else."""
    writable = text.encode("utf-8", "replace").decode("utf-8")
    return '"' + _UNWRITABLE.sub("", writable).translate(_ESCAPES) + '"'


def _heading(start: str) -> str:
    """Lead into a heading: left free, it becomes `Section` and a number in letters."""
    return f'"## " {literal(start)} label'


def _led(text: str | None, free: int) -> list[str]:
    """Return a paragraph's sentences: the given one first, then the free ones."""
    return [literal(text), *_free(free)] if text else _free(free)


def _free(count: int) -> list[str]:
    return ["sentence"] * count


def _spread_over(sections: int, *, words: int) -> list[int]:
    """Deal sentences to the opening and the sections: one each, later ones first more."""
    parts = sections + 1
    wanted = round((words - sections * _WORDS_PER_HEADING) / _WORDS_PER_SENTENCE)
    low, extra = divmod(max(parts, min(_MOST_SENTENCES, wanted)), parts)
    return [low + (index >= parts - extra) for index in range(parts)]


def _paragraph(sentences: Sequence[str]) -> str:
    return ' " " '.join(sentences)


def _grammar(blocks: Sequence[str]) -> str:
    body = ' "\\n\\n" '.join(blocks)
    return f"root ::= {body}\n{_rules()}"


@cache
def _rules() -> str:
    return _RULES_FILE.read_text(encoding="utf-8")
