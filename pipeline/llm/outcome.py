"""
The terms of one HTTP attempt: what was asked, what came, what is to be done next.

What an answer or a refusal means is decided in `answers.py`, what a broken connection in
`transport.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pipeline.errors import (
    EndpointRejected,
    ItemRejected,
    LLMError,
    PipelineError,
    Unreachable,
)
from pipeline.llm.error_words import Told
from pipeline.llm.server_words import Quota
from pipeline.metrics import Usage


class Kind(StrEnum):
    """What is to be done next."""

    OK = "ok"
    CUT_OFF = "cut_off"  # an answer that ran into a limit of tokens
    RATE = "rate"  # send fewer
    ABSENT = "absent"  # nobody is there: wait, not for long if nobody ever was
    DOWN = "down"  # the endpoint's own fault, whoever asks: wait until it is back
    LOADING = "loading"  # the server starts up: wait
    TRANSIENT = "transient"  # a fault that may be the call's own: a few times more
    TIMEOUT = "timeout"  # silence: the same
    STEP_DOWN = "step_down"  # without one parameter, or with another
    BUDGET = "budget"  # with another limit of tokens
    REASK = "reask"  # answered, but of no use: with another seed, a few times
    FATAL_ITEM = "fatal_item"  # this request is lost, others are not
    FATAL_RUN = "fatal_run"  # no request will be answered


ANSWERED = (Kind.OK, Kind.CUT_OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One attempt's result: an answer's text, or the error, and what came beside it.

    `parameter` is what a STEP_DOWN gives up: its name, "system" for a message of that
    role, "schema" for the form of this one schema. `room` is what a BUDGET allows.
    """

    kind: Kind
    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    error: PipelineError | None = None
    parameter: str | None = None
    room: int | None = None
    retry_after_s: float | None = None
    quota: Quota | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a refusal can be about: `sent` are the optional parameters by name.

    `is_proven`: such a form was filled in before. `faults` is how often this very
    request has failed.
    """

    sent: Mapping[str, Any] = field(default_factory=dict)
    has_system: bool = False
    is_proven: bool = False
    faults: int = 0
    longest_wait_s: float = 900.0

    @property
    def has_schema(self) -> bool:
        """Whether the answer was to be held to a schema by the server."""
        wanted = self.sent.get("response_format")
        return isinstance(wanted, Mapping) and wanted.get("type") == "json_schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One error of a server, and what the rules may say of it."""

    status: int
    told: Told
    headers: Mapping[str, str]
    hint_s: float | None
    asked: Asked

    @property
    def reason(self) -> str:
        """The status with the server's own words."""
        said = f": {self.told.said}" if self.told.said else ""
        return f"the server answered {self.status}{said}"

    @property
    def is_about_the_request(self) -> bool:
        """Whether its status blames what was sent; some servers say 500 for that."""
        return self.status in (400, 422, 500)

    def means(self, kind: Kind, error: type[LLMError], *, advice: str = "") -> Outcome:
        """That outcome, in the server's words and with what to do about it."""
        message = f"{self.reason.rstrip('.')}; {advice}" if advice else self.reason
        return Outcome(kind=kind, error=error(message), retry_after_s=self.hint_s)

    def ends_the_run(self, advice: str = "") -> Outcome:
        """No request will be answered."""
        return self.means(Kind.FATAL_RUN, EndpointRejected, advice=advice)

    def ends_the_item(self, advice: str = "") -> Outcome:
        """This one will not."""
        return self.means(Kind.FATAL_ITEM, ItemRejected, advice=advice)

    def without(self, parameter: str) -> Outcome:
        """Again, and without that."""
        outcome = self.means(Kind.STEP_DOWN, ItemRejected)
        return replace(outcome, parameter=parameter, retry_after_s=None)


def fault(message: str, *, kind: Kind = Kind.TRANSIENT) -> Outcome:
    """A failure that another attempt may not meet."""
    return Outcome(kind=kind, error=Unreachable(message))
