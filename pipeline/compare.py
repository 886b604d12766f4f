"""
The gate: is the finished article at least as good as the best draft?

One judge, who wrote neither where there is one, compares the two blind, in both orders,
twice each. Fusing drafts can lose what made the best of them good; nobody should get
that instead of the draft and not be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from pipeline.criteria import weighted
from pipeline.judging.comparison import TIE, WIN, Comparison, Verdict
from pipeline.judging.panel import Panel
from pipeline.judging.questions import Answers
from pipeline.judging.schemes import Judging
from pipeline.models.presets import Preset
from pipeline.prompts.templates import room_characters
from pipeline.records import ArticleCandidate, ArticleCard, ArticleId, Brief, Record

Shown = ArticleCard | ArticleCandidate
STAGE = "gate"
VOTES_AN_ORDER = 2
ROOM_CHARACTERS = 120_000  # of both articles, where the preset states no context
_SHARE_FOR_ARTICLES = 0.6
_SAME = 1e-6  # weights do not add up to the last digit


GateOutcome = Literal["article", "draft", "tie", "not decided", "not compared"]


class GateVote(Record):
    """One comparison of the article with the best draft: the article's points, 0 to 1."""

    first: Literal["article", "draft"]
    round: int
    article_points: float


class GateReport(Record):
    """What was compared with the article, by whom, and what came of it.

    `judge_wrote` names those of the two that the judge's own family wrote,
    `author_unknown` those of which nobody knows who wrote them; `compared` says whether
    the judge saw the texts or, for want of room, the cards.
    """

    draft: ArticleId
    judge: str
    judge_wrote: tuple[str, ...]
    author_unknown: tuple[str, ...]
    compared: Literal["articles", "cards"]
    votes: tuple[GateVote, ...]
    abstained: int
    outcome: GateOutcome

    @property
    def is_open(self) -> bool:
        """Whether the comparisons leave it to the scores."""
        return self.outcome in ("not decided", "not compared")


def lacks_room(article: str, draft: str, judge: Preset) -> bool:
    """Whether the judge has no room for two whole texts."""
    room = room_characters(
        judge.context, share=_SHARE_FOR_ARTICLES, otherwise=ROOM_CHARACTERS
    )
    return judge.is_short or len(article) + len(draft) > room


def comparisons_of(
    article: Shown, draft: Shown, judging: Judging, *, brief: Brief | None
) -> list[Comparison]:
    """The comparisons of the gate: both orders, two rounds, one judge.

    They are of cards without a `brief`, of whole articles with it.
    """
    judge = judging.panel.of_gate(article.article_id, draft.article_id)
    return [
        Comparison(
            first=a,
            second=b,
            round_number=number,
            brief=brief,
            stage=STAGE,
            judge=judge,
            criteria=judging.criteria,
        )
        for number in range(1, VOTES_AN_ORDER + 1)
        for a, b in ((article, draft), (draft, article))
    ]


def report_of(
    asked: Sequence[Comparison], answers: Answers, panel: Panel, *, judge: str
) -> GateReport:
    """What the comparisons say; the first of `asked` shows the article first."""
    article, draft = asked[0].ids
    votes = tuple(
        GateVote(
            first="article" if each.ids[0] == article else "draft",
            round=each.round_number,
            article_points=_of_article(each, answers[each.item], article),
        )
        for each in asked
        if each.item in answers
    )
    named = {"article": article, "draft": draft}
    return GateReport(
        draft=draft,
        judge=judge,
        judge_wrote=tuple(
            name for name, own in named.items() if panel.wrote(asked[0].judge, own)
        ),
        author_unknown=tuple(
            name for name, own in named.items() if not panel.authors.get(own)
        ),
        compared="cards" if asked[0].cards else "articles",
        votes=votes,
        abstained=len(asked) - len(votes),
        outcome=outcome_of(votes),
    )


def _of_article(comparison: Comparison, verdict: Verdict, article: int) -> float:
    points = weighted(verdict, comparison.criteria)
    return round(points if comparison.ids[0] == article else WIN - points, 3)


def outcome_of(votes: Sequence[GateVote]) -> GateOutcome:
    """Who is better, over both orders; one order alone, or two that disagree, is nothing.

    An order that ties leaves the word to the other; a tie in both is a true tie.
    """
    by_order: Mapping[str, list[float]] = {"article": [], "draft": []}
    for vote in votes:
        by_order[vote.first].append(vote.article_points)
    if not votes:
        return "not compared"
    if not all(by_order.values()):
        return "not decided"
    leads = [fmean(points) - TIE for points in by_order.values()]
    ahead = any(lead > _SAME for lead in leads)
    behind = any(lead < -_SAME for lead in leads)
    if ahead and behind:
        return "not decided"
    if ahead or behind:
        return "article" if ahead else "draft"
    return "tie"


def delivers_article(
    outcome: GateOutcome, article_score: float | None, draft_score: float | None
) -> bool:
    """Whether the article is delivered, and not the draft.

    A tie is the article's. Where the comparison did not decide, the mean absolute
    scores do; without them the draft, which nothing has put in doubt.
    """
    if outcome in ("article", "tie"):
        return True
    if outcome == "draft" or article_score is None or draft_score is None:
        return False
    return article_score >= draft_score
