"""
What is declared of one flag: how it is written, read and checked.

Which flags there are is said in `flags.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from math import inf
from typing import Any

from pipeline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag; `usage` names its value, and where it names none it is a switch."""

    usage: str
    help: str
    _: KW_ONLY
    default: str = ""  # as it is shown; empty where that of the field says it
    words: tuple[str, ...] = ()  # the only values, or those beside numbers
    at_least: tuple[float, str] | None = None  # and a value that would do
    at_most: float = inf
    is_repeatable: bool = False
    can_be_off: bool = False  # there is a --no-NAME too
    setting: str = ""  # its name in Settings, where that is another
    asks_the_same: bool = False  # how a run is made, not what it asks
    is_fixed: bool = False  # a resumed run cannot follow it

    @property
    def name(self) -> str:
        """The flag without its value: --max-concurrent."""
        return self.usage.partition(" ")[0]

    @property
    def metavar(self) -> str:
        """What stands for its value; empty for a switch."""
        return self.usage.partition(" ")[2]

    @property
    def names(self) -> list[str]:
        """Every form in which it may be given."""
        return [self.name, *([f"--no-{self.name[2:]}"] if self.can_be_off else [])]

    @property
    def keyword(self) -> str:
        """Its name among what was given: max_concurrent."""
        return self.name[2:].replace("-", "_")

    @property
    def field(self) -> str:
        """Its name in Settings, if it is a setting."""
        return self.setting or self.keyword

    def read(self, text: str) -> object:
        """The value that a text stands for; ValueError says what it must be."""
        reader, kind = _READ.get(self.metavar, (str, "text"))
        try:
            return reader(text)
        except ValueError as error:
            message = f"must be {kind}, got {text}"
            raise ValueError(message) from error

    def check(self, value: Any) -> None:
        """SettingsError for a value that is not allowed; None is not given."""
        if value is None or value in self.words:
            return
        if self.at_least is not None:
            least, remedy = self.at_least
            # `not <=` and not `>`: NaN must be refused too.
            if not least <= value <= self.at_most or value == inf:
                rule = f"at least {least:g}"
                if self.at_most < inf:
                    rule = f"from {least:g} to {self.at_most:g}"
                self._refuse(rule, f"{value:g}", remedy)
        elif self.words:
            self._refuse(f"one of {', '.join(self.words)}", value, self.words[0])

    def _refuse(self, rule: str, value: str, remedy: str) -> None:
        message = f"{self.field} must be {rule}, got {value}; use {self.name} {remedy}"
        raise SettingsError(message)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _votes(text: str) -> int | str:
    return text if text == "auto" else int(text)


# What stands for a value says how it is read; anything else is text.
_READ: Mapping[str, tuple[Callable[[str], object], str]] = {
    "N": (int, "a whole number"),
    "DAYS": (int, "a whole number"),
    "N|auto": (_votes, "a number or auto"),
    "S": (float, "a number of seconds"),
    "X": (float, "a number of dollars"),
    "T": (float, "a number"),
    "A,B,C": (_names, "names"),
}
