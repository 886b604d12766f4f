"""The gate between article and best draft: who is asked, and what the answers say."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compare import (
    ROOM_CHARACTERS,
    GateOutcome,
    GateReport,
    GateVote,
    comparisons_of,
    delivers_article,
    lacks_room,
    outcome_of,
    report_of,
)
from pipeline.judging.comparison import Comparison
from pipeline.judging.panel import Judge, Panel
from pipeline.judging.schemes import Judging
from pipeline.models.presets import Preset
from tests.judging_fakes import NAME, ONE, judges_of, panel_of_letters
from tests.stage_fakes import (
    BRIEF,
    CRITERIA_NAMES,
    FULL,
    SHORT,
    candidate,
    card,
    stand,
)

ARTICLE = candidate(4, "The article.")
DRAFT = candidate(2, "The draft.")
POINTS = st.sampled_from([0.0, 0.35, 0.5, 0.75, 1.0])
VOTES = st.lists(
    st.builds(
        GateVote,
        first=st.sampled_from(["article", "draft"]),
        round=st.integers(1, 2),
        article_points=POINTS,
    ),
    max_size=4,
)
# What the article won on average where it stood first, and where it stood second.
WIN, TIE, LOSS = 1.0, 0.5, 0.0
OF_TWO_ORDERS: dict[tuple[float, float], GateOutcome] = {
    (WIN, WIN): "article",
    (WIN, TIE): "article",
    (TIE, WIN): "article",
    (TIE, TIE): "tie",
    (LOSS, LOSS): "draft",
    (LOSS, TIE): "draft",
    (TIE, LOSS): "draft",
    (WIN, LOSS): "not decided",
    (LOSS, WIN): "not decided",
}
TURNED: dict[str, Any] = {"article": "draft", "draft": "article"}


def votes_of(first: Sequence[float], second: Sequence[float]) -> list[GateVote]:
    """The article's points where it stood first, and where it stood second."""
    orders: dict[Literal["article", "draft"], Sequence[float]] = {
        "article": first,
        "draft": second,
    }
    return [
        GateVote(first=name, round=number, article_points=points)
        for name, of_order in orders.items()
        for number, points in enumerate(of_order, start=1)
    ]


@pytest.mark.parametrize(("first", "second"), list(product([WIN, TIE, LOSS], repeat=2)))
def test_both_orders_together_decide(first: float, second: float) -> None:
    outcome = OF_TWO_ORDERS[first, second]
    assert outcome_of(votes_of([first] * 2, [second] * 2)) == outcome
    # By the mean of an order, however its votes came.
    scattered = votes_of([first - 0.3, first + 0.3], [second + 0.2, second - 0.2])
    assert outcome_of(scattered) == outcome


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ([], [], "not compared"),
        ([WIN, WIN], [], "not decided"),
        ([], [LOSS], "not decided"),
        ([WIN], [WIN], "article"),
        ([WIN, LOSS], [LOSS, WIN], "tie"),
        ([0.5 + 1e-9], [0.5 - 1e-9], "tie"),  # the last digit of weights
        ([0.501], [0.5], "article"),
    ],
)
def test_what_is_missing_or_next_to_nothing_decides_nothing(
    first: list[float], second: list[float], outcome: str
) -> None:
    assert outcome_of(votes_of(first, second)) == outcome


@given(VOTES)
def test_swapping_article_and_draft_swaps_the_outcome(votes: list[GateVote]) -> None:
    swapped = [
        GateVote(
            first=TURNED[vote.first],
            round=vote.round,
            article_points=1 - vote.article_points,
        )
        for vote in votes
    ]
    outcome = outcome_of(votes)
    assert outcome_of(swapped) == TURNED.get(outcome, outcome)


@given(VOTES, st.randoms())
def test_the_order_in_which_votes_came_changes_nothing(
    votes: list[GateVote], rng: Any
) -> None:
    assert outcome_of(rng.sample(votes, len(votes))) == outcome_of(votes)


SCORES = st.none() | st.floats(1.0, 10.0)


@given(st.sampled_from(["article", "tie", "draft"]), SCORES, SCORES)
def test_where_the_comparison_decided_scores_say_nothing(
    outcome: GateOutcome, of_article: float | None, of_draft: float | None
) -> None:
    takes_article = outcome in ("article", "tie")
    assert delivers_article(outcome, of_article, of_draft) is takes_article


@pytest.mark.parametrize("outcome", ["not decided", "not compared"])
@pytest.mark.parametrize(
    ("of_article", "of_draft", "takes_article"),
    [
        (6.01, 6.0, True),
        (6.0, 6.0, True),
        (5.99, 6.0, False),
        (None, 6.0, False),
        (9.0, None, False),
        (None, None, False),
    ],
)
def test_where_it_did_not_decide_the_scores_do_and_without_them_the_draft(
    outcome: GateOutcome,
    of_article: float | None,
    of_draft: float | None,
    takes_article: bool,
) -> None:
    assert delivers_article(outcome, of_article, of_draft) is takes_article


@pytest.mark.parametrize(
    ("context", "characters", "by_cards"),
    [
        (None, ROOM_CHARACTERS, False),
        (None, ROOM_CHARACTERS + 1, True),
        (10_000, 18_000, False),  # three characters a token, six tenths of the room
        (10_000, 18_001, True),
        (8192, 1, True),  # asked the short way whatever there is to read
    ],
)
def test_a_judge_without_room_for_both_texts_compares_cards(
    context: int | None, characters: int, by_cards: bool
) -> None:
    judge = replace(FULL, context=context)
    half = characters // 2
    article, draft = "x" * half, "x" * (characters - half)
    assert lacks_room(article, draft, judge) is by_cards


def test_both_orders_are_asked_twice_of_one_judge_each_under_its_own_name() -> None:
    judging = Judging(panel=panel_of_letters("abc", "-a-b"), criteria=ONE)
    asked = comparisons_of(ARTICLE, DRAFT, judging, brief=BRIEF)
    assert [each.order for each in asked] == [
        (4, 2, 1),
        (2, 4, 1),
        (4, 2, 2),
        (2, 4, 2),
    ]
    assert {each.judge.preset for each in asked} == {"c"}
    assert {each.criteria for each in asked} == {ONE}
    assert [each.item.name for each in asked] == [
        "comparison 1 of 4 and 2",
        "comparison 1 of 2 and 4",
        "comparison 2 of 4 and 2",
        "comparison 2 of 2 and 4",
    ]
    assert {each.item.stage for each in asked} == {"gate"}


@pytest.mark.parametrize("preset", [FULL, SHORT])  # short: where a card is missing
def test_the_judge_sees_both_texts_the_first_as_a_and_no_id(preset: Preset) -> None:
    one = stand(preset=preset)
    shown = Comparison(first=DRAFT, second=ARTICLE, brief=BRIEF, stage="gate")
    shown.ask(one.client)
    (asked,) = one.asked
    at = [asked.user.index(text) for text in (BRIEF.topic, DRAFT.text, ARTICLE.text)]
    assert at == sorted(at)
    assert asked.user.index("Article A") < at[1] < asked.user.index("Article B")
    assert "article_id" not in asked.user
    assert asked.key == ("gate", "2-4", 1)


def test_by_cards_neither_text_is_sent_and_points_are_those_of_the_first() -> None:
    one = stand(lambda _asked: dict.fromkeys(CRITERIA_NAMES, "A"), preset=SHORT)
    by_cards = comparisons_of(card(4), card(2), Judging(), brief=None)[2]
    assert set(by_cards.ask(one.client).values()) == {1.0}
    (asked,) = one.asked
    assert ARTICLE.text not in asked.user
    assert asked.key == ("gate", "4-2", 2)


def report(*points_of_first: float | None, panel: Panel | None = None) -> GateReport:
    """Points of whoever stood first, in the order asked; None failed."""
    panel = panel or panel_of_letters("a", "-----")
    judging = Judging(panel=panel, criteria=ONE)
    asked = comparisons_of(ARTICLE, DRAFT, judging, brief=BRIEF)
    answers = {
        each.item: {NAME: points}
        for each, points in zip(asked, points_of_first, strict=True)
        if points is not None
    }
    return report_of(asked, answers, panel, judge="a")


def test_the_report_gives_the_article_s_points_wherever_it_stood() -> None:
    found = report(1.0, 0.0, 0.5, 0.25)
    assert [(v.first, v.round, v.article_points) for v in found.votes] == [
        ("article", 1, 1.0),
        ("draft", 1, 1.0),
        ("article", 2, 0.5),
        ("draft", 2, 0.75),
    ]
    assert (found.draft, found.outcome, found.abstained) == (2, "article", 0)
    assert (found.judge, found.compared, found.is_open) == ("a", "articles", False)


def test_failed_comparisons_are_abstentions_and_may_leave_it_open() -> None:
    found = report(1.0, None, 1.0, None)
    assert (found.outcome, found.abstained, found.is_open) == ("not decided", 2, True)
    nothing = report(None, None, None, None)
    assert (nothing.outcome, nothing.abstained, nothing.votes) == (
        "not compared",
        4,
        (),
    )
    assert nothing.is_open


@pytest.mark.parametrize(
    ("authors", "wrote", "unknown"),
    [
        ({}, (), ("article", "draft")),
        ({4: "a"}, ("article",), ("draft",)),
        ({2: "a", 4: "b"}, ("draft",), ()),
        ({2: "a", 4: "a"}, ("article", "draft"), ()),
        ({2: "", 4: ""}, (), ("article", "draft")),
    ],
)
def test_the_report_says_what_the_judge_s_family_wrote(
    authors: dict[int, str], wrote: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    for judges in (judges_of("a"), (Judge(preset="a"),)):
        panel = Panel(judges=judges, authors=authors)
        known = wrote if judges[0].family else ()
        found = report(0.5, 0.5, 0.5, 0.5, panel=panel)
        assert (found.judge_wrote, found.author_unknown) == (known, unknown)
