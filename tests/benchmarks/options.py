"""
The flags that all benchmarks share.

It measures nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tests.benchmarks.plot import picture_file


def make_parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with the flags of every benchmark; help shows the defaults."""
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.benchmarks.{name}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--plot", type=picture_file, metavar="FILE.png", help="also draw it"
    )
    return parser


def add_work(
    parser: argparse.ArgumentParser, *, seeds: int, service_s: float = 0.2
) -> None:
    """Flags that say how much work there is, and how long a call takes."""
    add = parser.add_argument
    add("--candidates", type=count, default=15, metavar="N", help="drafts")
    add("--votes", type=count, default=3, metavar="N", help="votes on each card")
    add("--seeds", type=count, default=seeds, metavar="N", help="of the server")
    add_service(parser, service_s=service_s)


def add_service(parser: argparse.ArgumentParser, *, service_s: float) -> None:
    """The flag that scales all service times."""
    parser.add_argument(
        "--service-s",
        type=seconds,
        default=service_s,
        metavar="S",
        help="median service time of a call",
    )


def count(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        message = f"must be at least 1, got {number}"
        raise argparse.ArgumentTypeError(message)
    return number


def counts(text: str) -> Sequence[int]:
    """Several of them, with commas: 1,5,8."""
    return sorted({count(part) for part in text.split(",")})


def seconds(text: str) -> float:
    """A time of more than nothing."""
    number = float(text)
    if not 0 < number < float("inf"):
        message = f"must be more than 0, got {text}"
        raise argparse.ArgumentTypeError(message)
    return number
