"""
A lane of the limiter as the gate of a connection.

The limiter knows nothing of this program; here its ends of waiting become errors of
this program, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from parallel.limiter import Lane, Limiter, LimiterStopped, OutageTooLong
from pipeline.errors import EndpointDown, Interrupted
from pipeline.llm.gate import Observation
from pipeline.llm.presets import Preset


class LaneGate:
    """One endpoint's share of a run-wide limiter."""

    def __init__(self, lane: Lane) -> None:
        """Wait where the lane waits."""
        self._lane = lane
        self.name = lane.name

    @property
    def is_out(self) -> bool:
        """Whether the endpoint is known to be down, so that faults are not the call's."""
        return self._lane.is_out

    @contextmanager
    def admit(self, group: str = "", /) -> Iterator[None]:
        """Hold one place for one HTTP attempt."""
        permit = self._lane.admit(group)
        with _as_our_errors():
            permit.__enter__()
        try:
            yield
        finally:
            permit.__exit__(None, None, None)

    def note(self, observation: Observation, /) -> float:
        """Learn from an attempt; the seconds to wait before another."""
        return self._lane.note(observation)

    def sleep(self, seconds: float, /) -> None:
        """Wait without a place, known to the limiter."""
        with _as_our_errors():
            self._lane.sleep(seconds)


def gate_for(limiter: Limiter, preset: Preset) -> LaneGate:
    """The gate of a preset; presets of one model at one endpoint share it."""
    lane = limiter.lane(
        f"{preset.model or 'the only model'} at {preset.base_url}",
        max_in_flight=preset.max_concurrent,
        requests_per_minute=preset.requests_per_minute,
        tokens_per_minute=preset.tokens_per_minute,
    )
    return LaneGate(lane)


@contextmanager
def _as_our_errors() -> Iterator[None]:
    try:
        yield
    except LimiterStopped as error:
        message = "the run was stopped"
        raise Interrupted(message) from error
    except OutageTooLong as error:
        raise EndpointDown(str(error)) from error
