"""
The finished article beside the best draft: scored, compared, and one of them chosen.

It is scored as the drafts were and compared by `compare.py`. What cannot be had (a
card, a vote, a comparison) is said and never guessed; what ends the run is let through.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from pipeline.compare import (
    GateReport,
    comparisons_of,
    delivers_article,
    lacks_room,
    report_of,
)
from pipeline.extract import extract_article_card
from pipeline.judging.by_votes import mean_of, score_beside
from pipeline.judging.questions import AskAll
from pipeline.judging.vote import Marks
from pipeline.llm.client import ChatClient
from pipeline.records import ArticleCandidate, ArticleCard, ArticleScore
from pipeline.result import Result
from pipeline.work import NOBODY, Watch, card_item, work_through


def appraise(
    result: Result, *, ask: AskAll, client: ChatClient, watch: Watch = NOBODY
) -> None:
    """Score the synthesis, compare it with the best draft, and settle what is delivered.

    Nothing is done when a draft is delivered already.
    """
    if result.delivered != "synthesis" or result.article is None:
        return
    appraisal = _Appraisal(result, result.article, ask=ask, client=client, watch=watch)
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

    def __init__(
        self,
        result: Result,
        article: str,
        *,
        ask: AskAll,
        client: ChatClient,
        watch: Watch,
    ) -> None:
        self._result = result
        self._ask, self._client, self._watch = ask, client, watch
        self._judging = result.job.judging
        self._cards = {card.article_id: card for card in result.judged.cards}
        self._article = ArticleCandidate(
            article_id=result.job.article_id, preset="final", model="", text=article
        )

    @cached_property
    def card(self) -> ArticleCard | None:
        """The card of the article, made when it is first asked for."""
        item = card_item(self._article.article_id)
        if self._judging.mode == "pairwise":
            self._watch.on_more([item])
        found = work_through(
            [self._article],
            lambda each: extract_article_card(each, None, client=self._client),
            item=lambda _each: item,
            watch=self._watch,
        )
        return found[0] if found else None

    def score(self) -> ArticleScore | None:
        """As many votes as the best draft was asked for, on the level of the drafts'."""
        if self.card is None:
            return None
        best = self._result.score_of_best_draft
        usual = self._judging.opening_votes
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
        self._result.final_score = self._score_alone(self.card)
        self._result.best_draft_votes = self._score_alone(best)

    def _score_alone(self, card: ArticleCard) -> ArticleScore | None:
        count = self._judging.opening_votes
        votes = self._votes(card, count)
        return mean_of(votes, self._judging.criteria, asked=count) if votes else None

    def compare(self) -> GateReport:
        """The gate's comparisons."""
        job, judging = self._result.job, self._judging
        article, best = self._article, self._result.best_draft
        drafts = self._result.judged.candidates
        draft = next(each for each in drafts if each.article_id == best)
        asked = comparisons_of(article, draft, judging, brief=job.brief)
        judge = self._client.preset(asked[0].judge.preset)
        if lacks_room(article.text, draft.text, judge):
            of_article, of_draft = self.card, self._cards.get(draft.article_id)
            if of_article and of_draft:
                asked = comparisons_of(of_article, of_draft, judging, brief=None)
        answers = self._ask(asked)
        return report_of(asked, answers, judging.panel, judge=judge.name)

    def _votes(
        self, card: ArticleCard, count: int, *, foreseen: int = 0
    ) -> list[Marks]:
        votes = self._judging.votes_on(card, range(1, count + 1))
        self._watch.on_more([vote.item for vote in votes[foreseen:]])
        answers = self._ask(votes)
        return [answers[vote.item] for vote in votes if vote.item in answers]


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
