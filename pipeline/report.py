"""
What a user reads at the start and at the end: plain text, nothing raw from a model.

It prints nothing; the front door does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.estimate import StageEstimate, total
from pipeline.llm.presets import Preset
from pipeline.metrics import MetricsSnapshot, StageMetrics
from pipeline.records import FailedItem
from pipeline.result import Result
from pipeline.text_safety import for_terminal


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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def estimate_table(rows: Sequence[StageEstimate]) -> str:
    """The planned calls, as --dry-run shows them."""
    head = ["planned", "calls", "tokens in", "tokens out", "cost"]
    body = [
        [
            row.stage,
            str(row.calls),
            f"~{row.prompt_tokens:,}",
            f"~{row.completion_tokens:,}",
            money(row.cost),
        ]
        for row in [*rows, total(rows)]
    ]
    return table([head, *body])


def estimate_line(rows: Sequence[StageEstimate]) -> str:
    """The planned calls in one line."""
    whole = total(rows)
    tokens = whole.prompt_tokens + whole.completion_tokens
    return (
        f"planned: {counted(whole.calls, 'call')}, about {tokens:,} tokens,"
        f" cost {money(whole.cost)}"
    )


def presets_table(presets: Sequence[Preset]) -> str:
    """The presets that may be asked for, as --list-models shows them."""
    head = ["preset", "model", "endpoint", "key", "price in/out per million"]
    rows = [
        [
            preset.name,
            preset.model or "the only one",
            "this program" if preset.is_builtin else preset.base_url,
            preset.key_env or "-",
            f"{preset.price.input:g}/{preset.price.output:g}"
            if preset.price
            else "unknown",
        ]
        for preset in presets
    ]
    return table([head, *rows], left=4)


def metrics_table(metrics: MetricsSnapshot, *, shares_cores: bool = False) -> str:
    """One row a stage and a sum: what was asked, what it took, what it cost.

    The speedup over one at a time takes it that a call would have taken as long alone;
    where calls share the cores of one machine it is an upper bound, shown as such.
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
    speedup = "-"
    if stage.wall_seconds:
        times = f"{stage.call_seconds / stage.wall_seconds:.1f}x"
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


def summary(result: Result, *, path: Path, article: Path | None) -> str:
    """What was delivered; where the run fell short comes first."""
    failed = result.job.failed()
    lines = [f"NOTE: {for_terminal(note)}" for note in result.notes]
    lines += _failures(failed)
    if article is not None:
        lines.append(f"{_kind(result)}: {article}")
        lines += _scores(result)
    else:
        drafts = counted(len(result.judged.candidates), "draft")
        lines.append(f"{drafts}: {path / 'candidates'}")
    return "\n".join(lines)


def _kind(result: Result) -> str:
    if result.delivered == "synthesis":
        return "article"
    return "draft" if result.best_draft is None else "best draft"


def _scores(result: Result) -> list[str]:
    best = result.best_draft_score
    if result.final_score is None:
        if best is None:
            return []
        return [f"score: {best:.2f} of 10 (draft {result.best_draft})"]
    final = result.final_score.overall
    against = "no score" if best is None else f"{best:.2f}"
    return [
        f"score: {final:.2f} of 10 from {counted(result.final_score.votes, 'vote')},"
        f" against {against} of the best draft ({result.best_draft})"
    ]


def _failures(failed: Sequence[FailedItem]) -> list[str]:
    if not failed:
        return []
    lines = [f"NOTE: {len(failed)} failed, without them the run went on:"]
    lines += [
        f"  {for_terminal(item.item)}: {for_terminal(item.reason)}" for item in failed
    ]
    return lines
