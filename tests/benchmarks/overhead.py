"""
What a call costs this machine: CPU seconds and memory, beside a plain pool of threads.

The plain pool shares one client of the SDK and calls `create`; the program's client has
limiter, retry, journal and metrics on, and reads answers piece by piece. CPU per call is the slope between few and many
calls, so that starting up is left out. It measures no waiting.

    python -m tests.benchmarks.overhead --plot overhead.png
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from tests.benchmarks.callers import plain_client, run_calls, run_tasks, through_client
from tests.benchmarks.memory import Peak, peak_mb
from tests.benchmarks.options import count, make_parser
from tests.benchmarks.plot import picture
from tests.benchmarks.printing import report, say, spread, table
from tests.benchmarks.setting import Tuning, engine
from tests.loopback_llm import Fixed, LoopbackLLM

PLAIN = "plain pool, one shared client"
CLIENT = "ChatClient.complete, streamed"
WHOLE = "ChatClient.complete, not streamed"
TASKS = "streamed, through the scheduler"
MEMORY_TARGET = "1.50"
SLOW_S = 0.5
Run = Callable[[int], None]
Costs = Mapping[str, Sequence[float]]


@contextmanager
def runners(
    base_url: str, plain_url: str, in_flight: int
) -> Iterator[Mapping[str, Run]]:
    """What makes so many calls, by name; all clients are open meanwhile.

    The server at `plain_url` answers in one piece, whatever it is asked for.
    """
    tuning = Tuning(max_in_flight=in_flight)
    with ExitStack() as opened:
        plain = opened.enter_context(plain_client(plain_url, in_flight))
        client = opened.enter_context(through_client(base_url, tuning))
        whole = opened.enter_context(through_client(plain_url, tuning))
        made = opened.enter_context(engine(base_url, tuning))
        yield {
            PLAIN: partial(run_calls, plain, in_flight=in_flight),
            WHOLE: partial(run_calls, whole, in_flight=in_flight),
            CLIENT: partial(run_calls, client, in_flight=in_flight),
            TASKS: partial(run_tasks, made),
        }


def slope_ms(
    run: Run,
    *,
    few: int,
    many: int,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """CPU milliseconds of one call more, over all threads of this process."""
    before_s = clock()
    run(few)
    between_s = clock()
    run(many)
    more_s = (clock() - between_s) - (between_s - before_s)
    return 1000.0 * more_s / (many - few)


def cpu_costs(
    service_s: float, *, runs: int, many: int, in_flight: int, pieces: int
) -> Costs:
    """CPU milliseconds a call by way, the ways in turn beside each other."""
    found: dict[str, list[float]] = {}
    few = max(1, many // 10)
    service = Fixed(service_s)
    with (
        LoopbackLLM(service=service, process=True, pieces=pieces) as server,
        LoopbackLLM(service=service, process=True, streams="ignores") as whole,
        runners(server.base_url, whole.base_url, in_flight) as ways,
    ):
        for run in ways.values():
            run(few)
        for number in range(1, runs + 1):
            say(f"calls of {1000 * service_s:.0f} ms: run {number} of {runs}")
            for name, run in ways.items():
                found.setdefault(name, []).append(slope_ms(run, few=few, many=many))
    return found


def cost_rows(service_s: float, costs: Costs, *, pieces: int) -> list[list[str]]:
    """One row a way: what a call costs, and what is above a plain one."""
    rows = []
    for name, values in costs.items():
        above = [mine - plain for mine, plain in zip(values, costs[PLAIN], strict=True)]
        is_streamed = name in (CLIENT, TASKS)
        wanted = {PLAIN: ""}.get(name, f"{2.0 + 0.1 * pieces * is_streamed:.1f}")
        label = f"{1000 * service_s:.0f} ms, {name}"
        rows.append([label, spread(values, places=2), spread(above, places=2), wanted])
    return rows


def memory(in_flight: int) -> dict[str, Peak]:
    """Peaks by what was done; the work of each pair is the same."""
    say("memory")
    with LoopbackLLM(service=Fixed(0.3), process=True) as server:
        many = {
            "flow": peak_mb(server.base_url, "flow", in_flight=in_flight),
            "calls": peak_mb(server.base_url, "calls", in_flight=in_flight),
            "plain": peak_mb(server.base_url, "plain", in_flight=in_flight),
        }
    with LoopbackLLM(process=True) as server:
        return many | {"loops": peak_mb(server.base_url, "loops", in_flight=1)}


def memory_rows(peaks: Mapping[str, Peak]) -> list[list[str]]:
    """Megabytes of each, over the sequential run or the plain pool."""

    def row(what: str, name: str, *, beside: str, wanted: str) -> list[str]:
        mine, other = peaks[name], peaks[beside]
        share = mine.resident_mb / other.resident_mb
        told = f"{what}, {mine.in_flight} in flight"
        return [told, f"{mine.resident_mb:.1f}", f"{share:.2f}", wanted]

    return [
        row("320 calls of a run", "loops", beside="loops", wanted=""),
        row("320 calls of a run", "flow", beside="loops", wanted=MEMORY_TARGET),
        row(f"320 calls, {PLAIN}", "plain", beside="plain", wanted=""),
        row("320 calls, ChatClient.complete", "calls", beside="plain", wanted="-"),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and draw where asked."""
    parser = make_parser("overhead", "CPU and memory of a call, beside a plain pool.")
    add = parser.add_argument
    add("--calls", type=count, default=640, metavar="N", help="and a tenth of it")
    add("--runs", type=count, default=3, metavar="N", help="of each way")
    add("--in-flight", type=count, default=64, metavar="N", help="threads of the pools")
    add("--pieces", type=count, default=100, metavar="N", help="of a streamed answer")
    add("--no-memory", action="store_true", help="measure CPU only")
    args = parser.parse_args(argv)
    measured = {
        service_s: cpu_costs(
            service_s,
            runs=args.runs,
            many=args.calls,
            in_flight=args.in_flight,
            pieces=args.pieces,
        )
        for service_s in (0.0, SLOW_S)
    }
    rows = [
        row for pair in measured.items() for row in cost_rows(*pair, pieces=args.pieces)
    ]
    lines = [table(["", "CPU ms a call", "above plain", "at most"], rows)]
    if not args.no_memory:
        found = memory_rows(memory(args.in_flight))
        lines += ["", table(["", "peak MB", "ratio", "below"], found)]
    report(
        f"CPU of a call: slope between {args.calls // 10} and {args.calls} calls,"
        f" {args.in_flight} threads, {args.runs} runs, streamed in {args.pieces} pieces",
        lines,
    )
    if args.plot:
        draw(measured, args.plot)
    return 0


def draw(measured: Mapping[float, Costs], path: Path) -> None:
    """A bar for each way, a panel for each service time."""
    with picture(path, panels=len(measured)) as panels:
        for axes, (service_s, costs) in zip(panels, measured.items(), strict=True):
            axes.barh(list(costs), [median(values) for values in costs.values()])
            axes.invert_yaxis()
            axes.set(xlabel="CPU ms a call", title=f"calls of {1000 * service_s:g} ms")


if __name__ == "__main__":
    sys.exit(main())
