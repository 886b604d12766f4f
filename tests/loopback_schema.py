"""
Fills any JSON schema of the kind that pydantic writes with values that are valid.

The values follow from the generator handed in. It knows no regular expressions
(`pattern`), formats, `not` or conditions, and checks nothing.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.loopback_prose import sentence, short_text

Node = Mapping[str, Any]
_DEEP = 8  # a schema that refers to itself ends here
_LINKS = 50  # references followed for one value
_FAVOURABLE = ("pass", "passed", "ok", "accept", "accepted", "approved", "valid")
_SKIPS = ("reason", "why", "rationale", "justification", "note", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFiller:
    """
    Values for one schema.

    `favourable` gives the verdict of a satisfied checker: true, null, no findings,
    high numbers. `sayings` are the texts to choose from under a key that has the
    word, as "phrase" in `memorable_phrases`.
    """

    root: Node
    rng: random.Random
    name: str
    favourable: bool = False
    sayings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def fill(self) -> Any:
        """A value that is valid for the whole schema."""
        return self._value(self.root, topic="", depth=0)

    def _value(self, node: Node, *, topic: str, depth: int) -> Any:
        node = self._resolved(node, depth)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return self._choice(node["enum"])
        kind = _kind_of(node)
        if kind == "object":
            return self._object(node, topic=topic, depth=depth)
        if kind == "array":
            return self._array(node, topic=topic, depth=depth)
        return self._scalar(node, kind, topic=topic)

    def _resolved(self, node: Node, depth: int) -> Node:
        """The node with references followed and one alternative chosen."""
        for _ in range(_LINKS):
            if "$ref" in node:
                node = {**self._referred(node["$ref"]), **_without(node, "$ref")}
            elif "allOf" in node:
                parts = [self._resolved(part, depth) for part in node["allOf"]]
                node = {**_merged(parts), **_without(node, "allOf")}
            elif options := node.get("anyOf") or node.get("oneOf"):
                node = {
                    **self._alternative(options, depth),
                    **_without(node, "anyOf", "oneOf", "default"),
                }
            else:
                return node
        raise ValueError(f"references lead nowhere: {node}")

    def _referred(self, reference: str) -> Node:
        node: Any = self.root
        for part in reference.removeprefix("#").strip("/").split("/"):
            node = node[part] if part else node
        return dict(node)

    def _alternative(self, options: Sequence[Node], depth: int) -> Node:
        full = [option for option in options if option.get("type") != "null"]
        nullable = len(full) < len(options)
        wants_null = self.favourable or depth >= _DEEP or self.rng.random() < 0.2
        if not full or (nullable and wants_null):
            return {"type": "null"}
        return full[0] if depth >= _DEEP else self.rng.choice(full)

    def _choice(self, values: Sequence[Any]) -> Any:
        if self.favourable:
            return next((v for v in values if str(v).lower() in _FAVOURABLE), values[0])
        return self.rng.choice(values)

    def _object(self, node: Node, *, topic: str, depth: int) -> dict[str, Any]:
        properties: Node = node.get("properties", {})
        required = node.get("required", ())
        filled = {
            key: self._value(child, topic=self._topic(key, topic), depth=depth + 1)
            for key, child in properties.items()
            if depth < _DEEP or key in required
        }
        rest = node.get("additionalProperties")
        if not properties and isinstance(rest, Mapping):
            for key in self._free_keys(node, depth):
                filled[key] = self._value(rest, topic=topic, depth=depth + 1)
        return filled

    def _free_keys(self, node: Node, depth: int) -> Sequence[str]:
        names = self._resolved(node.get("propertyNames", {}), depth)
        if "enum" in names:
            return list(names["enum"])
        return [f"{self.name} {n + 1}" for n in range(node.get("minProperties", 0))]

    def _array(self, node: Node, *, topic: str, depth: int) -> list[Any]:
        filled = [
            self._value(child, topic=topic, depth=depth + 1)
            for child in node.get("prefixItems", ())
        ]
        items = node.get("items")
        if not isinstance(items, Mapping) or not items:
            return filled
        items = self._resolved(items, depth + 1)
        count = self._length(node, depth=depth) - len(filled)
        if (several := self._distinct(items, count)) is not None:
            return filled + several
        rows = self._distinct_fields(items, count)
        for number in range(count):
            row = {key: values[number] for key, values in rows.items()}
            value = self._value(items, topic=topic, depth=depth + 1)
            filled.append({**value, **row} if rows else value)
        return _unique(filled) if node.get("uniqueItems") else filled

    def _length(self, node: Node, *, depth: int) -> int:
        low = int(node.get("minItems", 0))
        high = int(node.get("maxItems", low + 3))
        if self.favourable or depth >= _DEEP:
            return low
        return self.rng.randint(min(max(low, 1), high), min(high, max(low, 1) + 2))

    def _distinct(self, items: Node, count: int) -> list[Any] | None:
        """So many different values, where there are few or whole ones; else None."""
        values: Sequence[Any]
        if "enum" in items:
            values = items["enum"]
        elif _kind_of(items) == "integer":
            low, high = _integer_bounds(items)
            values = range(low, high + 1)
        else:
            return None
        return self._picked(values, max(0, count))

    def _picked(self, values: Sequence[Any], count: int) -> list[Any]:
        places = sorted(self.rng.sample(range(len(values)), min(count, len(values))))
        return [values[place] for place in places]

    def _distinct_fields(self, items: Node, count: int) -> dict[str, list[Any]]:
        """For rows: the choices of a field that can differ from row to row."""
        fields: dict[str, list[Any]] = {}
        for key, child in items.get("properties", {}).items():
            values = self._resolved(child, _DEEP).get("enum", ())
            if count <= len(values):
                fields[key] = self._picked(values, count)
        return fields

    def _scalar(self, node: Node, kind: str, *, topic: str) -> Any:
        if kind == "integer":
            low, high = _integer_bounds(node)
            return high if self.favourable else self.rng.randint(low, high)
        if kind == "number":
            low_f = float(node.get("minimum", node.get("exclusiveMinimum", 0.0)))
            high_f = float(node.get("maximum", node.get("exclusiveMaximum", low_f + 1)))
            share = 0.95 if self.favourable else 0.05 + 0.9 * self.rng.random()
            return low_f + (high_f - low_f) * share
        if kind == "boolean":
            return self.favourable or self.rng.random() < 0.5
        if kind == "null":
            return None
        return self._string(node, topic=topic)

    def _string(self, node: Node, *, topic: str) -> str:
        longest = int(node.get("maxLength", 4000))
        text = self._said(topic, longest)
        while len(text) < int(node.get("minLength", 0)):
            text = f"{text.rstrip('.')}. {sentence(self.rng)}"
        return text if len(text) <= longest else text[:longest].rstrip() or text[:1]

    def _said(self, topic: str, longest: int) -> str:
        known = [text for text in self.sayings.get(topic, ()) if len(text) <= longest]
        if known:
            return self.rng.choice(known)
        return short_text(self.rng, name=self.name)

    def _topic(self, key: str, inherited: str) -> str:
        key = key.lower()
        if any(word in key for word in _SKIPS):
            return ""
        return next((word for word in self.sayings if word in key), inherited)


def _kind_of(node: Node) -> str:
    kind = node.get("type")
    if isinstance(kind, list):
        return next((str(one) for one in kind if one != "null"), "null")
    if kind is None:
        return "object" if "properties" in node else "string"
    return str(kind)


def _integer_bounds(node: Node) -> tuple[int, int]:
    """Where the schema sets no bounds: 1 to 8, small enough for a sentence number."""
    low = node.get("minimum", node.get("exclusiveMinimum", 0) + 1)
    high = node.get("maximum", node.get("exclusiveMaximum", max(low + 7, 8) + 1) - 1)
    if high < low:
        low = high
    return int(low), int(high)


def _without(node: Node, *keys: str) -> Node:
    return {key: value for key, value in node.items() if key not in keys}


def _merged(parts: Sequence[Node]) -> Node:
    merged: dict[str, Any] = {}
    for part in parts:
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", ()), *part.get("required", ())]
        merged.update(part)
        if properties:
            merged.update(properties=properties, required=required)
    return merged


def _unique(values: Sequence[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value not in values[:place]]
