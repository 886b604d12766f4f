"""
What becomes of a run on servers that cannot stand what was asked for.

Calls in flight capped at 6, starts at 10 a second, 4 worked on at once while others
queue, long silence before each answer, refusals by chance, no limit at all; and two that
fail: one now and then in every way, one for a while in one way. In each, N is what a
hopeful user sets; what the server saw is in its own log.

    python -m tests.benchmarks.limits --only cap,rate --plot limits.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.limit_case import Case, Scale
from tests.benchmarks.limit_cases import CASES
from tests.benchmarks.limit_figures import Figure, in_flight_over_time
from tests.benchmarks.options import add_service, count, make_parser, seconds
from tests.benchmarks.plot import picture
from tests.benchmarks.printing import report, spread, table

HEADERS = ["", "measured", "runs", "wanted"]


def rows_of(figures: Sequence[Figure]) -> list[list[str]]:
    """One row a figure."""
    return [
        [
            f"{one.case}: {one.name}",
            spread(one.values, places=one.places),
            str(len(one.values)),
            one.target,
        ]
        for one in figures
    ]


def chosen(text: str) -> list[str]:
    """The type of --only: names of cases, with commas."""
    names = text.split(",")
    for name in names:
        if name not in CASES:
            message = f"no case {name!r}; there are {', '.join(CASES)}"
            raise argparse.ArgumentTypeError(message)
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and draw where asked."""
    parser = make_parser("limits", "Caps, rates, queues, faults and an outage.")
    add = parser.add_argument
    add("--only", type=chosen, default=",".join(CASES), metavar="CASE,CASE")
    add("--seeds", type=count, default=3, metavar="N", help="of the server")
    add("--outage-s", type=seconds, default=60.0, metavar="S", help="its length")
    add_service(parser, service_s=0.2)
    args = parser.parse_args(argv)
    scale = Scale(seeds=args.seeds, service_s=args.service_s, outage_s=args.outage_s)
    cases, figures = [], []
    for key in args.only:
        name, measure = CASES[key]
        cases.append(Case(name))
        figures += measure(cases[-1], scale)
    report(
        f"servers with limits; calls of about {args.service_s:g} s,"
        f" an outage of {args.outage_s:g} s",
        [table(HEADERS, rows_of(figures))],
    )
    if args.plot:
        draw(cases, args.plot)
    return 0


def draw(cases: Sequence[Case], path: Path) -> None:
    """Calls at the server over time, of the last run of each kind."""
    with picture(path, panels=len(cases)) as panels:
        for axes, case in zip(panels, cases, strict=True):
            for name, log in case.pictures.items():
                steps = in_flight_over_time(log)
                at_s, levels = [s for s, _ in steps], [n for _, n in steps]
                axes.step(at_s, levels, where="post", linewidth=0.8, label=name)
            axes.set(xlabel="s", ylabel="calls at the server", title=case.name)
            axes.legend()


if __name__ == "__main__":
    sys.exit(main())
