"""The three concurrent stages, their workers and counters, under their public names."""

import re
import threading

import pytest
from hypothesis import given, settings

from parallel import (
    ParallelArticleExtractor,
    ParallelCandidateGenerator,
    ParallelCardScorer,
    extract_single_card_worker,
    score_single_vote_worker,
)
from pipeline.criteria import CRITERIA
from pipeline.errors import ItemRejected, SettingsError
from pipeline.extract import extract_all_article_cards
from pipeline.generate import candidate_plans
from pipeline.judging.schemes import Judging
from pipeline.score import score_all_cards_with_voting
from tests.stage_fakes import (
    BRIEF,
    FAILSAFE_S,
    NOT_THIS,
    SEEDS,
    Asked,
    candidate,
    card,
    refuse,
    stand,
)
from tests.task_fakes import Crowd, drawn_order

TWO = CRITERIA[:2]


@given(order=SEEDS)
@settings(max_examples=8)
def test_results_come_in_the_order_of_the_input_whatever_ends_first(order: int) -> None:
    one = stand()
    drafts = [candidate(n, f"# Title {n}\n\nText {n}.") for n in (7, 3, 11, 2, 5)]
    with drawn_order(order):
        extractor = ParallelArticleExtractor(4, client=one.client)
        cards = extractor.extract_cards_parallel(drafts)
        scores = ParallelCardScorer(3, client=one.client).score_cards_parallel(
            cards, CRITERIA, 2
        )
        written = ParallelCandidateGenerator(
            9, client=one.client
        ).generate_candidates_parallel(candidate_plans(BRIEF, iterations=4)[::-1])
    assert cards == extract_all_article_cards(drafts, client=one.client)
    assert scores == score_all_cards_with_voting(cards, CRITERIA, 2, client=one.client)
    assert [c.article_id for c in cards] == [7, 3, 11, 2, 5]
    assert [s.article_id for s in scores] == [7, 3, 11, 2, 5]
    assert [w.article_id for w in written] == [4, 3, 2, 1]


def test_the_one_that_starts_first_may_end_last() -> None:
    others_done = threading.Event()
    done: list[str] = []

    def answer(asked: Asked) -> None:
        if asked.item_id == "1":
            assert others_done.wait(FAILSAFE_S), "the first held up the others"
        else:
            done.append(asked.item_id)
            if len(done) == 3:
                others_done.set()

    extractor = ParallelArticleExtractor(2, client=stand(answer).client)
    cards = extractor.extract_cards_parallel([candidate(n) for n in (1, 2, 3, 4)])
    assert [c.article_id for c in cards] == [1, 2, 3, 4]


def test_votes_of_one_card_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(6)

    def answer(_asked: Asked) -> None:
        together.wait(FAILSAFE_S)

    scorer = ParallelCardScorer(6, client=stand(answer).client)
    scores = scorer.score_cards_parallel([card(1), card(2)], CRITERIA)
    assert [s.votes for s in scores] == [3, 3]


@pytest.mark.parametrize("limit", [1, 3])
def test_never_more_than_the_limit_go_at_once(limit: int) -> None:
    crowd = Crowd(limit)

    def answer(_asked: Asked) -> None:
        with crowd.inside():
            pass

    scorer = ParallelCardScorer(limit, client=stand(answer).client)
    scorer.score_cards_parallel([card(n) for n in range(1, 5)], CRITERIA)
    assert crowd.peak <= limit


def test_failed_items_are_left_out_and_collected_in_item_order() -> None:
    one = stand(refuse(("extract", "10"), ("extract", "2")))
    extractor = ParallelArticleExtractor(3, client=one.client)
    drafts = [candidate(n) for n in (10, 1, 2)]
    assert [c.article_id for c in extractor.extract_cards_parallel(drafts)] == [1]
    assert [(e.item_id, e.reason) for e in extractor.errors.get_errors()] == [
        ("card 2", NOT_THIS),
        ("card 10", NOT_THIS),
    ]


def test_a_failed_vote_is_an_abstention_in_parallel_too() -> None:
    one = stand(refuse(("score", "1", 2), ("score", "2")))
    scorer = ParallelCardScorer(4, client=one.client)
    scores = scorer.score_cards_parallel([card(1), card(2)], CRITERIA)
    assert [(s.article_id, s.votes, s.abstained) for s in scores] == [(1, 2, 1)]
    assert len(scorer.errors) == 4


def test_comparisons_run_alone_too() -> None:
    one = stand(refuse(("score", "1-2")))
    scorer = ParallelCardScorer(4, client=one.client)
    cards = [card(n) for n in (1, 2, 3)]
    scores = scorer.judge_cards_parallel(cards, Judging(mode="pairwise"))
    assert [(s.article_id, s.votes, s.abstained) for s in scores] == [
        (1, 3, 1),
        (2, 3, 1),
        (3, 4, 0),
    ]


def test_the_retry_count_reaches_the_calls() -> None:
    one = stand(lambda _asked: {"no": "card"})
    extractor = ParallelArticleExtractor(client=one.client)
    assert extractor.extract_cards_parallel([candidate()], retry_count=1) == []
    assert len(one.asked) == 2


@pytest.mark.parametrize("limit", [0, -2])
def test_a_limit_under_which_nothing_could_start_is_refused(limit: int) -> None:
    with pytest.raises(SettingsError, match=f"at least 1, got {limit}"):
        ParallelCardScorer(limit)


def test_nothing_to_do_is_no_call() -> None:
    one = stand()
    assert ParallelArticleExtractor(client=one.client).extract_cards_parallel([]) == []
    assert ParallelCardScorer(client=one.client).score_cards_parallel([], TWO) == []
    assert one.asked == []


def test_verbose_says_a_line_for_each_item_and_quiet_says_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = stand(refuse(("extract", "2")))
    drafts = [candidate(1), candidate(2)]
    ParallelArticleExtractor(client=one.client).extract_cards_parallel(drafts)
    assert capsys.readouterr() == ("", "")
    ParallelArticleExtractor(verbose=True, client=one.client).extract_cards_parallel(
        drafts
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert sorted(re.findall(r"card \d \w+", err)) == ["card 1 done", "card 2 failed"]


def test_workers_do_one_item_and_say_so_when_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = stand(refuse(("score", "1", 9)))
    made = extract_single_card_worker(candidate(4), 3, False, client=one.client)
    vote = score_single_vote_worker(card(1), CRITERIA, 2, True, client=one.client)
    assert (made.article_id, vote.article_id, vote.votes) == (4, 1, 1)
    with pytest.raises(ItemRejected):
        score_single_vote_worker(card(1), CRITERIA, 9, True, client=one.client)
    assert capsys.readouterr().err == (
        f"vote 2 on card 1: done\nvote 9 on card 1: failed: {NOT_THIS}\n"
    )
