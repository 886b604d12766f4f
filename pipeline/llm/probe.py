"""
What one endpoint can do, found out by asking: a few short texts, a form, a long prompt.

It asks as a run does and repeats nothing but what a refusal or a loading model calls for.
A few hundred tokens, and one prompt as long as it is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from pipeline.errors import LLMError, PipelineError, UnreadableReply
from pipeline.llm.call import (
    Call,
    CallOptions,
    Reply,
    Request,
    first_request,
    record_name,
    strict_schema,
)
from pipeline.llm.capabilities import UNHEEDED, form_for
from pipeline.llm.connection import Attempt, Connection
from pipeline.llm.limiting import Observation
from pipeline.llm.opening import Opening, open_connection
from pipeline.llm.outcome import ANSWERED, Kind, Outcome
from pipeline.llm.reading import form_in
from pipeline.models.presets import Preset, secrets_of

LONGEST_WAIT_S = 60.0
_TEXT_TOKENS, _FORM_TOKENS, _READ_TOKENS = 64, 200, 16
_MOST_REFUSALS, _MOST_FAULTS, _WAIT_S, _SHORT = 12, 3, 2.0, 600
_STEPS = (Kind.STEP_DOWN, Kind.BUDGET, Kind.REASK)
_FAULTS = (Kind.RATE, Kind.DOWN, Kind.TRANSIENT)
_CHARACTERS_PER_TOKEN = 4
_FILLER = "The team kept a log of each decision and read it again after a month. "


class CheckReply(Reply):
    """The form that is asked for."""

    answer: Literal["yes", "no"]
    reason: str


@dataclass(slots=True, kw_only=True)
class Probe:
    """What was found out of one endpoint; None, or nothing, where it was not.

    `said` is why nothing more could be found out. `refused` names parameters as
    `capabilities.py` does, `form` how forms are held to their schema. `read_to` is where
    longer prompts are cut, `prompt_tokens` the server's count of the longest.
    """

    preset: Preset
    models: Sequence[str] = ()
    said: str = ""
    is_answered: bool = False
    first_piece_s: float | None = None
    tokens_per_s: float = 0.0
    times_as_fast: float = 0.0  # two calls at once, beside one
    counts_tokens: bool | None = None
    form: str | None = None
    form_said: str = ""
    room_said: str = ""
    prompt_tokens: int | None = None
    read_to: int | None = None
    refused: frozenset[str] = frozenset()

    @property
    def is_usable(self) -> bool:
        """Whether a run can be made with it."""
        return self.is_answered and self.form is not None and not self.room_said


@dataclass(frozen=True, slots=True)
class Unlimited:
    """The limit of a probe: every request at once; waits are slept through by `nap`."""

    nap: Callable[[float], None] = time.sleep  # noqa: TID251 - the default only
    name: str = ""

    @contextmanager
    def permit(self, _stage: str, /) -> Iterator[Unlimited]:
        """Hold nothing."""
        yield self

    def note_first_piece(self, _at_s: float, /) -> None:
        """Nothing depends on it."""

    def note(self, observation: Observation, /) -> float:
        """The server's own hint, else two seconds."""
        return observation.retry_after_s or _WAIT_S

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        self.nap(seconds)


@dataclass(slots=True)
class _Prober:
    connection: Connection
    found: Probe
    clock: Callable[[], float] = time.monotonic

    def texts(self) -> None:
        """Short texts: the first to warm up, one alone, two at once."""
        first = self._ask(self._text(0))
        usage = first.outcome.usage
        self.found.is_answered = True
        self.found.counts_tokens = usage is not None and not usage.is_estimate
        began_s = self.clock()
        alone = self._ask(self._text(1))
        alone_s = self.clock() - began_s
        self.found.first_piece_s = alone.waited_s or None
        written_s = max(1e-3, alone.seconds - alone.waited_s)
        self.found.tokens_per_s = _tokens(alone) / written_s
        began_s = self.clock()
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(self._ask, [self._text(2), self._text(3)]))
        both_s = max(1e-3, self.clock() - began_s)
        rate = max(1.0, _tokens(alone)) / max(1e-3, alone_s)
        times = sum(map(_tokens, both)) / both_s / rate
        self.found.times_as_fast = min(2.0, times)  # more is chance

    def form(self) -> None:
        """A form, in the strictest way that the endpoint takes and heeds."""
        text = "Is it useful to write decisions down? Answer yes or no, and why."
        schema = strict_schema(CheckReply)
        request = self._request(text, tokens=_FORM_TOKENS, schema=schema)
        for _ in range(2):
            reply = self._ask(request).outcome.text
            try:
                form_in(reply, CheckReply, context=None)
            except UnreadableReply as error:
                self.found.form_said = str(error)
                if "{" not in reply:
                    request.refused.add(UNHEEDED)
                request.complain(str(error))
            else:
                refused = self.connection.refused | request.refused
                self.found.form = form_for(record_name(CheckReply), refused)
                return

    def longest_prompt(self, tokens: int) -> None:
        """A prompt of about so many tokens, against the server's own count."""
        times = max(1, tokens * _CHARACTERS_PER_TOKEN // len(_FILLER))
        text = f"Answer with one word when you have read this. {_FILLER * times}"
        request = self._request(text, tokens=_READ_TOKENS)
        try:
            usage = self._ask(request).outcome.usage
        except LLMError as error:
            self.found.room_said = str(error)
            return
        self.found.read_to = self.connection.prompts.cut_at()
        if usage is not None and not usage.is_estimate:
            self.found.prompt_tokens = usage.prompt_tokens

    def _text(self, number: int) -> Request:
        filler = _FILLER * (_SHORT // len(_FILLER))
        text = f"{filler}\n\nWrite a paragraph of five sentences on that."
        return self._request(text, tokens=_TEXT_TOKENS, sample=number)

    def _request(
        self,
        text: str,
        *,
        tokens: int,
        sample: int = 0,
        schema: dict[str, object] | None = None,
    ) -> Request:
        messages = [
            {"role": "system", "content": "You answer briefly."},
            {"role": "user", "content": text},
        ]
        call = Call(
            stage="check",
            item_id="check",
            messages=messages,
            options=CallOptions(sample=sample, temperature=0.7, max_tokens=tokens),
            record_name=record_name(CheckReply) if schema else None,
            schema=schema,
        )
        preset = self.connection.preset
        return first_request(call, preset, run_seed=0, longest_wait_s=LONGEST_WAIT_S)

    def _ask(self, request: Request) -> Attempt:
        """The answer; raises the last error."""
        refusals, faults = 0, 0
        while True:
            with self.connection.attempt(request) as attempt:
                outcome = attempt.outcome
                if outcome.kind in ANSWERED:
                    self.connection.learn(request, is_whole=outcome.kind is Kind.OK)
                    return attempt
            refusals += outcome.kind in _STEPS
            faults += outcome.kind in _FAULTS
            is_final = outcome.kind not in (*_STEPS, *_FAULTS, Kind.LOADING)
            if is_final or refusals > _MOST_REFUSALS or faults > _MOST_FAULTS:
                raise outcome.error or LLMError("no answer could be used")
            if outcome.kind not in _STEPS:
                self.connection.limit.sleep(min(attempt.wait_s, LONGEST_WAIT_S))


def probe(preset: Preset, how: Opening, *, longest_prompt: int) -> Probe:
    """What the preset's endpoint can do; never raises a PipelineError.

    `longest_prompt` is in tokens, about.
    """
    found = Probe(preset=preset)
    with ExitStack() as closing:
        try:
            secrets = secrets_of([preset], how.env)
            connection = open_connection(preset, how, secrets=secrets, closing=closing)
            _ask_all(connection, found, longest_prompt=longest_prompt)
        except PipelineError as error:
            found.said = str(error)
    return found


def _ask_all(connection: Connection, found: Probe, *, longest_prompt: int) -> None:
    offered = connection.offered()
    if not isinstance(offered, Outcome):
        found.models = offered
    elif offered.kind in (Kind.ABSENT, Kind.FATAL_RUN, Kind.TIMEOUT):
        raise offered.error or LLMError("it lists no models")
    connection.find_model()
    found.preset = replace(connection.preset, model=connection.model)
    prober = _Prober(connection, found)
    steps = (prober.texts, prober.form, partial(prober.longest_prompt, longest_prompt))
    try:
        for step in steps:
            step()
    finally:
        found.refused = connection.refused


def _tokens(attempt: Attempt) -> int:
    usage = attempt.outcome.usage
    return usage.completion_tokens if usage else 0
