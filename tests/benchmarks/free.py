"""
A server without limits: the program's wall over that of a plain pool of threads.

The pool shares one client of the SDK and has as many threads as calls are allowed; both
make the same independent calls in the same order. Times scatter widely or less, and
answers are all as long or as long as their time. It measures no failures.

    python -m tests.benchmarks.free --max-concurrent 32,64,128
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from tests.benchmarks.callers import plain_client, run_calls, run_tasks
from tests.benchmarks.options import add_service, count, counts, make_parser
from tests.benchmarks.printing import report, say, spread, table
from tests.benchmarks.setting import Tuning, engine
from tests.loopback_llm import Lognormal, LoopbackLLM

SIGMAS = (0.5, 1.0)
ROUNDS = 4  # calls for each that is allowed at once
WORDS_A_S = 80.0
HEADERS = ["", "program over plain pool", "every seed at most 1.10", "median at most"]


def wall_s(run: Callable[[], object]) -> float:
    """Seconds that it takes."""
    since_s = time.monotonic()
    run()
    return time.monotonic() - since_s


def ratio(
    seed: int, in_flight: int, *, service_s: float, sigma: float, proportional: bool
) -> float:
    """One seed: the program beside the plain pool, each on a server of its own."""
    walls = []
    for is_program in (True, False):
        with LoopbackLLM(
            seed=seed,
            service=Lognormal(service_s, sigma),
            process=True,
            words_per_s=WORDS_A_S if proportional else None,
        ) as server:
            number = ROUNDS * in_flight
            if is_program:
                with engine(server.base_url, Tuning(max_in_flight=in_flight)) as made:
                    walls.append(wall_s(partial(run_tasks, made, number)))
            else:
                with plain_client(server.base_url, in_flight) as call:
                    run = partial(run_calls, call, number, in_flight=in_flight)
                    walls.append(wall_s(run))
    return walls[0] / walls[1]


def rows_of(levels: Sequence[int], *, seeds: int, service_s: float) -> list[list[str]]:
    """One row a level, a spread and a kind of answers."""
    rows = []
    for in_flight in levels:
        for sigma in SIGMAS:
            for proportional in (False, True):
                kind = "as long as its time" if proportional else "of one length"
                say(f"{in_flight} in flight, sigma {sigma}, answers {kind}")
                found = [
                    ratio(
                        seed,
                        in_flight,
                        service_s=service_s,
                        sigma=sigma,
                        proportional=proportional,
                    )
                    for seed in range(1, seeds + 1)
                ]
                name = f"{in_flight} in flight, sigma {sigma}, answers {kind}"
                rows.append(
                    [name, spread(found, places=3), f"{max(found):.3f}", "1.05"]
                )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = make_parser("free", "Wall beside a plain pool on a server without limits.")
    add = parser.add_argument
    add("--seeds", type=count, default=10, metavar="N", help="of the server")
    add("--max-concurrent", type=counts, default="32,64,128", metavar="N,N")
    add_service(parser, service_s=1.0)
    args = parser.parse_args(argv)
    rows = rows_of(args.max_concurrent, seeds=args.seeds, service_s=args.service_s)
    report(
        f"no limit at the server; {ROUNDS} independent calls for each that is allowed,"
        f" log-normal of {args.service_s:g} s, {args.seeds} seeds",
        [table(HEADERS, rows)],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
