"""
Numbers as a user reads them: what is planned, what was spent, which presets there are.

Plain text; it prints nothing, the front door does. The end of a run is `summary.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pipeline.errors import BudgetSpent
from pipeline.front.estimate import StageEstimate, total
from pipeline.llm.ledger import Ledger
from pipeline.metrics import MetricsSnapshot, StageMetrics
from pipeline.models.presets import Preset


def money(dollars: float | None) -> str:
    """Dollars, or 'unknown'; small sums keep their digits."""
    if dollars is None:
        return "unknown"
    return f"${dollars:.2f}" if dollars >= 1 or dollars == 0 else f"${dollars:.4f}"


def counted(count: int, noun: str) -> str:
    """The number with its noun: 1 call, 2 calls."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns as wide as they must be; the first `left` flush left, others right."""
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def estimate_table(rows: Sequence[StageEstimate], presets: Sequence[Preset]) -> str:
    """The planned calls and their models, as --dry-run shows them."""
    head = ["planned", "calls", "tokens in", "tokens out", "cost"]
    body = [
        [
            row.stage,
            calls_of(row),
            f"~{row.prompt_tokens:,}",
            f"~{row.completion_tokens:,}",
            money(row.cost),
        ]
        for row in [*rows, total(rows)]
    ]
    return f"{presets_table(presets)}\n\n{table([head, *body])}"


def estimate_line(rows: Sequence[StageEstimate], *, left_of_a_run: bool = False) -> str:
    """The planned calls in one line; of a resumed run those that are left."""
    whole = total(rows)
    if left_of_a_run and not whole.calls:
        return "planned: nothing is left to ask"
    tokens = whole.prompt_tokens + whole.completion_tokens
    calls = "1 call" if whole.calls == 1 else f"{calls_of(whole)} calls"
    is_bound = whole.least_calls < whole.calls
    cost = money(whole.cost)
    if is_bound and whole.cost is not None:
        cost = f"at most {cost}"
    about = "at most" if is_bound else "about"
    left = " left" if left_of_a_run else ""
    return f"planned: {calls}{left}, {about} {tokens:,} tokens, cost {cost}"


def calls_of(row: StageEstimate) -> str:
    """How many calls, or from how many to how many."""
    if row.least_calls == row.calls:
        return str(row.calls)
    return f"{row.least_calls} to {row.calls}"


def presets_table(presets: Sequence[Preset]) -> str:
    """The presets that may be asked for, as --list-models shows them."""
    head = ["preset", "model", "endpoint", "key", "price in/out per million", "by"]
    rows = [
        [
            preset.name,
            preset.model or "the only one",
            "this program" if preset.is_builtin else preset.base_url,
            preset.key_env or "-",
            "/".join(f"{dollars:g}" for dollars in preset.price.per_million)
            if preset.price
            else "unknown",
            preset.price_source,
        ]
        for preset in presets
    ]
    return table([head, *rows], left=4)


_MADE = {
    "generate": "draft",
    "extract": "card",
    "score": "vote",
    "select": "selection",
    "synthesize": "article",
    "validate": "check",
    "gate": "comparison",
}


@contextmanager
def saying_what_there_is(ledger: Ledger, place: str) -> Iterator[None]:
    """Let the end of the money also say how much it was, what it went into, and where
    that is; with the calls that were under way.
    """
    try:
        yield
    except BudgetSpent as error:
        there_is = f"{money(ledger.spent)} went into {made(ledger.answered)}"
        message = f"{error}; {there_is}, in {place}"
        raise BudgetSpent(message) from error


def made(answered: Mapping[str, int]) -> str:
    """What so many answers by stage are."""
    parts = [
        counted(answered[stage], noun)
        for stage, noun in _MADE.items()
        if answered.get(stage)
    ]
    return ", ".join(parts) or "no answer"


_LEAST_SPEEDUP = 0.95


def metrics_table(metrics: MetricsSnapshot, *, shares_cores: bool = False) -> str:
    """One row a stage and a sum: what was asked, what it took, what it cost.

    The speedup over one at a time takes it that a call would have been written as fast
    alone, and leaves out what it waited for its first piece; where calls share the cores
    of one machine it is an upper bound, shown as such.
    """
    head = ["stage", "calls", "cost", "retries", "tokens in", "tokens out"]
    head += ["call s", "wall s", "speedup"]
    rows = [
        _metrics_row(sums, bound="<" if shares_cores else "")
        for sums in (*metrics.stages.values(), metrics.total)
    ]
    return table([head, *rows])


def _metrics_row(stage: StageMetrics, *, bound: str) -> list[str]:
    about = "~" if stage.tokens_estimated else ""
    speedup = "-"  # also where calls waited for longer than they were answered
    if stage.speedup is not None and stage.speedup >= _LEAST_SPEEDUP:
        times = f"{stage.speedup:.1f}x"
        speedup = times if times == "1.0x" else f"{bound}{times}"
    return [
        stage.name,
        str(stage.calls),
        money(stage.known_cost),
        str(stage.retries),
        f"{about}{stage.prompt_tokens:,}",
        f"{about}{stage.completion_tokens:,}",
        f"{stage.call_seconds:.1f}",
        f"{stage.wall_seconds:.1f}",
        speedup,
    ]
