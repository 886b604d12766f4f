"""SYNTHESIZE: one attempt from the blueprint."""

from dataclasses import replace
from typing import Any

from pipeline.models.presets import Preset
from pipeline.records import Brief, Finding, Passage
from pipeline.synthesize import Attempt, synthesize_article
from pipeline.validate import word_range
from tests.stage_fakes import BRIEF, FULL, SHORT, blueprint, stand

FINDING = Finding(check="length", source="code", severity="major", detail="Too short.")


def test_the_length_may_be_off_by_a_fifth() -> None:
    assert word_range(1500) == (1200, 1800)
    assert word_range(220) == (176, 264)


def test_the_writer_gets_brief_background_blueprint_and_length() -> None:
    one = stand()
    brief = Brief(topic="The topic.", context=("Our voice.",), words=200)
    synthesize_article(brief, blueprint(), client=one.client)
    (asked,) = one.asked
    assert "Our voice." in asked.system
    for text in ("The topic.", "Logs win", "Write one line today.", "Do not preach."):
        assert text in asked.user
    assert "about 200 words (at least 160, at most 240)" in " ".join(asked.user.split())
    assert "earlier attempt" not in asked.user
    assert "article_id" not in asked.user


def test_a_further_attempt_gets_the_earlier_one_and_its_findings() -> None:
    one = stand()
    attempt = Attempt(number=2, earlier="# Old\n\nWords.", findings=[FINDING])
    synthesize_article(BRIEF, blueprint(), attempt, client=one.client)
    shown = one.asked[0].user
    assert "# Old\n\nWords." in shown
    assert "- Too short." in shown


def test_every_attempt_is_a_request_of_its_own() -> None:
    one = stand()
    for number in (1, 2, 3):
        synthesize_article(
            BRIEF, blueprint(), Attempt(number=number), client=one.client
        )
    assert len({asked.body["seed"] for asked in one.asked}) == 3


def test_the_temperature_of_the_brief_wins_even_when_it_is_zero() -> None:
    one = stand()
    synthesize_article(replace(BRIEF, temperature=0.0), blueprint(), client=one.client)
    synthesize_article(BRIEF, blueprint(), client=one.client)
    assert [asked.body["temperature"] for asked in one.asked] == [0.0, 0.6]


def test_the_article_has_neither_thoughts_nor_a_fence() -> None:
    one = stand(lambda _asked: "<think>so</think>```\n# Logs win\n\nText.\n```")
    assert synthesize_article(BRIEF, blueprint(), client=one.client) == (
        "# Logs win\n\nText."
    )


PASSAGES = [
    Passage(article_id=3, text="Ann said “no”. It took 3."),
    Passage(article_id=1, text="Words."),
]


def test_the_writer_gets_the_passages_with_the_numbers_of_their_drafts() -> None:
    one = stand()
    synthesize_article(BRIEF, blueprint(), passages=PASSAGES, client=one.client)
    shown = one.asked[0].user
    assert "Draft 3: Ann said “no”. It took 3.\n\nDraft 1: Words." in shown
    assert shown.index("Logs win") < shown.index("Draft 3") < shown.index("Markdown")


def test_without_passages_the_prompt_has_no_block_for_them() -> None:
    one = stand()
    synthesize_article(BRIEF, blueprint(), client=one.client)
    assert "sources-" not in one.asked[0].user


def test_a_small_model_s_prompt_is_the_same_with_passages() -> None:
    one = stand(preset=SHORT)
    synthesize_article(BRIEF, blueprint(), client=one.client)
    synthesize_article(BRIEF, blueprint(), passages=PASSAGES, client=one.client)
    assert one.asked[0].body == one.asked[1].body


def test_a_small_model_gets_the_blueprint_as_lines() -> None:
    one = stand(preset=SHORT)
    synthesize_article(BRIEF, blueprint(), client=one.client)
    shown = one.asked[0].user
    assert "Headline: Logs win\nOpening: Nobody remembers last May.\n" in shown
    assert "- Old arguments return.\n" in shown
    assert "grammar" not in one.asked[0].body


def test_where_there_are_grammars_headline_and_points_are_literals() -> None:
    preset = Preset(
        name="g", base_url=FULL.base_url, model="g", context=4096, has_grammars=True
    )
    one = stand(preset=preset)
    synthesize_article(BRIEF, blueprint(), client=one.client)
    body: Any = one.asked[0].body
    for text in ("Logs win", "Nobody remembers last May.", "Old arguments return."):
        assert f'"{text}"' in body["grammar"]
