"""What a run made: which preset writes best, by scores and by words taken over."""

import pytest

from pipeline.grounding.paragraphs import contributions
from pipeline.result import WriterLine, writer_lines
from tests.stage_fakes import candidate, score

TEXTS = {
    1: "one two three four five six seven eight",
    2: "alpha beta gamma delta epsilon",
    3: "nothing of this was taken over",
}
DRAFTS = [
    candidate(number, text).model_copy(update={"preset": "ab"[number % 2]})
    for number, text in TEXTS.items()
]
ARTICLE = f"{TEXTS[1]} {TEXTS[2]} these are new"


def test_presets_stand_by_their_mean_with_their_share_of_the_article() -> None:
    shares = contributions(ARTICLE, TEXTS)
    scores = [score(1, 5.0), score(2, 8.0), score(3, 6.0)]
    assert writer_lines(DRAFTS, scores, shares) == [
        WriterLine(preset="a", drafts=1, mean=8.0, share=round(5 / 16, 3)),
        WriterLine(preset="b", drafts=2, mean=5.5, share=0.5),
    ]
    assert shares.own == pytest.approx(3 / 16)


def test_a_preset_without_a_score_comes_last_and_has_no_mean() -> None:
    lines = writer_lines(DRAFTS, [score(1, 2.0)], contributions("new", TEXTS))
    assert [(line.preset, line.mean) for line in lines] == [("b", 2.0), ("a", None)]


def test_without_an_article_of_all_drafts_nobody_has_a_share() -> None:
    lines = writer_lines(DRAFTS, [score(2, 2.0)], None)
    assert [line.share for line in lines] == [None, None]


def test_the_metrics_hold_a_line_as_it_is() -> None:
    (line,) = writer_lines(DRAFTS[:1], [score(1, 2.0)], None)
    assert line.as_dict() == {"preset": "b", "drafts": 1, "mean": 2.0, "share": None}
