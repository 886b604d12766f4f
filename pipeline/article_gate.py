"""
The gate: is the finished article at least as good as the best draft?

One judge, who wrote neither where there is one, compares the two blind, in both orders,
twice each. Fusing drafts can lose what made the best of them good; nobody should get
that instead of the draft and not be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from pipeline.blocks import article_block, brief_block
from pipeline.criteria import Criterion, rubric
from pipeline.items import Item
from pipeline.judging.ballots import Results
from pipeline.judging.by_comparisons import points_of
from pipeline.judging.pairwise import (
    TIE,
    WIN,
    Pair,
    Verdict,
    card_verdict,
    full_verdict,
    question_of,
)
from pipeline.judging.panel import Panel
from pipeline.llm.client import ChatClient
from pipeline.llm.defaults import client_or_default
from pipeline.llm.presets import Preset
from pipeline.prompting import fill, room_characters
from pipeline.records import ArticleCard, ArticleId, Brief, Record

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """One of the two that are compared; by their cards where both have one."""

    article_id: int
    text: str
    card: ArticleCard | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel(Pair[Entrant]):
    """The question which of two articles for one brief is better."""

    brief: Brief

    @property
    def item(self) -> Item:
        """Its name in reports."""
        first, second, round_number = self.place
        return Item(STAGE, f"comparison {round_number} of {first} and {second}")

    @property
    def is_by_cards(self) -> bool:
        """Whether the judge sees the cards of both, and not the texts."""
        return self.first.card is not None and self.second.card is not None

    def ask(
        self, criteria: Sequence[Criterion], *, client: ChatClient | None = None
    ) -> Verdict:
        """The points of the first, by criterion; raises when there is no answer."""
        client = client_or_default(client)
        question = question_of(self.place, self.judge, stage=STAGE)
        if self.first.card and self.second.card:
            cards = (self.first.card, self.second.card)
            return card_verdict(cards, criteria, question, client=client)
        values = {
            "brief": brief_block(self.brief),
            "rubric": rubric(criteria),
            "article_a": article_block(self.first.text),
            "article_b": article_block(self.second.text),
        }
        messages = fill(STAGE, values, short=False)
        return full_verdict(messages, criteria, question, client=client)


def is_by_cards(article: Entrant, draft: Entrant, judge: Preset) -> bool:
    """Whether the judge has no room for two whole texts."""
    room = room_characters(
        judge.context, share=_SHARE_FOR_ARTICLES, otherwise=ROOM_CHARACTERS
    )
    return judge.is_short or len(article.text) + len(draft.text) > room


def duels(
    article: Entrant, draft: Entrant, panel: Panel, *, brief: Brief
) -> list[Duel]:
    """The comparisons of the gate: both orders, two votes each, one judge."""
    judge = panel.of_gate(article.article_id, draft.article_id)
    return [
        Duel(first=a, second=b, brief=brief, round_number=number, judge=judge)
        for number in range(1, VOTES_AN_ORDER + 1)
        for a, b in ((article, draft), (draft, article))
    ]


def report_of(
    asked: Sequence[Duel],
    results: Results,
    panel: Panel,
    *,
    criteria: Sequence[Criterion],
    judge: str,
) -> GateReport:
    """What the comparisons say; the first of `asked` shows the article first."""
    article, draft = asked[0].first.article_id, asked[0].second.article_id
    votes = tuple(
        GateVote(
            first="article" if duel.first.article_id == article else "draft",
            round=duel.round_number,
            article_points=round(
                _of_article(points_of(results[duel.item], criteria), duel, article), 3
            ),
        )
        for duel in asked
        if duel.item in results
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
        compared="cards" if asked[0].is_by_cards else "articles",
        votes=votes,
        abstained=len(asked) - len(votes),
        outcome=outcome_of(votes),
    )


def _of_article(points: float, duel: Duel, article: int) -> float:
    return points if duel.first.article_id == article else WIN - points


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
