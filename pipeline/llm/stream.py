"""
Reads the answer to one request from its bytes as they come: events, or a whole body.

Pure, and the same however the bytes are split. What comes decides, not the header: some
servers stream without being asked, some do not although they were. It ends early where
an answer does not end; what an answer means is judged elsewhere.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.llm.bounds import (
    MOST_THOUGHT,
    Bounds,
    repeats_itself,
    thought_at_start,
)

_LOOK_EVERY = 4_096  # characters between two looks at the whole text
_LONGEST_BODY = 32_000_000
_WORDS_KEPT = 4_000
_BODY_STARTS = (b"{", b"[", b"<", b'"')
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_TORN = object()
_DECODE = json.JSONDecoder().raw_decode
_BOM = b"\xef\xbb\xbf"
_WHOLE = Bounds(characters=_LONGEST_BODY, blanks=_LONGEST_BODY)


class AnswerReader:
    """One answer so far; fed on one thread, its counts read on any."""

    def __init__(self, bounds: Bounds = _WHOLE) -> None:
        """Read no further than `bounds`."""
        self.finish_reason: str | None = None
        self.refusal = ""
        self.usage: dict[str, Any] | None = None
        self.error: object = None  # the server's, in place of an answer
        self.choice_error: object = None
        self.has_choices = False
        self.is_streamed = False
        self.is_done = False  # it was said to be complete
        self.is_damaged = False  # a part of it could not be read
        self.endless = ""  # why no more of it is read
        self.pieces = 0  # with text or thinking in them
        self.life = 0  # grows with all that comes but comments and white space
        self.characters = 0
        self.thought_characters = 0
        self._bounds = bounds
        self._texts: list[str] = []
        self._blanks = 0
        self._look_at = _LOOK_EVERY
        self._size = 0
        self._rest: list[bytes] = []  # of a line whose end has not come
        self._body: list[bytes] | None = None
        self._torn = ""  # an event's JSON that goes on in its next line
        self._is_error_event = False
        self._words = ""  # what is neither an event nor JSON

    @property
    def text(self) -> str:
        """What was answered, without the thinking that came apart from it."""
        return "".join(self._texts)

    @property
    def words(self) -> str:
        """What came in place of an answer: a page, a sentence."""
        return self._words

    @property
    def is_over(self) -> bool:
        """Whether more bytes would change nothing."""
        return bool(self.is_done or self.endless or self.error)

    @property
    def is_whole(self) -> bool:
        """Whether the answer came to its own end."""
        if self.is_damaged or self.endless:
            return False
        return self.is_done or self.finish_reason is not None

    @property
    def tokens(self) -> int:
        """Tokens so far: the server's count where it gave one, else an estimate."""
        counted = (self.usage or {}).get("completion_tokens")
        if isinstance(counted, int):
            return counted
        return max(self.pieces, (self.characters + self.thought_characters) // 4)

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        if self._body is not None:
            self._grow(self._body, data)
        elif b"\n" not in data:
            self._grow(self._rest, data)
        else:
            lines = b"".join([*self._rest, data]).split(b"\n")
            self._rest = [lines.pop()]
            self._size = len(self._rest[0])
            self._take_lines(lines)

    def finish(self) -> None:
        """No more bytes will come."""
        if self._body is None:
            last, self._rest = b"".join(self._rest), []
            self._take_lines([last])
        if self._torn:
            self.is_damaged = True
        if self._body is not None:
            self._take_body(b"".join(self._body))

    def _grow(self, parts: list[bytes], data: bytes) -> None:
        self._size += len(data)
        self.life += not data.isspace()
        if self._size > _LONGEST_BODY:
            self.endless = "the answer did not end"
        else:
            parts.append(data)

    def _take_lines(self, lines: list[bytes]) -> None:
        for number, line in enumerate(lines):
            if self.is_over:
                return
            if line.startswith(b"data:"):
                self._take_data(line[5:])
            elif line.strip():
                self._take_other(line)
            else:
                self._end_event()
            if self._body is not None:
                self._body.append(b"\n".join([*lines[number + 1 :], *self._rest]))
                self._rest = []
                return

    def _end_event(self) -> None:
        self._is_error_event = False
        if self._torn:
            self.is_damaged, self._torn = True, ""

    def _take_data(self, payload: bytes) -> None:
        self.is_streamed = True
        text = payload.decode("utf-8", "replace").strip()
        if text == "[DONE]":
            self.is_done = True
            return
        if self._torn:
            text = f"{self._torn}\n{text}"
        piece = _loaded(text)
        if piece is _TORN:
            if self._is_error_event:
                self.error = text
            else:
                self._torn = text
            return
        self._torn = ""
        self._take_piece(piece)

    def _take_other(self, line: bytes) -> None:
        """A comment, a field, or what should not be in a stream."""
        line = line.removeprefix(_BOM).strip()
        if line.startswith(_BODY_STARTS):
            if not self.is_streamed:
                self._body = [line, b"\n"]
                return
            self._take_data(line)
        elif line.startswith(b"error:"):  # llama.cpp's
            self._is_error_event = True
            self._take_data(line[6:])
        elif line.startswith(b"event:"):
            self._is_error_event = line[6:].strip() == b"error"
        elif not line.startswith((b":", b"id:", b"retry:")):
            self._words = (self._words + line.decode("utf-8", "replace") + "\n")[
                :_WORDS_KEPT
            ]

    def _take_body(self, body: bytes) -> None:
        text = body.decode("utf-8", "replace").strip()
        self._bounds = _WHOLE  # it has ended
        try:
            # What follows may be the `data: [DONE]` of a server that mixes the two.
            found, _ = _DECODE(text)
        except (ValueError, RecursionError):
            self.is_damaged = True
            self._words = "" if text.startswith(("{", "[", '"')) else text[:_WORDS_KEPT]
            return
        self.is_done = True
        if isinstance(found, str):
            self._words = found[:_WORDS_KEPT]
        self._take_piece(found)

    def _take_piece(self, piece: Any) -> None:
        if isinstance(piece, list) and piece:
            piece = piece[0]
        if not isinstance(piece, dict):
            if self._is_error_event:
                self.error = piece
            return
        if self._is_error_event or piece.get("error"):
            self.error = piece
            return
        if usage := piece.get("usage"):
            self.usage = usage if isinstance(usage, dict) else None
        choices = piece.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                self._take_choice(choice)
                return

    def _take_choice(self, choice: dict[str, Any]) -> None:
        self.has_choices = True
        delta = choice.get("delta")
        if delta is None and not self._texts:  # some repeat the whole at the end
            delta = choice.get("message")
        if isinstance(delta, dict):
            self._take_delta(delta)
        if reason := choice.get("finish_reason"):
            self.finish_reason = str(reason)
        if error := choice.get("error"):
            self.choice_error = error

    def _take_delta(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if content:
            text = content if isinstance(content, str) else self._text_of_parts(content)
            if text:
                self._take_text(text)
            if len(delta) == 1:
                return
        for name in _THOUGHTS:
            if thought := delta.get(name):
                self._take_thought(_length(thought))
                break
        if refusal := delta.get("refusal"):
            self.refusal += str(refusal)

    def _text_of_parts(self, parts: object) -> str:
        """Some servers send the content in parts, thinking among them."""
        if not isinstance(parts, list):
            return ""
        texts = []
        for part in parts:
            if isinstance(part, dict):
                texts.append(str(part.get("text") or ""))
                if thought := part.get("thinking"):
                    self._take_thought(_length(thought))
            elif isinstance(part, str):
                texts.append(part)
        return "".join(texts)

    def _take_thought(self, length: int) -> None:
        self.pieces += 1
        self.life += 1
        self.thought_characters += length
        if self.thought_characters > MOST_THOUGHT:
            self.endless = "the thinking did not end"

    def _take_text(self, text: str) -> None:
        self.pieces += 1
        self.life += 1
        self._texts.append(text)
        self.characters += len(text)
        end = text.rstrip()
        self._blanks = len(text) - len(end) + (0 if end else self._blanks)
        if self._blanks > self._bounds.blanks:
            self.endless = "the answer goes on in white space without end"
        elif self.characters >= self._look_at:
            self._look()

    def _look(self) -> None:
        """Whether the text goes on for ever, seen from time to time."""
        self._look_at = self.characters + _LOOK_EVERY
        if self._bounds is _WHOLE:
            return
        text = self.text
        self._texts = [text]
        thought = thought_at_start(text)
        if thought > MOST_THOUGHT:
            self.endless = "the thinking did not end"
        elif len(text) - thought > self._bounds.characters:
            self.endless = "the answer did not end"
        elif repeats_itself(text):
            self.endless = "the answer repeats itself without end"


def _length(thought: object) -> int:
    return len(thought) if isinstance(thought, str) else len(str(thought))


def _loaded(text: str) -> Any:
    """The value that is all of the text, or _TORN; faster than json.loads."""
    try:
        value, end = _DECODE(text)
    except (ValueError, RecursionError):
        return _TORN
    return value if end == len(text) else _TORN
