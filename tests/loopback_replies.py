"""
What the simulated server answers when nothing is wrong.

The answer follows from the work item alone: the schema filled in, an article, or the
article that a blueprint orders. Faults and HTTP are elsewhere.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.loopback_prose import Ordered, article, coined_name
from tests.loopback_request import ChatRequest, tokens_in
from tests.loopback_schema import SchemaFiller

_SAYINGS = ("headline", "hook", "opening", "phrase", "evidence")
_ASIDES = ("reason", "why", "rationale", "justification", "note", "source")
_OBJECTS_READ = 400  # in one prompt; hostile text may hold thousands of braces
_NUMBER = r"(\d{1,2},\d{3}|\d{2,5})"
_WORDS = re.compile(r"words?\b")
_LENGTH = re.compile(rf"(?:{_NUMBER}\s*(?:to|and|or|-|–)\s*)?{_NUMBER}[\s-]+$")
_BLOCK = re.compile(r"<([A-Za-z][\w-]*)>.*?</\1>", re.DOTALL)
_BLUEPRINT = re.compile(r"<(blueprint[\w-]*)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_THOUGHT = (
    "<think>\nThe user wants a JSON object, something like {...}. "
    "I could start with [1, 2] and go on from there.\n</think>\n\n"
)


def content_for(request: ChatRequest, *, max_words: int = 2000) -> str:
    """The content of the assistant's message: JSON or markdown."""
    rng = random.Random(int(request.item, 16))
    name = coined_name(request.item)
    if request.wants_json:
        return json.dumps(_filled(request, rng, name), ensure_ascii=False)
    words = min(words_asked(request.text), max_words)
    ordered = blueprint_of(request.text) if request.stage == "synthesize" else None
    return article(rng, name=name, words=words, ordered=ordered)


def wrapped(content: str, *, is_json: bool) -> str:
    """The content as a model gives it that was never told about schemas."""
    if not is_json:
        return f"{_THOUGHT}{content}"
    return (
        f"{_THOUGHT}Here is the result you asked for:\n\n```json\n{content}\n```\n\n"
        "Let me know if you would like me to change anything."
    )


def completion(
    request: ChatRequest,
    *,
    content: str | None,
    finish_reason: str = "stop",
    has_usage: bool | Mapping[str, Any] = True,
) -> dict[str, Any]:
    """A `chat.completion` object around the content."""
    reply: dict[str, Any] = {
        "id": f"chatcmpl-{request.item}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
    }
    if has_usage:
        asked, said = request.prompt_tokens, tokens_in(content or "")
        reply["usage"] = {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
            **(has_usage if isinstance(has_usage, Mapping) else {}),
        }
    return reply


def words_asked(text: str) -> int:
    """
    How long an article the prompt asks for; 300 where it does not say.

    The first length of at least 50 words counts, outside quoted blocks if there is
    one; of a range the middle.
    """
    for source in (_BLOCK.sub(" ", text), text):
        for unit in _WORDS.finditer(source):
            # Backwards from the unit: a search for digits would try every letter.
            length = _LENGTH.search(source[max(0, unit.start() - 30) : unit.start()])
            bounds = length.groups() if length else ()
            numbers = [int(number.replace(",", "")) for number in bounds if number]
            if numbers and min(numbers) >= 50:
                return sum(numbers) // len(numbers)
    return 300


def blueprint_of(text: str) -> Ordered:
    """What a blueprint in the prompt tells the writer to use; empty if unreadable."""
    found = _BLUEPRINT.search(text)
    block = found[2] if found else text[max(0, text.find("BLUEPRINT")) :]
    said = sayings_in(block)
    return Ordered(
        headline=next(iter(said.get("headline", ())), ""),
        hooks=tuple((said.get("hook") or said.get("opening", []))[:1]),
        phrases=tuple(said.get("phrase", ())),
    )


def sayings_in(text: str) -> dict[str, list[str]]:
    """Texts under keys such as headline, hook and phrase, from JSON or labelled lines."""
    said: dict[str, list[str]] = {}
    pairs = [pair for found in _json_in(text) for pair in _strings(found, topic="")]
    for topic, value in pairs or list(_labelled_lines(text)):
        if value.strip() and value not in said.setdefault(topic, []):
            said[topic].append(value)
    return said


def _filled(request: ChatRequest, rng: random.Random, name: str) -> Any:
    said = sayings_in(request.text) if request.stage == "select" else {}
    return SchemaFiller(
        root=request.schema or {"type": "object"},
        rng=rng,
        name=name,
        favourable=request.stage == "validate",
        sayings=said,
    ).fill()


def _topic_of(key: str, inherited: str) -> str:
    key = key.lower()
    if any(word in key for word in _ASIDES):
        return ""
    return next((word for word in _SAYINGS if word in key), inherited)


def _strings(value: Any, *, topic: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and topic:
        yield topic, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _strings(child, topic=_topic_of(str(key), topic))
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child, topic=topic)


def _json_in(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    start = text.find("{")
    for _ in range(_OBJECTS_READ):
        if start < 0:
            return
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield found
        start = text.find("{", end)


def _labelled_lines(text: str) -> Iterator[tuple[str, str]]:
    """`Hook: words`, or `Phrases:` and then one `- words` a line."""
    topic = ""
    for line in map(str.strip, text.splitlines()):
        label, colon, rest = line.partition(":")
        if line.startswith(("- ", "* ")) and topic:
            yield topic, line[2:].strip().strip('"')
        elif colon and len(label) < 40:
            topic = _topic_of(label, "")
            if topic and rest.strip():
                yield topic, rest.strip().strip('"')
        else:
            topic = ""
