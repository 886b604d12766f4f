"""
The order of the stages, and what is delivered when one of them cannot be done.

It is handed two callables, `draft_and_judge` and `ask`, and does not know how many
calls they make at once; those of one at a time are here, plain loops, the reference that
the parallel flow must equal. Without a synthesis the best draft is delivered, and the
result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol

from pipeline.delivery import appraise
from pipeline.errors import LLMError, PipelineError, UnreadableReply, ends_the_run
from pipeline.extract import extract_all_article_cards
from pipeline.generate import write_all_candidates
from pipeline.grounding.sources import Sources
from pipeline.job import Job
from pipeline.judging.questions import AskAll, ask_one_by_one
from pipeline.judging.schemes import Judging
from pipeline.llm.client import ChatClient
from pipeline.llm.prompts_read import LARGER_CONTEXT
from pipeline.prompts.documents import ranked
from pipeline.records import CandidatePlan, Judged
from pipeline.result import Result
from pipeline.score import judge_all_cards
from pipeline.select import STAGE as SELECT
from pipeline.select import select_elements
from pipeline.synthesize import fuse
from pipeline.work import NOBODY, Watch

DraftAndJudge = Callable[[Sequence[CandidatePlan]], Judged]


class Outputs(Protocol):
    """Where a run leaves what it made, each file whole and as soon as it exists."""

    def write_candidate(self, article_id: int, preset: str, text: str, /) -> object:
        """Keep one draft."""

    def write_article(self, text: str, /) -> object:
        """Keep the article."""

    def write_runner_up(self, text: str, /) -> object:
        """Keep what was compared with the article and not delivered."""

    def write_json(
        self,
        kind: Literal["validation", "provenance", "pipeline_artifacts"],
        data: Any,
        /,
    ) -> object:
        """Keep one document."""


def run_pipeline(
    job: Job,
    draft_and_judge: DraftAndJudge,
    *,
    outputs: Outputs,
    client: ChatClient,
    ask: AskAll | None = None,
    watch: Watch = NOBODY,
) -> Result:
    """All stages; the artifacts are written after each.

    `ask` puts the questions on the finished article; None puts them one at a time.
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
        _note_own_family(result)
        _note_best_draft(result)
        _synthesize(result, outputs, client=client, watch=watch)
        if ask is None:
            ask = partial(ask_one_by_one, client=client, watch=watch)
        appraise(result, ask=ask, client=client, watch=watch)
        _note_not_passed(result)
        result.note_shares()
    elif len(result.judged.candidates) == 1 and not job.candidates_only:
        _deliver_draft(result)
    _note_lost(result, client.lost())
    _note_cut_prompts(result, client.cut_prompts())
    _write(result, outputs)
    return result


def _write(result: Result, outputs: Outputs) -> None:
    # The runner-up first: the article on disk may be what it is about to be.
    if result.runner_up is not None:
        outputs.write_runner_up(result.runner_up)
    if result.article is not None:
        outputs.write_article(result.article)
    if result.fused is not None:
        outputs.write_json("validation", result.verdict())
        outputs.write_json("provenance", result.provenance())
    outputs.write_json("pipeline_artifacts", result.artifacts())


def _note_lost(result: Result, lost: Mapping[str, str]) -> None:
    """Endpoints that ended before the run did, and who did their work."""
    planned = {plan.article_id: plan.preset for plan in result.job.plans}
    for preset, reason in sorted(lost.items(), reverse=True):
        moved = [
            each
            for each in result.judged.candidates
            if planned[each.article_id] == preset != each.preset
        ]
        note = f"preset {preset} is out of use ({reason}): votes of it are missing"
        if moved:
            numbers = ", ".join(str(each.article_id) for each in moved)
            note += f", and {moved[0].preset} wrote its drafts ({numbers})"
        result.notes.insert(0, note)


def _note_cut_prompts(result: Result, cut: Mapping[str, int]) -> None:
    """Endpoints that did not read all that they were asked."""
    for preset, tokens in sorted(cut.items()):
        note = (
            f"preset {preset} read only the last {tokens} tokens of longer prompts: what"
            f" it wrote and judged, it did not see whole; {LARGER_CONTEXT}, or state"
            " `context` in models.yaml"
        )
        result.notes.insert(0, note)


def _note_own_family(result: Result) -> None:
    """Where the user asked for other judges and there was none."""
    own = [str(score.article_id) for score in result.judged.scores if score.own_family]
    if own and result.job.has_named_judges:
        drafts = (
            f"draft {own[0]} was" if len(own) == 1 else f"drafts {', '.join(own)} were"
        )
        result.notes.append(
            f"{drafts} judged by their own family: no other judge of --judge-presets"
            " was left"
        )


def _note_best_draft(result: Result) -> None:
    """The draft with the highest score, else the first with a card, else the first."""
    order = ranked(result.judged.cards, result.judged.scores)
    if order:
        result.best_draft = order[0][0].article_id
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
            Sources(brief=brief, drafts=result.drafts),
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


def _note_not_passed(result: Result) -> None:
    fused = result.fused if result.delivered == "synthesis" else None
    if fused and not fused.validation.passed:
        note = "the article did not pass validation; the best attempt is delivered"
        result.notes.insert(0, note)


def _deliver_draft(result: Result, *, because: str = "") -> None:
    best = result.best_draft or result.judged.candidates[0].article_id
    result.delivered = "draft"
    result.article = result.drafts[best]
    if because:
        result.notes.append(f"draft {best} is delivered as it is: {because}")


def draft_and_judge(
    plans: Sequence[CandidatePlan],
    *,
    judging: Judging,
    client: ChatClient,
    watch: Watch = NOBODY,
) -> Judged:
    """Candidates, cards and scores in id order; failed items are left out."""
    candidates = write_all_candidates(plans, client=client, watch=watch)
    for written in candidates:
        judging.panel.note_author(written.article_id, written.preset)
    if not judging.is_wanted:
        return Judged(candidates, [], [])
    cards = extract_all_article_cards(candidates, None, client=client, watch=watch)
    scores = judge_all_cards(cards, judging, client=client, watch=watch)
    return Judged(candidates, cards, scores)
