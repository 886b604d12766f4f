"""
What waiting for rounds costs: the wall with auto votes over that with five fixed ones.

Five votes are more calls, but none waits for another; auto asks for fewer, in rounds.
Each contest is another field of drafts: one is settled at once, another stays open.

    python -m tests.benchmarks.rounds --candidates 10
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from tests.benchmarks.field import NOISES, answer_in
from tests.benchmarks.judging_contest import SPREAD
from tests.benchmarks.options import add_service, count, counts, make_parser
from tests.benchmarks.plot import draw_by_level
from tests.benchmarks.printing import report, say, spread, table
from tests.benchmarks.setting import Tuning
from tests.benchmarks.workload import Load, Trial, draft_and_judge, timed, warm_server
from tests.loopback_llm import Lognormal

SIGMA = 0.5
Ratios = tuple[float, float]  # walls, votes
Results = Mapping[tuple[int, float], Sequence[Ratios]]


def measure(
    candidates: int, levels: Sequence[int], *, contests: int, service_s: float
) -> Results:
    """Every level and noise on every contest; auto and five beside each other."""
    auto = Load(candidates=candidates, votes="auto")
    five = Load(candidates=candidates, votes=5)
    found: dict[tuple[int, float], list[Ratios]] = {
        (c, noise): [] for c in levels for noise in NOISES
    }
    service = Lognormal(service_s, SIGMA)
    for contest in range(1, contests + 1):
        say(f"contest {contest} of {contests}")
        for noise in NOISES:
            answer = answer_in(contest, noise=noise)
            with warm_server(seed=contest, service=service, answer=answer) as server:
                for c in levels:
                    tuning = Tuning(max_in_flight=c)
                    ours, theirs = (
                        timed(server, draft_and_judge, load=load, tuning=tuning)
                        for load in (auto, five)
                    )
                    found[c, noise].append(
                        (ours.wall_s / theirs.wall_s, _votes(ours) / _votes(theirs))
                    )
    return found


def rows_of(results: Results) -> list[list[str]]:
    """One row a level and noise."""
    return [
        [
            f"{c} in flight, votes scatter by {noise:g}",
            spread([wall for wall, _ in runs]),
            "1.00",
            f"{fmean(votes for _, votes in runs):.2f}",
        ]
        for (c, noise), runs in results.items()
    ]


HEADERS = ["", "wall, auto/5 votes", "at most", "votes, auto/5"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and draw where asked."""
    parser = make_parser("rounds", "Wall of auto votes over that of five fixed ones.")
    add = parser.add_argument
    add("--candidates", type=count, default=15, metavar="N", help="drafts")
    add("--contests", type=count, default=40, metavar="N", help="fields of drafts")
    add("--max-concurrent", type=counts, default="8,16", metavar="N,N")
    add_service(parser, service_s=0.1)
    args = parser.parse_args(argv)
    results = measure(
        args.candidates,
        args.max_concurrent,
        contests=args.contests,
        service_s=args.service_s,
    )
    report(
        f"{args.candidates} drafts whose quality scatters by {SPREAD}: write, extract, "
        f"score; log-normal calls of {args.service_s:g} s (sigma {SIGMA}), "
        f"{args.contests} contests; middle (least-most)",
        [table(HEADERS, rows_of(results))],
    )
    if args.plot:
        draw(results, args.plot)
    return 0


def draw(results: Results, path: Path) -> None:
    """Wall of auto over that of five by calls in flight, a line for each noise."""
    walls = {
        (c, f"votes scatter by {noise:g}"): median(wall for wall, _ in runs)
        for (c, noise), runs in results.items()
    }
    draw_by_level(walls, path, what="wall, auto / 5 votes")


def _votes(trial: Trial) -> int:
    return sum(score.votes for score in trial.result.scores)


if __name__ == "__main__":
    sys.exit(main())
