"""
Flat JSON forms for small models, and the line that shows one.

A small model fills in a flat object of numbers and closed words when the schema holds
it to them; free strings and nesting it gets wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
