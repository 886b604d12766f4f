"""
The command line: its flags and their help.

Only flags that were given are in the answer, so that a resumed run knows what the user
changed. What they make of a run is said in `given.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from pipeline.settings import AUTO, SCORING_MODES, Votes

_EXAMPLES = """examples:
  python post_generator.py --parallel --max-concurrent 8
      all six stages on the example topic; without a key, on the built-in model
  python post_generator.py --topic-file brief.md --context-file voice.md --parallel
      your article, five drafts
  python post_generator.py --topic-file brief.md --iterations 15 --parallel --dry-run
      what that would ask and cost
  python post_generator.py --resume outputs/2026-01-31/my-article
      finish a run that was stopped; no finished call is made again
"""


def parse(argv: Sequence[str] | None) -> dict[str, Any]:
    """The flags that were given; exits with 2 where argparse refuses one."""
    return vars(_parser().parse_args(argv))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _votes(text: str) -> Votes:
    if text == AUTO:
        return "auto"
    if not text.lstrip("+-").isdecimal():
        message = f"must be a number or auto, got {text}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


class _Parser(argparse.ArgumentParser):
    """One line for a wrong flag, as for every other wrong setting."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; --help lists the flags\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="post_generator.py",
        description="One good article out of many drafts: write N candidates, extract"
        " a card from each, have the cards judged, choose the best elements, write"
        " one article from them and check it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    _what_to_write(parser.add_argument_group("what to write"))
    _how_many_at_once(parser.add_argument_group("how many calls at once"))
    _which_model(parser.add_argument_group("which model"))
    _how_to_judge(parser.add_argument_group("judging and synthesis"))
    _when_calls_fail(parser.add_argument_group("when calls fail"))
    _what_is_left(parser.add_argument_group("what is left on disk"))
    _what_is_shown(parser.add_argument_group("what is shown"))
    return parser


def _what_to_write(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--topic-file", metavar="F", help="file with the brief (the example topic)")
    add("--topic", metavar="TEXT", help="the brief itself")
    add(
        "--context-file",
        metavar="F",
        action="append",
        help="brand voice, style guide, facts; may be given several times",
    )
    add(
        "--iterations",
        type=int,
        metavar="N",
        help="drafts to write (5 with synthesis, else 1)",
    )
    add("--candidates-only", action="store_true", help="stop when the drafts are there")
    add(
        "--candidates-dir",
        metavar="DIR",
        help="start from the Markdown files of a folder instead of writing drafts",
    )
    add(
        "--target-word-count",
        type=int,
        metavar="N",
        help="words of the article (the preset's own, else 1500; built-in model 220)",
    )


def _how_many_at_once(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--parallel",
        action="store_true",
        help="all stages concurrent, synthesis on (one call at a time, synthesis off)",
    )
    add(
        "--max-concurrent",
        type=int,
        metavar="N",
        help="calls in flight of the whole run (5)",
    )
    add(
        "--extract-concurrent",
        type=int,
        metavar="N",
        help="instead of that, for extractions",
    )
    add("--score-concurrent", type=int, metavar="N", help="instead of that, for votes")


def _which_model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--preset", metavar="NAME", help="a preset of models.yaml")
    add(
        "--candidate-presets",
        type=_names,
        metavar="A,B,C",
        help="presets that write the drafts, in turn (the main one)",
    )
    add("--list-models", action="store_true", help="show the presets and stop")
    add("--models-file", metavar="F", help="another models.yaml")
    add(
        "--allow-insecure",
        action="store_true",
        help="send a key over plain http to another machine (refused)",
    )
    add(
        "--temperature",
        type=float,
        metavar="T",
        help="of the writing, 0 to 2 (0.9 for drafts, 0.6 for the synthesis)",
    )
    add("--max-tokens", type=int, metavar="N", help="of one article (the server's own)")
    add(
        "--filter-think",
        action=argparse.BooleanOptionalAction,
        help="take thinking out of articles (on)",
    )


def _how_to_judge(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--enable-synthesis",
        action=argparse.BooleanOptionalAction,
        help="extract, score, select, synthesize, validate (on with --parallel)",
    )
    add(
        "--synthesis-votes",
        type=_votes,
        metavar="N|auto",
        help="votes on each card (3); auto: two, and more where the top is open",
    )
    add(
        "--judge-presets",
        type=_names,
        metavar="A,B,C",
        help="presets that judge, none of them a draft of its own family (the main one)",
    )
    add(
        "--gate",
        action=argparse.BooleanOptionalAction,
        help="compare the article with the best draft, deliver the better (on)",
    )
    add(
        "--synthesis-retries",
        type=int,
        metavar="N",
        help="further attempts at an article that does not pass (3)",
    )
    add(
        "--scoring-mode",
        choices=SCORING_MODES,
        help="votes on each card, each pair of cards compared, or votes and then pairs"
        " of the best four, for judges that compare more steadily than they score"
        " (absolute)",
    )
    add(
        "--seed",
        type=int,
        metavar="N",
        help="run seed: the same seed sends the same requests (0)",
    )


def _when_calls_fail(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--retry-count",
        type=int,
        metavar="N",
        help="further questions after an answer in the wrong form (3)",
    )
    add(
        "--retry-delay",
        type=float,
        metavar="S",
        help="base of the growing wait after a fault, seconds (1)",
    )
    add(
        "--timeout",
        type=float,
        metavar="S",
        help="deadline of one request, seconds (the preset's own, else 120)",
    )
    add(
        "--max-outage",
        type=float,
        metavar="S",
        help="longest outage of an endpoint to wait out, seconds (900)",
    )
    add(
        "--min-free-memory",
        metavar="SIZE",
        help="fewer calls at once below that, as 512M or 10%% (5%%, at least 256M)",
    )
    add(
        "--max-cost",
        type=float,
        metavar="X",
        help="start no further call when X dollars are spent; resumable",
    )


def _what_is_left(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--output", metavar="NAME", help="name of the run (the topic's first line)")
    add("--output-root", metavar="DIR", help="where run folders go (outputs)")
    add(
        "--resume",
        metavar="DIR",
        help="finish the run of that folder without repeating a finished call",
    )
    add(
        "--cleanup-old",
        type=int,
        metavar="DAYS",
        help="delete run folders older than that, after asking",
    )
    add("--yes", action="store_true", help="delete without asking")


def _what_is_shown(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--dry-run", action="store_true", help="show calls, tokens and cost, and stop")
    add("--verbose", action="store_true", help="a line for each item")
    add("--quiet", action="store_true", help="only results and errors")
