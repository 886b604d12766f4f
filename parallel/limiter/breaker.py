"""
Stops sending to a server that is down, and finds out when it is back.

It neither waits nor sends: it says how long to wait, and which call is the probe.
Refusals (429) are no fault to it; they only count in the length of an outage. One call
that can never be answered is no outage, however often it fails.
"""

from __future__ import annotations

from math import inf

CONSECUTIVE = 5
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0


class Breaker:
    """
    Open after five faults in a row: a pause, one probe, then half the calls.

    Faults that may be a call's own open it only when those of a second call are among
    them. Pauses last 5, 10, 20, 40 and then 60 seconds. After the probe is answered,
    each clean round doubles the calls until all are back (Nygard, "Release It!", 2007).
    """

    def __init__(
        self, *, max_outage_s: float, max_absence_s: float | None = None
    ) -> None:
        """`max_absence_s` is for a server that was never there; None makes no difference."""
        self.openings = 0
        self._max_outage_s = max_outage_s
        self._max_absence_s = max_outage_s if max_absence_s is None else max_absence_s
        self._was_there = False
        self.failures = 0  # in a row
        self._failing: set[str] = set()  # the calls that they befell
        self._failing_since_s: float | None = None
        self._is_open = False
        self._pauses = 0
        self._probe_at_s = inf
        self._probe_started_s = inf
        self._is_probing = False
        self._ramp: int | None = None
        self._clean = 0

    @property
    def is_open(self) -> bool:
        """No call but the probe may start."""
        return self._is_open

    @property
    def limit(self) -> int | None:
        """Calls that it allows at once; None when it does not limit them."""
        return self._ramp

    def hold_s(self, now_s: float) -> float:
        """Seconds before a call may start; infinite while the probe is under way."""
        if not self._is_open:
            return 0.0
        if self._is_probing:
            return inf
        return max(0.0, min(self._probe_at_s, self._ends_s) - now_s)

    def outage_s(self, now_s: float) -> float | None:
        """How long the server has been out, once that is too long; else None."""
        if self._failing_since_s is None or self._is_probing or not self._is_open:
            return None
        return now_s - self._failing_since_s if now_s >= self._ends_s else None

    def note_start(self, now_s: float) -> bool:
        """A call starts; True when it is the probe."""
        if self._is_open:
            self._is_probing = True
            self._probe_started_s = now_s
        return self._is_open

    def note_probe_left(self, now_s: float) -> None:
        """The probe is back; should nobody say how it went, another may follow."""
        if self._is_probing:
            self._is_probing = False
            self._probe_at_s = now_s + FIRST_PAUSE_S

    def note_fault(
        self, kind: str, call: str, *, started_s: float, now_s: float
    ) -> None:
        """A fault of `call`: "loading" opens at once, "absent" and "down" are no call's own."""
        self._was_there = self._was_there or kind != "absent"
        self.failures += 1
        self._failing.add(call)
        self._clean = 0
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if self._is_open:
            # Those sent before it opened tell nothing about now.
            if started_s >= self._probe_started_s:
                self._pause(now_s)
        elif kind == "loading" or (
            self.failures >= CONSECUTIVE
            and (kind in ("absent", "down") or len(self._failing) > 1)
        ):
            self._is_open = True
            self.openings += 1
            self._pause(now_s)

    def note_answer(self, *, started_s: float) -> None:
        """A first piece, or a final answer that is no success: the server is there."""
        self._note_alive(started_s)

    def note_refused(self, *, started_s: float, now_s: float) -> None:
        """The server is there but refuses; for too long that is an outage as well."""
        self._was_there = True
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if now_s >= self._ends_s:
            self._is_open = True
            self._is_probing = False
            return
        self._note_alive(started_s)

    def note_success(self, *, started_s: float, now_s: float, allowed: int = 1) -> None:
        """The server answered; `allowed` is what the other rules let out."""
        self._note_alive(started_s)
        # A call sent before it opened does not close it, but ends the silence.
        self._failing_since_s = now_s if self._is_open else None
        if self._ramp is None or self._is_open:
            return
        self._clean += 1
        if self._clean >= self._ramp:
            self._clean = 0
            self._ramp = self._ramp * 2 if self._ramp * 2 < allowed else None

    def start_ramp(self, limit: int) -> None:
        """Resume at half of `limit`; called by the owner when the breaker closed."""
        self._ramp = max(1, limit // 2)
        self._clean = 0

    @property
    def _ends_s(self) -> float:
        if self._failing_since_s is None:
            return inf
        most_s = self._max_outage_s if self._was_there else self._max_absence_s
        return self._failing_since_s + most_s

    def _note_alive(self, started_s: float) -> None:
        self._was_there = True
        self.failures = 0
        self._failing.clear()
        if self._is_open and started_s >= self._probe_started_s:
            self._is_open = False
            self._is_probing = False
            self._pauses = 0
            self._probe_started_s = inf

    def _pause(self, now_s: float) -> None:
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**self._pauses)
        self._pauses += 1
        self._is_probing = False
        self._probe_at_s = now_s + pause_s
        self._probe_started_s = inf
