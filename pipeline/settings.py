"""
One frozen Settings of a run, checked where it is made.

It is built once from flags (or from `run.json` on resume) and holds no secret: keys
live in the environment. What a value may be is declared with its flag, in `flags.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import SettingsError
from pipeline.flags import FLAGS

AUTO = "auto"
Votes = int | Literal["auto"]
"""Votes on each card, or as many as the order at the top takes."""
DEFAULT_WORDS = 1500
DEFAULT_TIMEOUT_S = 120.0
DEFAULT_OUTAGE_S = 900.0
DEFAULT_ABSENCE_S = 30.0
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGkmg%])[Bb]?")
_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what a run asks and how; seconds end in `_s`."""

    topic: str
    context: tuple[str, ...] = ()
    iterations: int = 5
    synthesis: bool = True
    candidates_only: bool = False
    candidates: tuple[tuple[str, str], ...] = ()  # (file name, text) that exist already
    preset: str | None = None
    model: str | None = None
    candidate_presets: tuple[str, ...] = ()
    models_file: str | None = None
    parallel: bool = False
    max_concurrent: int = 5
    extract_concurrent: int | None = None
    score_concurrent: int | None = None
    seed: int = 0
    max_cost: float | None = None
    judge_presets: tuple[str, ...] = ()
    votes: Votes = 3
    gate: bool = True  # compare the article with the best draft, deliver the better
    synthesis_retries: int = 3
    scoring_mode: str = "absolute"
    temperature: float | None = None
    max_tokens: int | None = None
    target_word_count: int | None = None
    retry_count: int = 3
    retry_delay_s: float = 1.0
    timeout_s: float | None = None
    max_outage_s: float | None = None
    min_free_memory: str | None = None  # as given: 512M, 2G, 10%
    filter_think: bool = True
    allow_insecure: bool = False  # send a key over plain http

    def __post_init__(self) -> None:
        """Refuse the first value that breaks a rule."""
        if not self.topic.strip():
            message = (
                "the topic is empty; write the brief into the file, or use --topic"
            )
            raise SettingsError(message)
        for flag in FLAGS:
            flag.check(getattr(self, flag.field, None))
        self.min_free_bytes(total=1)

    def min_free_bytes(self, *, total: int) -> int | None:
        """`min_free_memory` in bytes, on a machine of `total`; None when not given.

        Raises SettingsError for what is no size.
        """
        if self.min_free_memory is None:
            return None
        found = _SIZE.fullmatch(self.min_free_memory)
        if found is None:
            message = (
                f"min_free_memory must be a size, got {self.min_free_memory};"
                " use --min-free-memory 512M, 2G or 10%"
            )
            raise SettingsError(message)
        number, unit = float(found[1]), found[2].upper()
        return int(number * (total / 100 if unit == "%" else _UNITS[unit]))

    @property
    def longest_outage_s(self) -> float:
        """The longest outage of an endpoint to wait out."""
        return DEFAULT_OUTAGE_S if self.max_outage_s is None else self.max_outage_s

    @property
    def longest_absence_s(self) -> float:
        """The same of a server that was never there."""
        return DEFAULT_ABSENCE_S if self.max_outage_s is None else self.max_outage_s

    @property
    def in_flight_limit(self) -> int:
        """Calls in flight of the whole run: the largest of the limits given."""
        if not self.parallel:
            return 1
        given = (self.max_concurrent, self.extract_concurrent, self.score_concurrent)
        return max(limit for limit in given if limit is not None)

    @property
    def stage_limits(self) -> dict[str, int]:
        """Calls in flight of each concurrent stage."""
        if not self.parallel:
            return {}
        extract = self.extract_concurrent or self.max_concurrent
        score = self.score_concurrent or self.max_concurrent
        return {"generate": self.max_concurrent, "extract": extract, "score": score}

    def as_dict(self) -> dict[str, Any]:
        """What `run.json` keeps."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """Settings of an earlier run; SettingsError where they are of no use."""
        known = {field.name for field in fields(cls)}
        kept = {name: value for name, value in data.items() if name in known}
        try:
            kept["context"] = tuple(kept.get("context", ()))
            kept["candidate_presets"] = tuple(kept.get("candidate_presets", ()))
            kept["judge_presets"] = tuple(kept.get("judge_presets", ()))
            kept["candidates"] = tuple(
                (str(name), str(text)) for name, text in kept.get("candidates", ())
            )
            return cls(**kept)
        except (TypeError, ValueError, AttributeError) as error:
            message = f"run.json does not describe a run ({error}); start a new one"
            raise SettingsError(message) from error


def read_text(path: str, *, what: str, remedy: str) -> str:
    """A UTF-8 file that the user named; bytes that are no UTF-8 are refused."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"{what} {path} cannot be read ({reason}); {remedy}"
        raise SettingsError(message) from error
    except UnicodeDecodeError as error:
        message = f"{what} {path} is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise SettingsError(message) from error
