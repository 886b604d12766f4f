"""What votes add up to: means, certainty, ranks, and judges brought to one level."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.criteria import CRITERIA
from pipeline.judging.by_votes import (
    asked_votes,
    counted_votes,
    mean_of,
    score_beside,
    scores_of_votes,
)
from pipeline.judging.panel import Judge
from pipeline.judging.questions import Poll
from pipeline.judging.vote import Marks, Vote
from pipeline.records import ArticleScore
from tests.judging_fakes import NAME, ONE, panel_of_letters, voted
from tests.stage_fakes import card

TWO = CRITERIA[:2]  # weights .15 and .20
Votes = Mapping[int, Sequence[tuple[str, float | None]]]
"""By card, who was asked for each vote and what was answered."""
MARKS = st.floats(3.0, 8.0)
SHIFTS = st.fixed_dictionaries(dict.fromkeys("abc", st.floats(-2.0, 2.0)))


def votes_of(*marks: tuple[int, int], judges: str = "aaa") -> list[Marks]:
    names = [criterion.name for criterion in TWO]
    vote = Vote(card=card(1), number=1, criteria=TWO)
    return [
        vote.marks(dict(zip(names, pair, strict=True)), judge=judge)
        for pair, judge in zip(marks, judges, strict=False)
    ]


def vote_of(card_id: int, number: int, judge: str) -> Vote:
    named = Judge(preset=judge, family=judge)
    return Vote(card=card(card_id), number=number, judge=named, criteria=ONE)


def poll_of(votes: Votes) -> Poll:
    marks = {
        vote_of(one, number, name): mark
        for one, cast in votes.items()
        for number, (name, mark) in enumerate(cast, start=1)
    }
    answers = {v.item: voted(v, mark) for v, mark in marks.items() if mark is not None}
    return Poll([card(one) for one in votes], list(marks), answers)


def scores_of(votes: Votes) -> dict[int, ArticleScore]:
    scores = scores_of_votes(poll_of(votes), ONE)
    return {score.article_id: score for score in scores}


def by_one(*marks: float | None) -> list[tuple[str, float | None]]:
    return [("a", mark) for mark in marks]


def test_mean_spread_and_overall_of_hand_computed_votes() -> None:
    score = mean_of(votes_of((4, 6), (7, 6), (10, 9)), TWO, asked=3)
    first, second = score.criteria.values()
    assert (first.mean, first.spread, first.votes) == (7.0, 2.449, 3)  # sqrt 6
    assert (second.mean, second.spread, second.votes) == (7.0, 1.414, 3)  # sqrt 2
    assert score.overall == 7.0
    assert (score.votes, score.abstained) == (3, 0)


def test_the_overall_mean_weighs_the_criteria() -> None:
    # Means of 4/3 at weight .15 and 5/3 at weight .20.
    score = mean_of(votes_of((1, 1), (1, 2), (2, 2)), TWO, asked=3)
    assert [c.mean for c in score.criteria.values()] == [1.333, 1.667]
    assert score.overall == 1.524


def test_a_missing_vote_is_an_abstention_and_lowers_nothing() -> None:
    score = mean_of(votes_of((8, 8)), TWO, asked=3)
    assert (score.overall, score.votes, score.abstained) == (8.0, 1, 2)


def test_votes_are_counted_in_the_order_of_their_numbers() -> None:
    poll = poll_of({2: by_one(5.0, None, 7.0), 1: by_one(None)})
    late_first = Poll(poll.cards, list(poll.asked)[::-1], poll.answers)
    counted = counted_votes(late_first)
    assert {one: [v.overall for v in cast] for one, cast in counted.items()} == {
        2: [5.0, 7.0],
        1: [],
    }
    assert asked_votes(late_first) == {2: 3, 1: 1}


def test_scores_stand_in_card_order_and_abstentions_are_counted() -> None:
    scores = scores_of({5: by_one(4.0, None), 2: by_one(None, None), 3: by_one(6.0)})
    assert [(s.article_id, s.votes, s.abstained) for s in scores.values()] == [
        (5, 1, 1),
        (3, 1, 0),
    ]


def test_an_interval_is_that_of_the_noise_of_all_cards_and_ends_with_the_scale() -> (
    None
):
    # Two degrees of freedom, a variance of 2: Student's 2.92 times sqrt(2 / 2).
    scores = scores_of({1: by_one(4.0, 6.0), 2: by_one(7.0, 9.0)})
    assert scores[1].interval == pytest.approx((2.08, 7.92), abs=0.001)
    assert scores[2].interval == pytest.approx((5.08, 10.0), abs=0.001)
    assert (scores[1].spread, scores[1].rank, scores[2].rank) == (1.0, 1, 1)


def test_cards_that_are_surely_below_have_a_rank_of_their_own() -> None:
    scores = scores_of({1: by_one(2.0, 2.2), 2: by_one(8.0, 8.2), 3: by_one(8.1, 8.1)})
    assert {one: score.rank for one, score in scores.items()} == {1: 3, 2: 1, 3: 1}


@given(st.lists(MARKS, min_size=1, max_size=6))
def test_of_one_vote_each_nothing_is_known_and_all_share_the_first_rank(
    marks: list[float],
) -> None:
    scores = scores_of({n: by_one(mark) for n, mark in enumerate(marks, start=1)})
    assert {(s.interval, s.rank) for s in scores.values()} == {(None, 1)}


@given(st.dictionaries(st.integers(1, 5), MARKS, min_size=3), SHIFTS)
def test_planted_severities_are_taken_out_where_panels_are_uneven(
    quality: dict[int, float], shifts: dict[str, float]
) -> None:
    # Each card is marked by two of three judges, one of them twice; any three of the
    # cards join all judges.
    panels = {one: ("aab", "bbc", "cca")[one % 3] for one in quality}
    scores = scores_of(
        {
            one: [(name, quality[one] + shifts[name]) for name in panels[one]]
            for one in quality
        }
    )
    first = min(quality)
    for one, score in scores.items():
        apart = score.overall - scores[first].overall
        assert apart == pytest.approx(quality[one] - quality[first], abs=0.003)


@given(
    st.lists(st.tuples(MARKS, MARKS, MARKS), min_size=1, max_size=5),
    st.permutations("abc"),
)
def test_where_every_judge_marks_every_card_means_are_those_of_the_votes(
    marks: list[tuple[float, float, float]], names: list[str]
) -> None:
    scores = scores_of(
        {
            n: list(zip(names, of_card, strict=True))
            for n, of_card in enumerate(marks, 1)
        }
    )
    for n, of_card in enumerate(marks, 1):
        plain = fmean(round(mark, 3) for mark in of_card)
        assert scores[n].overall == pytest.approx(plain, abs=0.0011)
        assert scores[n].criteria[NAME].mean == pytest.approx(plain, abs=0.0011)


def test_a_strict_judge_s_card_is_put_first_again_and_marks_stay_as_given() -> None:
    scores = scores_of({1: [("a", 6.0)], 2: [("a", 5.0), ("b", 7.0)], 3: [("b", 6.5)]})
    assert scores[1].overall - scores[2].overall == pytest.approx(1.0, abs=0.002)
    assert scores[2].overall - scores[3].overall == pytest.approx(0.5, abs=0.002)
    assert {j: m.mean for j, m in scores[2].by_judge.items()} == {"a": 5.0, "b": 7.0}


def test_the_spread_is_that_of_marks_on_one_level() -> None:
    scores = scores_of({1: [("a", 4.0), ("b", 6.0)], 2: [("a", 5.0), ("b", 7.0)]})
    spreads = {(s.spread, s.criteria[NAME].spread) for s in scores.values()}
    assert spreads == {(0.0, 0.0)}  # what looked like scatter was severity


def test_each_judge_s_votes_on_a_card_are_counted() -> None:
    score = scores_of({1: [("b", 6.0), ("a", 5.0), ("b", 7.0), ("a", None)]})[1]
    marks = [(name, m.mean, m.votes) for name, m in score.by_judge.items()]
    assert marks == [("a", 5.0, 1), ("b", 6.5, 2)]


def test_levelling_judges_leaves_less_to_tell_noise_from() -> None:
    # One card with two judges: what looks like noise may all be severity.
    assert scores_of({1: [("a", 4.0), ("b", 6.0)]})[1].interval is None
    assert scores_of({1: [("a", 4.0), ("a", 6.0)]})[1].interval is not None
    even = scores_of({1: [("a", 4.0), ("b", 6.0)], 2: [("a", 5.0), ("b", 7.0)]})
    assert even[1].interval == (5.0, 5.0)  # all of it was severity


def test_marks_of_the_own_family_are_named() -> None:
    panel = panel_of_letters("ab", "ab")
    marks = [("a", 5.0), ("b", 6.0)]
    scores = {
        one: panel.with_own_family_named(score)
        for one, score in scores_of({1: marks, 2: marks, 3: marks}).items()
    }
    own = {
        (one, name)
        for one, score in scores.items()
        for name, mark in score.by_judge.items()
        if mark.is_own_family
    }
    assert own == {(1, "a"), (2, "b")}


def test_votes_on_one_more_card_are_put_on_the_level_of_the_drafts() -> None:
    drafts = list(
        scores_of({1: [("a", 4.0), ("b", 6.0)], 2: [("a", 5.0), ("b", 7.0)]}).values()
    )
    votes = [voted(vote_of(3, 1, "a"), 4.0)]
    beside = score_beside(votes, drafts, ONE, asked=2)
    assert beside is not None
    assert beside.overall == pytest.approx(5.0, abs=0.001)  # a is one point strict
    assert (beside.votes, beside.abstained, beside.rank) == (1, 1, None)
    assert beside.by_judge["a"].mean == 4.0


def test_the_interval_of_one_more_card_rests_on_the_noise_of_all() -> None:
    drafts = list(scores_of({1: by_one(4.0, 6.0), 2: by_one(7.0, 9.0)}).values())
    votes = [voted(vote_of(3, 1, "a"), 6.0)]
    beside = score_beside(votes, drafts, ONE, asked=1)
    assert beside is not None
    assert beside.interval == pytest.approx((6 - 4.129, 10.0), abs=0.002)
    alone = score_beside(votes, [], ONE, asked=1)
    assert alone is not None
    assert alone.interval is None
    assert score_beside([], drafts, ONE, asked=1) is None


def test_bringing_judges_to_one_level_costs_one_more_card_its_certainty() -> None:
    # Squares of 4 about the first card's mean, with 3 degrees of freedom less one.
    drafts = list(
        scores_of(
            {1: [("a", 4.0), ("b", 4.0), ("a", 6.0), ("b", 6.0)], 2: [("b", 7.0)]}
        ).values()
    )
    beside = score_beside([voted(vote_of(3, 1, "a"), 5.0)], drafts, ONE, asked=1)
    assert beside is not None
    assert [round(d.spread, 3) for d in drafts] == [1.0, 0.0]
    # Student's 2.920 for two degrees, times the root of a variance of 2.
    assert beside.interval == pytest.approx((1.0, 5 + 4.129), abs=0.002)


def test_a_levelled_score_stays_on_the_scale() -> None:
    votes: Votes = {
        1: [("a", 10.0)],
        2: [("a", 4.0), ("b", 8.0)],
        3: [("b", 1.0)],
    }
    scores = scores_of(votes).values()
    assert [score.overall for score in scores] == [10.0, 6.0, 1.0]
    means = [mark.mean for score in scores for mark in score.criteria.values()]
    assert all(1.0 <= mean <= 10.0 for mean in means)
