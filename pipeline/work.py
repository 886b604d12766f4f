"""
One item at a time, each failing for itself, and who is told.

The one place where the sequential path catches broadly; the scheduler of the parallel
path is its twin. What ends the whole run is let through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import ends_the_run
from pipeline.records import ArticleCandidate

T = TypeVar("T")
R = TypeVar("R")


def _tell_nobody(*_what: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Item:
    """What is worked on, as reports and progress name it."""

    stage: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told what becomes of the items of a run.

    `on_started(stage, item)`, `on_done(stage, item)`, `on_failed(stage, item, error)`;
    `on_more` gets the items of work that was not foreseen, before it begins, and
    `on_candidate` each draft as soon as it exists. In a parallel run all are called on
    one thread.
    """

    on_started: Callable[[str, str], None] = _tell_nobody
    on_done: Callable[[str, str], None] = _tell_nobody
    on_failed: Callable[[str, str, Exception], None] = _tell_nobody
    on_more: Callable[[Sequence[Item]], None] = _tell_nobody
    on_candidate: Callable[[ArticleCandidate], None] = _tell_nobody


NOBODY = Watch()


def work_through(
    inputs: Iterable[T],
    work: Callable[[T], R],
    *,
    item: Callable[[T], Item],
    watch: Watch = NOBODY,
) -> list[R]:
    """Results in the order of the inputs; a failed one is left out and reported."""
    results: list[R] = []
    for each in inputs:
        named = item(each)
        watch.on_started(named.stage, named.name)
        try:
            results.append(work(each))
        except Exception as error:
            if ends_the_run(error):
                raise
            watch.on_failed(named.stage, named.name, error)
        else:
            watch.on_done(named.stage, named.name)
    return results


def candidate_item(article_id: int) -> Item:
    """A draft to be written."""
    return Item("generate", f"candidate {article_id}")


def card_item(article_id: int) -> Item:
    """An extraction."""
    return Item("extract", f"card {article_id}")
