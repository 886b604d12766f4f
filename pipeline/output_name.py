"""
Names of run folders: made from a topic, or checked when the user chose one.

Whether the folder exists already is not looked at here.
"""

import re
import unicodedata
from pathlib import Path

from pipeline.errors import SettingsError

_LONGEST_SLUG = 60
_LONGEST_NAME = 100  # bytes: leaves room for _candidate_01_PRESET.md
_FALLBACK = "article"
# Windows opens devices under these names, whatever follows the first dot.
_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10)
}
_SEPARATORS = re.compile(r"[/\\:]")


def safe_name(text: str) -> str:
    """
    A file name for the text: lower-case letters, digits, _ and -, at most 60.

    Accents are dropped. A text without one letter or digit of these is "article".
    """
    plain = unicodedata.normalize("NFKD", text[: 20 * _LONGEST_SLUG])
    words = re.findall(r"[a-z0-9_]+", _without_marks(plain).casefold())
    name = "-".join(words)[:_LONGEST_SLUG].strip("-_")
    if name in _DEVICES:
        return f"{name}-{_FALLBACK}"
    return name or _FALLBACK


def _without_marks(text: str) -> str:
    """The text without accents, and without apostrophes: dont, not don-t."""
    marks = {"'", "’"}
    return "".join(
        char for char in text if not unicodedata.combining(char) and char not in marks
    )


def check_output_name(name: str, root: Path) -> None:
    """SettingsError when a folder of that name would not be right under the root."""
    broken = broken_rule(name) or _where_it_leads(name, root)
    if broken is not None:
        message = (
            f"output name {name!r} {broken};"
            " use letters, digits, _ and -, as in --output my-article"
        )
        raise SettingsError(message)


def broken_rule(name: str) -> str | None:
    """Which rule for names of folders and files this one breaks, as half a line."""
    rules = (
        (not name.strip(), "is empty"),
        (not name.isprintable(), "must hold printable characters only"),
        (bool(_SEPARATORS.search(name)), r"must be one name, without / \ or :"),
        (name[:1] in "-. ", "must not begin with '-', '.' or a space"),
        (name[-1:] in ". ", "must not end with '.' or a space"),
        (name.split(".")[0].lower() in _DEVICES, "is a device on Windows"),
        (_is_too_long(name), f"must be at most {_LONGEST_NAME} bytes long"),
    )
    return next((rule for is_broken, rule in rules if is_broken), None)


def _is_too_long(name: str) -> bool:
    return len(name.encode("utf-8", "replace")) > _LONGEST_NAME


def _where_it_leads(name: str, root: Path) -> str | None:
    try:
        if (root / name).resolve().parent == root.resolve():
            return None
    except (OSError, RuntimeError, ValueError) as error:
        return f"cannot be looked up under {root} ({error})"
    return f"must stay under the output root {root}, and leads elsewhere by a link"
