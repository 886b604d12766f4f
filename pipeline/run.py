"""
The order of the stages, and what is delivered when one of them cannot be done.

It is handed one callable, `draft_and_judge`, and does not know how many calls that
makes at once. Without a synthesis the best draft is delivered, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from pipeline.criteria import CRITERIA
from pipeline.elements import ranked
from pipeline.errors import LLMError, PipelineError, UnreadableReply, ends_the_run
from pipeline.fuse import fuse
from pipeline.items import NOBODY, Watch
from pipeline.job import Job
from pipeline.llm.client import ChatClient
from pipeline.pairwise import both_orders, scores_from_verdicts, verdicts_of
from pipeline.records import CandidatePlan, Judged
from pipeline.result import Result
from pipeline.select import STAGE as SELECT
from pipeline.select import select_elements
from pipeline.sources import Sources

DraftAndJudge = Callable[[Sequence[CandidatePlan]], Judged]


class Outputs(Protocol):
    """Where a run leaves what it made, each file whole and as soon as it exists."""

    def write_candidate(self, article_id: int, preset: str, text: str, /) -> object:
        """Keep one draft."""

    def write_article(self, text: str, /) -> object:
        """Keep the article."""

    def write_json(
        self, kind: Literal["validation", "pipeline_artifacts"], data: Any, /
    ) -> object:
        """Keep one document."""


def run_pipeline(
    job: Job,
    draft_and_judge: DraftAndJudge,
    *,
    outputs: Outputs,
    client: ChatClient,
    watch: Watch = NOBODY,
) -> Result:
    """All stages; the artifacts are written after each.

    Raises PipelineError when there is not one draft, and whatever ends the run.
    """
    for plan in job.plans:
        if plan.text:
            outputs.write_candidate(plan.article_id, plan.preset or "file", plan.text)
    result = Result(job=job, judged=draft_and_judge(job.plans))
    if not result.judged.candidates:
        reasons = job.failed()
        message = "no draft could be written" + (
            f": {reasons[0].reason}" if reasons else ""
        )
        raise PipelineError(message)
    outputs.write_json("pipeline_artifacts", result.artifacts())
    if job.wants_synthesis and not job.candidates_only:
        _note_best_draft(result)
        _synthesize(result, outputs, client=client, watch=watch)
        _appraise(result, draft_and_judge, client=client, watch=watch)
    elif len(result.judged.candidates) == 1 and not job.candidates_only:
        _deliver_draft(result)
    if result.article is not None:
        outputs.write_article(result.article)
    if result.fused is not None:
        outputs.write_json("validation", result.verdict())
    outputs.write_json("pipeline_artifacts", result.artifacts())
    return result


def _note_best_draft(result: Result) -> None:
    """The draft with the highest score, else the first with a card, else the first."""
    order = ranked(result.judged.cards, result.judged.scores)
    if order:
        card, score = order[0]
        result.best_draft = card.article_id
        result.best_draft_score = score.overall if score else None
    else:
        result.best_draft = result.judged.candidates[0].article_id


def _synthesize(
    result: Result, outputs: Outputs, *, client: ChatClient, watch: Watch
) -> None:
    if len(result.judged.cards) < 2:
        found = "one card" if result.judged.cards else "no card"
        _deliver_draft(result, because=f"there is {found} and it takes two to choose")
        return
    brief, judged = result.job.brief, result.judged
    watch.on_started(SELECT, SELECT)
    try:
        result.blueprint = select_elements(
            brief, judged.cards, judged.scores, client=client
        )
        watch.on_done(SELECT, SELECT)
        outputs.write_json("pipeline_artifacts", result.artifacts())
        result.fused = fuse(
            result.blueprint,
            Sources(
                brief=brief, drafts={c.article_id: c.text for c in judged.candidates}
            ),
            retries=result.job.synthesis_retries,
            on_article=outputs.write_article,
            client=client,
            watch=watch,
        )
    except (LLMError, UnreadableReply) as error:
        if ends_the_run(error):
            raise
        stage = "synthesize" if result.blueprint else SELECT
        watch.on_failed(stage, stage, error)
        _deliver_draft(result, because=f"{stage} failed ({error})")
        return
    result.delivered = "synthesis"
    result.article = result.fused.article
    if not result.fused.validation.passed:
        result.notes.append(
            "the article did not pass validation; the best attempt is delivered"
        )


def _deliver_draft(result: Result, *, because: str = "") -> None:
    drafts = {c.article_id: c for c in result.judged.candidates}
    best = result.best_draft or next(iter(drafts))
    result.delivered = "draft"
    result.article = drafts[best].text
    if because:
        result.notes.append(f"draft {best} is delivered as it is: {because}")


def _appraise(
    result: Result,
    draft_and_judge: DraftAndJudge,
    *,
    client: ChatClient,
    watch: Watch,
) -> None:
    """Judge the synthesis as the drafts were judged; a failure leaves it unjudged."""
    if result.delivered != "synthesis" or result.article is None:
        return
    own_id = max(plan.article_id for plan in result.job.plans) + 1
    plan = CandidatePlan(
        article_id=own_id,
        brief=result.job.brief,
        preset="final",
        text=result.article,
    )
    judged = draft_and_judge([plan])
    scores = judged.scores
    if result.job.scoring_mode == "pairwise" and judged.cards:
        best = next(c for c in result.judged.cards if c.article_id == result.best_draft)
        pair = [best, judged.cards[0]]
        verdicts = verdicts_of(both_orders(*pair), CRITERIA, client=client, watch=watch)
        scores = scores_from_verdicts(pair, verdicts, CRITERIA)
        result.best_draft_score = next(
            (s.overall for s in scores if s.article_id == best.article_id), None
        )
    result.final_score = next((s for s in scores if s.article_id == own_id), None)
    if result.final_score is None:
        result.notes.append("the article could not be scored")
    elif result.final_score.overall < (result.best_draft_score or 0.0):
        result.notes.append(
            f"the article scored below draft {result.best_draft}; read both"
        )
