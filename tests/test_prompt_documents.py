"""The order of cards: finalists before others, ties by id, no score last."""

import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.prompts.documents import ranked
from pipeline.records import ArticleScore, HeadToHead
from tests.stage_fakes import card, score

OVERALLS = st.sampled_from([1.0, 4.0, 6.5, 10.0])
FIELDS = st.dictionaries(
    st.integers(1, 12),
    st.none() | st.tuples(OVERALLS, st.none() | OVERALLS),
    min_size=1,
)


def scored(article_id: int, overall: float, compared: float | None) -> ArticleScore:
    found = score(article_id, overall)
    if compared is None:
        return found
    table = HeadToHead(overall=compared, interval=(compared, compared), votes=2)
    return found.model_copy(update={"compared": table})


def order_of(*scores: ArticleScore, cards: int = 4) -> list[int]:
    pairs = ranked([card(n + 1) for n in range(cards)], scores)
    return [one.article_id for one, _ in pairs]


def test_the_highest_score_is_first_and_ties_are_by_id() -> None:
    scores = [score(4, 7.0), score(3, 5.0), score(2, 7.0), score(1, 6.0)]
    assert order_of(*scores) == [2, 4, 1, 3]


def test_a_card_without_a_score_is_last_even_behind_the_lowest() -> None:
    assert order_of(score(3, 1.0), score(4, 1.0)) == [3, 4, 1, 2]


def test_finalists_of_a_funnel_stand_before_others_in_the_order_of_comparisons() -> (
    None
):
    scores = [
        scored(1, 9.0, None),
        scored(2, 6.0, 2.0),
        scored(3, 5.0, 8.0),
        scored(4, 7.0, 2.0),
    ]
    assert order_of(*scores) == [3, 4, 2, 1]  # equals in comparison: by votes


@given(FIELDS, st.randoms())
def test_the_order_follows_from_ids_and_scores_alone(
    field: dict[int, tuple[float, float | None] | None], rng: random.Random
) -> None:
    scores = [scored(n, *of) for n, of in field.items() if of is not None]
    cards = [card(n) for n in field]
    found = ranked(cards, scores)
    shuffled = ranked(rng.sample(cards, len(cards)), rng.sample(scores, len(scores)))
    assert [one.article_id for one, _ in shuffled] == [
        one.article_id for one, _ in found
    ]
    keys = [
        (of is None, of is not None and of.compared is None, *_down(of), one.article_id)
        for one, of in found
    ]
    assert keys == sorted(keys)


def _down(of: ArticleScore | None) -> tuple[float, float]:
    if of is None:
        return (0.0, 0.0)
    return (-of.compared.overall if of.compared else 0.0, -of.overall)
