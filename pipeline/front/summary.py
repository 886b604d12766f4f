"""
What a user reads at the end of a run: what was delivered, why, and how sure that is.

Where the run fell short comes first. Plain text, in which names and reasons stand as
they are: the front door prints it, and cleans what it prints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.compare import GateReport
from pipeline.front.report import counted, table
from pipeline.judging.panel import agreement, judge_lines
from pipeline.records import ArticleScore, FailedItem, HeadToHead
from pipeline.result import Result
from pipeline.settings import AUTO

MOST_ROWS = 10


def summary(result: Result, *, path: Path, article: Path | None) -> str:
    """The whole summary; `path` is the run's folder, `article` the file delivered."""
    lines = [f"NOTE: {note}" for note in result.notes]
    lines += _failures(result.job.failed())
    if article is None:
        drafts = counted(len(result.judged.candidates), "draft")
        return "\n".join([*lines, f"{drafts}: {path / 'candidates'}"])
    lines.append(f"{_kind(result)}: {article}")
    if result.runner_up is not None:
        kept = article.with_name(article.name.replace("_FINAL.md", "_RUNNER_UP.md"))
        lines.append(f"{_other(result)}: {kept}")
    lines += _scores(result)
    lines += _gate(result.gate)
    for block in (_ranking(result), _judges(result), _writers(result)):
        if block:
            lines += ["", *block]
    return "\n".join(lines)


def _kind(result: Result) -> str:
    if result.delivered == "synthesis":
        return "article"
    return "draft" if result.best_draft is None else "best draft"


def _other(result: Result) -> str:
    if result.delivered == "synthesis":
        return f"beside it, draft {result.best_draft}"
    return "beside it, the article made of all drafts"


def _scores(result: Result) -> list[str]:
    best = result.best_draft_votes or result.score_of_best_draft
    parts = []
    if result.final_score:
        parts.append(f"{_score(result.final_score)} of the article")
    if best:
        parts.append(f"{_score(best)} of draft {result.best_draft}")
    return [f"score: {', '.join(parts)}"] if parts else []


def _score(score: ArticleScore) -> str:
    between = _between(score.interval)
    votes = counted(score.votes, "vote")
    return f"{score.overall:.2f} ({between + ', ' if between else ''}{votes})"


def _between(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:.1f}-{interval[1]:.1f}" if interval else ""


_OUTCOMES = {
    "article": "the article is better",
    "draft": "draft {draft} is better",
    "tie": "a tie, so the article",
    "not decided": "not decided, the two orders contradict each other",
    "not compared": "no comparison could be had",
}


def _gate(gate: GateReport | None) -> list[str]:
    if gate is None:
        return []
    said = _OUTCOMES[gate.outcome].format(draft=gate.draft)
    orders = " in both orders"
    if gate.outcome == "not decided" and len({v.first for v in gate.votes}) == 1:
        said, orders = "not decided, only one order could be had", ""
    asked = counted(len(gate.votes), "comparison")
    return [
        f"compared with draft {gate.draft}: {said} ({asked} of the {gate.compared}"
        f"{orders} by {gate.judge}, {_independence(gate)})"
    ]


def _independence(gate: GateReport) -> str:
    """What the judge's family wrote of the two, as far as that is known."""
    unknown = " or ".join(f"the {one}" for one in gate.author_unknown)
    wrote = " and ".join(f"the {one}" for one in gate.judge_wrote)
    if unknown:
        said = f"whose family wrote {wrote}; " if wrote else ""
        return f"{said}who wrote {unknown} is not known"
    return f"whose family wrote {wrote or 'neither'}"


def _ranking(result: Result) -> list[str]:
    """The drafts, best first, with how sure their order is."""
    presets = {c.article_id: c.preset for c in result.judged.candidates}
    scores = sorted(
        result.judged.scores,
        key=lambda s: (s.rank or 0, -s.merit[0], -s.merit[1], s.article_id),
    )
    if len(scores) < 2:
        return []
    shared = Counter(score.rank for score in scores)
    measured = _MEASURED[result.job.judging.mode]
    rows = [["rank", "draft", "written by", *measured]]
    rows += [
        [
            f"{score.rank}{'=' if shared[score.rank] > 1 else ''}",
            str(score.article_id),
            presets.get(score.article_id, ""),
            *(show(score) for show in measured.values()),
        ]
        for score in scores[:MOST_ROWS]
    ]
    lines = table(rows, left=3).splitlines()
    if len(scores) > MOST_ROWS:
        lines.append(f"... {len(scores) - MOST_ROWS} more in the artifacts")
    if shared[1] > 1:
        first = [str(s.article_id) for s in scores if s.rank == 1]
        lines.append(f"too close to call: drafts {', '.join(first)}")
        judging = result.job.judging
        if judging.mode == "absolute" and judging.votes != AUTO:
            # It tells more for each call, by `tests/benchmarks/judging.py`.
            lines.append("--synthesis-votes auto asks more where it is open, else less")
    return lines


def _overall(found: ArticleScore | HeadToHead) -> str:
    return f"{found.overall:.2f}"


def _interval(found: ArticleScore | HeadToHead) -> str:
    return _between(found.interval) or "unknown"


def _counted(found: ArticleScore | HeadToHead) -> str:
    failed = f" ({found.abstained} failed)" if found.abstained else ""
    return f"{found.votes}{failed}"


def _compared(
    show: Callable[[ArticleScore | HeadToHead], str],
) -> Callable[[ArticleScore], str]:
    """As the draft did in comparisons, where it came so far."""
    return lambda score: show(score.compared) if score.compared else "-"


# The columns of the ranking. In a funnel comparisons decide, and stand on a scale of
# their own beside the votes that chose whom to compare.
_MEASURED: Mapping[str, Mapping[str, Callable[[ArticleScore], str]]] = {
    "absolute": {"score": _overall, "90 % interval": _interval, "votes": _counted},
    "pairwise": {
        "score": _overall,
        "90 % interval": _interval,
        "comparisons": _counted,
    },
    "funnel": {
        "score": _overall,
        "votes": _counted,
        "compared": _compared(_overall),
        "90 % interval": _compared(_interval),
        "comparisons": _compared(_counted),
    },
}


def _judges(result: Result) -> list[str]:
    """How the judges marked; a line where there is one."""
    lines = judge_lines(result.judged.scores)
    if not lines:
        return []
    rows = [["judge", "mean", "votes", "of the family that wrote"]]
    rows += [
        [
            line.judge,
            f"{line.mean:.2f}",
            str(line.votes),
            _drafts(line.own_family) or "none of them",
        ]
        for line in lines
    ]
    text = table(rows).splitlines()
    found = agreement(result.judged.scores)
    if found.of:
        share = f"{100 * found.alike / found.of:.0f} %"
        text.append(f"judges agree on the order of two drafts in {share} of {found.of}")
    return text


def _drafts(ids: Sequence[int]) -> str:
    if not ids:
        return ""
    return f"draft{'s' * (len(ids) > 1)} {', '.join(map(str, ids))}"


def _writers(result: Result) -> list[str]:
    """Which preset wrote the better drafts, and whose words the article has."""
    lines = result.writers()
    if not any(line.mean is not None for line in lines):
        return []
    rows = [["written by", "drafts", "mean score", "of the article's words"]]
    rows += [
        [
            line.preset,
            str(line.drafts),
            "none" if line.mean is None else f"{line.mean:.2f}",
            _percent(line.share),
        ]
        for line in lines
    ]
    if result.shares is not None:
        rows.append(["nobody before", "-", "-", _percent(result.shares.own)])
    return table(rows).splitlines()


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _failures(failed: Sequence[FailedItem]) -> list[str]:
    if not failed:
        return []
    them = "it" if len(failed) == 1 else "them"
    lines = [f"NOTE: {len(failed)} failed; the run went on without {them}:"]
    return lines + [f"  {item.item}: {item.reason}" for item in failed]
