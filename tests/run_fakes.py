"""A whole run, one call at a time and in memory, and judges that answer as told."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from parallel.errors import ThreadSafeErrorCollector
from pipeline.front.summary import summary
from pipeline.generate import candidate_plans
from pipeline.job import Job
from pipeline.judging.schemes import Judging
from pipeline.records import FailedItem
from pipeline.result import Result
from pipeline.run import draft_and_judge, run_pipeline
from pipeline.work import Watch
from tests.stage_fakes import (
    BRIEF,
    Answer,
    Asked,
    Kept,
    Stand,
    stand,
    usual,
)

FOLDER = Path("run")


class Run:
    """One sequential run with everything in memory."""

    def __init__(self, answer: Answer = usual, **how: Any) -> None:
        self.stand: Stand = stand(answer, **how)
        self.kept = Kept()
        self.errors = ThreadSafeErrorCollector()

    def failed(self) -> list[FailedItem]:
        errors = self.errors.get_errors()
        return [FailedItem(item=str(e.item_id), reason=e.reason) for e in errors]

    def go(self, drafts: int = 3, *, mode: str = "absolute", **job: Any) -> Result:
        watch = Watch(
            on_failed=lambda _stage, name, error: self.errors.add_error(name, error),
            on_candidate=lambda c: self.kept.write_candidate(
                c.article_id, c.preset, c.text
            ),
        )
        wants = job.get("wants_synthesis", True) and not job.get("candidates_only")
        how = {name: job.pop(name) for name in ("panel", "votes") if name in job}
        judging = Judging(mode=mode, is_wanted=wants, **how)
        job.setdefault("plans", candidate_plans(BRIEF, iterations=drafts))
        return run_pipeline(
            Job(brief=BRIEF, judging=judging, failed=self.failed, **job),
            partial(
                draft_and_judge, judging=judging, client=self.stand.client, watch=watch
            ),
            outputs=self.kept,
            client=self.stand.client,
            watch=watch,
        )

    @property
    def artifacts(self) -> Any:
        return json.loads(self.kept.files["pipeline_artifacts"])

    def stages(self) -> list[str]:
        return [asked.stage for asked in self.stand.asked]


def scores_by_id(**marks: int) -> Callable[[Asked], Any]:
    """Every mark of a card is the number given for it, as c1=3; else 5."""

    def answer(asked: Asked) -> Any:
        if asked.stage != "score":
            return None
        mark = marks.get(f"c{asked.item_id}", 5)
        names = asked.body["response_format"]["json_schema"]["schema"]["required"]
        return {name: {"justification": "", "score": mark} for name in names}

    return answer


def gate_says(better: str) -> Callable[[Asked], Any]:
    """The better of article and draft, "tie", or "first": whichever stands first."""

    def answer(asked: Asked) -> Any:
        if asked.stage != "gate":
            return None
        first, second = map(int, asked.item_id.split("-"))
        shown = {"first": "A", "tie": "tie"}
        shown["article"] = "A" if first > second else "B"
        shown["draft"] = "B" if first > second else "A"
        names = asked.body["response_format"]["json_schema"]["schema"]["required"]
        return {name: {"reason": "", "winner": shown[better]} for name in names}

    return answer


def both(*answers: Callable[[Asked], Any]) -> Answer:
    """The first of the answers that is one."""

    def answer(asked: Asked) -> Any:
        return next((a for each in answers if (a := each(asked)) is not None), None)

    return answer


def summary_of(result: Result) -> str:
    """What the user reads of it."""
    return summary(result, path=FOLDER, article=FOLDER / "x_FINAL.md")
