"""
Which way of judging finds the best draft, for how many calls, and how sure it is of it.

A simulation: drafts of known quality, judges of known noise and bias, the program's own
arithmetic, no calls. It says nothing of how noisy a real judge is.

    python -m tests.benchmarks.judging --plot judging.png
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.judging_biases import SEVERITY, biases_table, middle_size
from tests.benchmarks.judging_contest import CRITERION_SHARE, SPREAD, TIE_BAND
from tests.benchmarks.judging_funnel import (
    CALLS,
    FUNNEL_VOTES,
    Sweep,
    funnel_tables,
    sweep,
)
from tests.benchmarks.judging_tables import (
    AUTO_OFTENER,
    COMPARISONS,
    POSITION,
    VOTES,
    Scale,
    auto_table,
    position_table,
    schemes_table,
    tokens_a_call,
    try_auto,
    try_schemes,
)
from tests.benchmarks.options import count, counts, make_parser, seconds
from tests.benchmarks.plot import picture
from tests.benchmarks.printing import report, say

QUICK_CONTESTS, QUICK_COMPARED_CARDS = 20, 20


def numbers(text: str) -> Sequence[float]:
    """Several of more than nothing, with commas: 0.5,1."""
    return sorted({seconds(part) for part in text.split(",")})


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = make_parser("judging", "Votes and comparisons by simulated judges.")
    add = parser.add_argument
    add("--contests", type=count, default=2000, metavar="N", help="of each kind")
    add("--seed", type=int, default=1, metavar="N", help="of all contests")
    add("--candidates", type=counts, default="5,10,15", metavar="N,N", help="drafts")
    add("--noise", type=numbers, default="0.5,1.0", metavar="X,X", help="of one vote")
    add("--quick", action="store_true", help=f"{QUICK_CONTESTS} contests of each kind")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, print, and draw where asked."""
    args = build_parser().parse_args(argv)
    scale = Scale(
        contests=args.contests,
        cards=args.candidates,
        noises=args.noise,
        seed=args.seed,
    )
    if args.quick:
        scale = replace(
            scale, contests=QUICK_CONTESTS, compared_cards=QUICK_COMPARED_CARDS
        )
    started_s = time.process_time()
    lines, sweeps = simulated(scale)
    taken_s = time.process_time() - started_s
    report(
        f"{scale.contests} contests of each kind, seed {scale.seed};"
        f" {taken_s:.0f} s of one core",
        lines,
    )
    if args.plot:
        draw(sweeps, args.plot)
    return 0


def simulated(scale: Scale) -> tuple[list[str], list[Sweep]]:
    """All tables, each under its title; and the sweep of funnels, for a picture."""
    say("schemes")
    tries = try_schemes(scale)
    say("auto")
    votes = try_auto(scale)
    say("first places")
    positions = position_table(scale)
    say("funnels")
    sweeps = list(sweep(scale))
    say("biases")
    biases = biases_table(scale)
    vote, comparison = (round(tokens_a_call(one)) for one in (VOTES, COMPARISONS))
    lines = [
        f"Drafts' true quality scatters by {SPREAD:g} on the scale of 1 to 10, votes on"
        " one draft by the noise.",
        "A comparison has that of two votes' difference times r (1 where nothing is"
        f" said), on each criterion {CRITERION_SHARE:g}",
        f"of it more, ties within {TIE_BAND:g}, and {POSITION:g} points for the draft"
        f" shown first. Tokens: {vote} a vote, {comparison} a comparison.",
        "± is one standard error.",
        "",
        "ALL SCHEMES. Intervals of comparisons are those of shares, of the first"
        f" contests with {scale.compared_cards} cards.",
        schemes_table(tries),
        "",
        f"AUTO beside five votes each, the same votes; % of {AUTO_OFTENER} times as many"
        " contests.",
        auto_table(votes),
        "",
        f"FIRST PLACE. Score of the card always first less the one always last, of"
        f" {min(scale.cards)} equals.",
        positions,
        "",
        "FUNNEL beside votes: % of contests with the best first, by how noisy comparing"
        " is.",
        *("\n\n".join(funnel_tables(sweeps)), ""),
        f"BIASES of half a point on {middle_size(scale)} drafts by three families,"
        f" judges' severities scattering by {SEVERITY:g}.",
        biases,
    ]
    return lines, sweeps


def draw(sweeps: Sequence[Sweep], path: Path) -> None:
    """The lead of the smaller funnel over votes at equal calls, a panel a field."""
    fields = sorted({one.cards for one in sweeps})
    with picture(path, panels=len(fields)) as panels:
        for axes, cards in zip(panels, fields, strict=True):
            for one in sweeps:
                if one.cards == cards and one.votes == FUNNEL_VOTES[0]:
                    leads = one.leads(CALLS)
                    axes.errorbar(
                        [r for r, _ in leads],
                        [100 * lead.value for _, lead in leads],
                        yerr=[100 * lead.error for _, lead in leads],
                        label=f"noise {one.noise:g}",
                    )
            axes.axhline(0.0, color="black", linewidth=0.8)
            axes.set(
                xlabel="noise of comparing, r",
                ylabel="lead over votes, % of contests",
                title=f"{cards} drafts",
            )
            axes.legend()


if __name__ == "__main__":
    sys.exit(main())
