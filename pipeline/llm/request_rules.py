"""
The rules about one request: its content, its room, its parameters, the form asked for.

Pure. Each rule is one thing that can be wrong, and None where it is not that; their order
is that of `answers.py`. The patterns are of words in small letters.
"""

from __future__ import annotations

import re
from dataclasses import replace

from pipeline.errors import ItemRejected, Unreachable, UnreadableReply
from pipeline.llm.error_words import GROUPED
from pipeline.llm.outcome import Kind, Outcome, Refusal

_FILTERED = "content_filter|content management policy|responsibleaipolicy"
_MODERATED = "moderation|flagged|content[ _]policy|safety"


def about_the_content(refusal: Refusal) -> Outcome | None:
    """What was asked is refused, not who asked."""
    marks = f"{_FILTERED}|{_MODERATED}" if refusal.status == 403 else _FILTERED
    if refusal.status in (400, 403, 422) and refusal.told.has(marks):
        return refusal.ends_the_item()
    return None


def not_valid_json(refusal: Refusal) -> Outcome | None:
    """The server's own check of what its model wrote."""
    if refusal.told.has("json_validate_failed|failed_generation"):
        error = UnreadableReply("the reply was no valid JSON")
        return Outcome(kind=Kind.REASK, error=error)
    return None


def crashed(refusal: Refusal) -> Outcome | None:
    """A model that fell over is started again by its server."""
    if refusal.told.has("model (?:has )?crashed"):
        return refusal.means(Kind.TRANSIENT, Unreachable)
    return None


_LIMITS = ("max_tokens", "max_completion_tokens")
_ABOUT_A_LIMIT = "max_tokens|max_completion_tokens|max_new_tokens|completion|(?:maximum|output) tokens"
# How much room is there, or what is to be taken from what.
_ROOMS = tuple(
    re.compile(text, re.DOTALL)
    for text in (
        r">\s*(\d+)\s*-\s*(\d+)",
        r"context length is (?:only )?(\d+).*?\((\d+) in the messages",
        r"context length is (?:only )?(\d+).*?(?:has|contains|passed) (?:at least )?(\d+) input",
        r"must be <= (\d+)\. given: (\d+)",
        r">\s*(\d+), which is the maximum",
        r"at most (\d+)",
        r"\[\s*\d+\s*,\s*(\d+)\s*\]",
        r"less than or equal to\W{0,3}(\d+)",
        r"(?:lower|less|smaller) than\W{0,3}(\d+)",
        r"limit (?:of|is)\W{0,3}(\d+)",
        r"maximum (?:allowed |value |number )?[^\d.]{0,40}(\d+)",
    )
)
_LEAST_ROOM = 16


def too_much_room_asked(refusal: Refusal) -> Outcome | None:
    """More tokens asked for than there is room for, with the room named."""
    sent = refusal.asked.sent
    wanted = next((sent[name] for name in _LIMITS if name in sent), None)
    if not isinstance(wanted, int) or not refusal.told.has(_ABOUT_A_LIMIT):
        return None
    words = GROUPED.sub("", refusal.told.words)
    found = next(filter(None, (each.search(words) for each in _ROOMS)), None)
    if found is None:
        return None
    room = int(found[1]) - int(found[2] if found.re.groups > 1 else 0)
    if not _LEAST_ROOM <= room < wanted:
        return None
    return replace(refusal.means(Kind.BUDGET, ItemRejected), room=room)


_TOO_LONG = (
    "context[ _](?:length|size|window)|maximum context|too many tokens"
    "|exceeds the available context|exceed_context_size|(?:prompt|input) is too long"
    "|input length|reduce the length|maximum prompt length|string_above_max_length"
)


def too_long(refusal: Refusal) -> Outcome | None:
    """No room for the question itself."""
    return refusal.ends_the_item() if refusal.told.has(_TOO_LONG) else None


_STREAM_REFUSED = (
    r"streaming (?:is |mode )*(?:not|unsupported|disabled)|not support stream"
)


def names_a_parameter(refusal: Refusal) -> Outcome | None:
    """The longer name first: "stream" is a part of "stream_options"."""
    sent = sorted(refusal.asked.sent, key=len, reverse=True)
    for name in filter(refusal.told.names, sent):
        return refusal.without(_form(refusal) if name == "response_format" else name)
    if "stream" in sent and refusal.told.has(_STREAM_REFUSED):
        return refusal.without("stream")
    return None


_SYSTEM = (
    r"system (?:role|message)|role \W?system|roles must alternate|developer instruction"
    r"|system prompt is not|only user and assistant"
)


def no_system_role(refusal: Refusal) -> Outcome | None:
    """Templates of some models know a user and an assistant, in turn."""
    if refusal.asked.has_system and refusal.told.has(_SYSTEM):
        return refusal.without("system")
    return None


_FORM_WORDS = (
    "schema|structured output|json_object|json[ _]mode|grammar|guided|response[ _]format"
    "|outlines|unimplemented keys"
)
_FEATURE = (
    "(?:response[_ ]format|json_(?:schema|object)|structured outputs?|json[_ ]mode)"
)
_LACKING = (
    "(?:not (?:supported|support|available|enabled|permitted|allowed|implemented)"
    "|unsupported|unavailable|unknown|unrecognized|must be|should be)"
)
_NO_SUCH_FORM = (
    rf"{_FEATURE}.{{0,80}}{_LACKING}"
    rf"|(?:does(?: not|n't) support|unsupported|unrecognized|unknown|extra).{{0,80}}{_FEATURE}"
)
_TOO_MUCH_OF_A_SCHEMA = (
    "schema (?:fields|contains|produces|is too)|invalid schema|grammar|propert|keyword"
    "|in context=|constraint|too (?:complex|large|deep|many)"
)


def _form(refusal: Refusal) -> str:
    """Whether the server knows no such form, or this one schema is too much for it."""
    told, asked = refusal.told, refusal.asked
    if asked.has_schema and told.has(_TOO_MUCH_OF_A_SCHEMA):
        return "schema"
    is_extra = "response_format" in told.named and told.has("extra")
    return "response_format" if is_extra or told.has(_NO_SUCH_FORM) else "schema"


def about_the_form(refusal: Refusal) -> Outcome | None:
    """The form in which the answer was asked for, without naming the parameter."""
    if "response_format" in refusal.asked.sent and refusal.told.has(_FORM_WORDS):
        return refusal.without(_form(refusal))
    return None


def does_not_say_why(refusal: Refusal) -> Outcome | None:
    """A schema may be all that is wrong: the next form, once. A 500 must come twice."""
    asked = refusal.asked
    if not asked.has_schema or asked.is_proven:
        return None
    is_likely = refusal.status != 500 or asked.faults > 0
    return refusal.without("schema") if is_likely else None
