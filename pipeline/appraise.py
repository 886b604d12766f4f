"""
The finished article beside the best draft: scored, compared, and one of them chosen.

It is scored as the drafts were and compared by `article_gate.py`. What cannot be had (a
card, a vote, a comparison) is said and never guessed; what ends the run is let through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.article_gate import (
    Entrant,
    GateReport,
    delivers_article,
    duels,
    is_by_cards,
    report_of,
)
from pipeline.extract import extract_article_card
from pipeline.items import NOBODY, Watch, card_item, work_through
from pipeline.judging.auto import opening_votes
from pipeline.judging.ballots import Cast
from pipeline.judging.by_votes import combine_votes, score_beside
from pipeline.judging.schemes import votes_on
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCandidate, ArticleCard, ArticleScore
from pipeline.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Whom an appraisal asks, and who is told."""

    cast: Cast
    client: ChatClient
    watch: Watch = NOBODY


def appraise(result: Result, how: Asking) -> None:
    """Score the synthesis, compare it with the best draft, and settle what is delivered.

    Nothing is done when a draft is delivered already.
    """
    if result.delivered != "synthesis" or result.article is None:
        return
    appraisal = _Appraisal(result, how)
    if result.job.judging.mode != "pairwise":
        result.final_score = appraisal.score()
        if result.final_score is None:
            result.notes.append("the article could not be scored")
    if result.job.has_gate:
        result.gate = appraisal.compare()
        if result.gate.is_open and result.job.judging.mode == "pairwise":
            appraisal.score_both()
        _choose(result, result.gate)
    else:
        _note_lower_score(result)


class _Appraisal:
    """The article of one result, and what judges say of it."""

    def __init__(self, result: Result, how: Asking) -> None:
        self._result = result
        self._how = how
        self._judging = result.job.judging
        self._cards = {card.article_id: card for card in result.judged.cards}

    @cached_property
    def card(self) -> ArticleCard | None:
        """The card of the article, made when it is first asked for."""
        job, watch = self._result.job, self._how.watch
        item = card_item(job.article_id)
        if self._judging.mode == "pairwise":
            watch.on_more([item])
        final = ArticleCandidate(
            article_id=job.article_id,
            preset="final",
            model="",
            text=self._result.article or "",
        )
        found = work_through(
            [final],
            lambda each: extract_article_card(
                each, self._judging.retry_count, client=self._how.client
            ),
            item=lambda _each: item,
            watch=watch,
        )
        return found[0] if found else None

    def score(self) -> ArticleScore | None:
        """As many votes as the best draft was asked for, on the level of the drafts'."""
        if self.card is None:
            return None
        best = self._result.score_of_best_draft
        usual = opening_votes(self._judging.votes)
        asked = best.votes + best.abstained if best else usual
        return score_beside(
            self._votes(self.card, asked, foreseen=usual),
            self._result.judged.scores,
            self._judging.criteria,
            asked=asked,
        )

    def score_both(self) -> None:
        """Absolute votes on the two, where the drafts were only compared."""
        best = self._cards.get(self._result.best_draft or 0)
        if self.card is None or best is None:
            return
        judging = self._judging
        count, criteria = opening_votes(judging.votes), judging.criteria
        self._result.final_score, self._result.best_draft_votes = (
            combine_votes(self._votes(each, count), criteria, asked=count)
            for each in (self.card, best)
        )

    def compare(self) -> GateReport:
        """The gate's comparisons."""
        job, best = self._result.job, self._result.best_draft or 0
        article = Entrant(article_id=job.article_id, text=self._result.article or "")
        draft = Entrant(article_id=best, text=self._result.drafts[best])
        panel = self._judging.panel
        judge = self._how.client.preset(panel.of_gate(job.article_id, best).preset)
        if is_by_cards(article, draft, judge):
            article = replace(article, card=self.card)
            draft = replace(draft, card=self._cards.get(best))
        asked = duels(article, draft, panel, brief=job.brief)
        results = self._how.cast(asked)
        return report_of(
            asked, results, panel, criteria=self._judging.criteria, judge=judge.name
        )

    def _votes(
        self, card: ArticleCard, count: int, *, foreseen: int = 0
    ) -> list[ArticleScore]:
        ballots = votes_on(card, range(1, count + 1), self._judging.panel)
        self._how.watch.on_more([vote.item for vote in ballots[foreseen:]])
        results = self._how.cast(ballots)
        return [results[vote.item] for vote in ballots if vote.item in results]


def _choose(result: Result, gate: GateReport) -> None:
    """Deliver the better one, keep the other, and say where it was not clear."""
    final = result.final_score.overall if result.final_score else None
    best = result.absolute_score_of_best_draft
    takes_article = delivers_article(gate.outcome, final, best)
    best_draft = result.drafts[gate.draft]
    if gate.is_open:
        scores = () if final is None or best is None else (final, best)
        result.notes.append(_not_decided(gate, scores, takes_article=takes_article))
    elif not takes_article:
        result.notes.append(
            f"draft {gate.draft} is delivered as it is: compared with it in both"
            " orders, the article made of all drafts is the weaker one"
        )
    if takes_article:
        result.runner_up = best_draft
    else:
        result.delivered = "draft"
        result.runner_up, result.article = result.article, best_draft


def _not_decided(
    gate: GateReport, scores: Sequence[float], *, takes_article: bool
) -> str:
    why = (
        f"the comparison with draft {gate.draft} did not decide"
        if gate.outcome == "not decided"
        else f"the article could not be compared with draft {gate.draft}"
    )
    taken = "the article" if takes_article else f"draft {gate.draft}"
    if not scores:
        return f"{why}, and there are no scores to go by: {taken} is delivered"
    final, best = scores
    return (
        f"{why}: by mean score, {final:.2f} for the article against {best:.2f},"
        f" {taken} is delivered"
    )


def _note_lower_score(result: Result) -> None:
    best = result.absolute_score_of_best_draft
    if result.final_score and best is not None and result.final_score.overall < best:
        result.notes.append(
            f"the article scored below draft {result.best_draft}; read both"
        )
