"""
What one chat request asks of the simulated server: its stage, schema and work item.

It reads a parsed body; it neither refuses habits nor answers.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

STAGE_OF_SCHEMA = {
    "article_card": "extract",
    "article_score": "score",
    "pairwise_verdict": "pairwise",
    "synthesis_blueprint": "select",
    "validation_result": "validate",
    "brief_rules": "rules",
}
_REMARK_CHARACTERS = 120
_LINE_START = "JSON schema "
_SCHEMA_LINE = re.compile(r"JSON schema ([\w.-]+):")


class BadRequestError(ValueError):
    """The body is no chat request; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One chat request, as it was asked."""

    body: Mapping[str, Any]
    stage: str
    item: str
    schema_name: str | None
    schema: Mapping[str, Any] | None
    asked_format: str | None  # "json_schema", "json_object" or None
    texts: tuple[str, ...]  # one per message, without an appended schema
    prompt_tokens: int

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def text(self) -> str:
        """All messages, one after another."""
        return "\n\n".join(self.texts)

    @property
    def wants_stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        options = self.body.get("stream_options")
        return isinstance(options, Mapping) and bool(options.get("include_usage"))

    @property
    def wants_json(self) -> bool:
        return self.schema_name is not None or self.asked_format is not None


def tokens_in(text: str) -> int:
    """About 1.3 a word."""
    return max(1, round(1.3 * (text.count(" ") + text.count("\n") + 1)))


def cut_to(text: str, most_tokens: float) -> str:
    """The beginning of a text that has more than so many tokens."""
    gaps = [place for place, letter in enumerate(text) if letter in " \n"]
    return text[: gaps[max(0, int(most_tokens / 1.3) - 1)]] if gaps else text


def parse_chat_request(raw: bytes) -> ChatRequest:
    """The request in a body; raises BadRequestError for anything else."""
    body = _checked_body(raw)
    texts = [text_of(message) for message in body["messages"]]
    texts[-1], line_name, line_schema = split_schema_line(texts[-1])
    asked_format, name, schema = _response_format(body)
    if name is None:
        name, schema = line_name, line_schema
    return ChatRequest(
        body=body,
        stage=_stage_of(name, texts),
        item=work_item(texts, seed=body.get("seed"), schema_name=name),
        schema_name=name,
        schema=schema,
        asked_format=asked_format,
        texts=tuple(texts),
        prompt_tokens=sum(map(tokens_in, texts)),
    )


def text_of(message: Mapping[str, Any]) -> str:
    """A message's text, also where it comes in parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(
        str(part.get("text", "")) for part in content if isinstance(part, Mapping)
    )


def split_schema_line(text: str) -> tuple[str, str | None, Mapping[str, Any] | None]:
    """
    The text before a last line `JSON schema NAME:`, the name and the schema.

    A short remark in the same paragraph, such as "Answer in JSON.", goes with the line.
    """
    start = text.rfind(_LINE_START)
    while start >= 0:
        line = _SCHEMA_LINE.match(text, start)
        if line is not None and (start == 0 or text[start - 1] == "\n"):
            schema = _first_object(text[line.end() :])
            return text[: _paragraph_start(text, start)].rstrip(), line[1], schema
        start = text.rfind(_LINE_START, 0, start)
    return text, None, None


def _paragraph_start(text: str, place: int) -> int:
    start = text.rfind("\n\n", max(0, place - _REMARK_CHARACTERS), place)
    return start if start >= 0 else place


def work_item(texts: Sequence[str], *, seed: object, schema_name: str | None) -> str:
    """
    Name of the work asked for: the same for a repeat, and for a stepped-down request.

    It leaves out the appended schema and every other parameter, so that a server's
    habits change neither the answer nor its time.
    """
    start = f"{seed}\0{schema_name}".encode("utf-8", "surrogatepass")
    digest = blake2b(start, digest_size=8)
    for text in texts:
        digest.update(b"\0" + text.rstrip().encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _checked_body(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequestError("you must provide a model parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages must be a list of at least one message")
    if not all(isinstance(message, dict) for message in messages):
        raise BadRequestError("every message must be an object")
    return body


def _response_format(
    body: Mapping[str, Any],
) -> tuple[str | None, str | None, Mapping[str, Any] | None]:
    asked = body.get("response_format")
    if not isinstance(asked, Mapping) or asked.get("type") in (None, "text"):
        return None, None, None
    kind = str(asked["type"])
    described = asked.get("json_schema")
    if not isinstance(described, Mapping):
        return kind, None, None
    schema = described.get("schema")
    return (
        kind,
        str(described.get("name")),
        schema if isinstance(schema, Mapping) else None,
    )


def _stage_of(schema_name: str | None, texts: Sequence[str]) -> str:
    if schema_name is not None:
        return STAGE_OF_SCHEMA.get(schema_name, schema_name)
    for text in texts:
        if "BLUEPRINT" in text or "<blueprint" in text.lower():
            return "synthesize"
    return "generate"


def _first_object(text: str) -> Mapping[str, Any] | None:
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else ({}, 0)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found else None
