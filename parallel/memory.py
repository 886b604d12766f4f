"""
Fewer calls at once while the machine is short of memory.

It only looks and tells the limiter; calls under way are not ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from parallel.limiter import Limiter
from pipeline.settings import Settings

LOOK_EVERY_S = 1.0
_ENOUGH = 1.5  # times the floor, so that the limit does not flutter
_DEFAULT_SHARE, _DEFAULT_BYTES = 0.05, 256 * 1024**2


def memory_watch(
    limiter: Limiter,
    settings: Settings,
    *,
    say: Callable[[str], None],
    available: Callable[[], int] = lambda: int(psutil.virtual_memory().available),
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[], None]:
    """
    What halves the calls in flight each second in which memory is under the floor.

    To be called now and then by one thread. The floor is --min-free-memory, by default
    5 % of the machine's memory and at least 256 MB. `say` gets one line when that begins
    and one when it ends.
    """
    total = int(psutil.virtual_memory().total)
    stated = settings.min_free_bytes(total=total)
    least = stated or max(int(total * _DEFAULT_SHARE), _DEFAULT_BYTES)
    next_look_s, is_short = float("-inf"), False

    def look() -> None:
        nonlocal next_look_s, is_short
        now_s = clock()
        if now_s < next_look_s:
            return
        next_look_s = now_s + LOOK_EVERY_S
        left = available()
        if left < least:
            limiter.shrink_to(max(1, limiter.in_flight() // 2))
            if not is_short:
                say(
                    f"only {left / 1e6:,.0f} MB of memory are free, less than"
                    f" --min-free-memory {least // 1024**2}M: fewer calls at once"
                )
            is_short = True
        elif is_short and left >= _ENOUGH * least:
            is_short = False
            limiter.restore()
            say("memory is back: the number of calls at once grows again")

    return look
