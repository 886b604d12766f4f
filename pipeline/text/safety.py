"""
Text that others wrote, made safe to store, to send and to show.

Models, files and servers may put anything into a string: escape sequences, the
delimiters of a prompt, half a character, an echoed key. These functions are pure.
They do not judge what a text says and do not shorten it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
SHORTEST_SECRET = 8  # shorter ones would black out ordinary words
_DIGEST_CHARS = 8
_REPLACEMENT = "\ufffd"

# Possessive repeats, and bodies that exclude every introducer: ten megabytes of
# opened and never closed sequences still take one pass. No body goes past its line, so
# that one text cannot hide those that are shown between it and another.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"  # OSC, DCS, SOS, PM, APC ...
    r"[^\n\x07\x1b\x80-\x9f]*+(?:\x07|\x1b\\|\x9c)"  # ... up to their end in the line
    r"|\x1b[ -/]*+[0-~]"  # two-character escapes
)
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi: reorder what is read
    "\ud800-\udfff]"  # surrogates
)
_RETURNS_BEFORE_NEWLINE = re.compile(r"(?<!\r)\r++\n")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def for_terminal(text: str) -> str:
    """The text without anything a terminal would obey instead of show."""
    return _UNPRINTABLE.sub("", _ESCAPES.sub("", text))


def whole_characters(text: str) -> str:
    """The text as UTF-8 can carry it: U+FFFD for every half of a character."""
    if text.isascii():
        return text
    # By way of UTF-16, so that two halves that belong together become one again.
    halves = text.encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le", "replace")


def clean_text(text: str) -> str:
    """The text as it is stored: no NUL, no lone surrogate, newlines as \\n."""
    without_nul = whole_characters(text.replace("\0", ""))
    return _RETURNS_BEFORE_NEWLINE.sub("\n", without_nul)


def fenced(label: str, text: str) -> str:
    """
    The text between delimiters that it does not contain.

    The same text gives the same fence, so that a repeated request is the same
    request. NUL and lone surrogates become U+FFFD. ValueError when the label is
    not letters, digits, _ and -.
    """
    if not _LABEL.fullmatch(label):
        message = f"a label is letters, digits, _ and -, got {label!r}"
        raise ValueError(message)
    body = whole_characters(text.replace("\0", _REPLACEMENT))
    tag = f"{label}-{_absent_digest(body)}"
    return f"<{tag}>\n{body}\n</{tag}>"


def _absent_digest(text: str) -> str:
    """A digest of the text that occurs nowhere in it, in either case."""
    haystack, data = text.lower(), text.encode()
    salt = 0
    while True:
        digest = hashlib.sha256(b"%d:%b" % (salt, data)).hexdigest()[:_DIGEST_CHARS]
        if digest not in haystack:
            return digest
        salt += 1


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """
    A function that writes [redacted] over each secret, however it is spelled.

    Covers the secret as it is, URL-quoted, JSON-escaped, and mixtures of these;
    secrets of fewer than eight characters are left alone.
    """
    stripped = {secret.strip() for secret in secrets}
    long_enough = [secret for secret in stripped if len(secret) >= SHORTEST_SECRET]
    if not long_enough:
        return str
    long_enough.sort(key=lambda secret: (-len(secret), secret))
    pattern = re.compile(
        "|".join("".join(map(_any_spelling, secret)) for secret in long_enough)
    )
    return lambda text: pattern.sub(REDACTED, text)


def _any_spelling(char: str) -> str:
    """A pattern for one character of a secret, as others may have written it."""
    if char.isascii() and char.isalnum():
        return char
    quoted = whole_characters(char)
    escapes = {
        quote(quoted, safe=""),
        quote_plus(quoted),
        json.dumps(char)[1:-1],
        "".join(f"\\u{unit:04x}" for unit in _utf16_units(char)),
        f"\\{char}",
    }
    either = sorted(map(re.escape, escapes - {char}), key=len, reverse=True)
    return f"(?:{'|'.join(f'(?i:{escape})' for escape in either)}|{re.escape(char)})"


def _utf16_units(char: str) -> Iterator[int]:
    data = char.encode("utf-16-be", "surrogatepass")
    return (int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
