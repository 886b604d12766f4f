"""What a run is to do, as settings and presets describe it."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.generate import candidate_plans, plans_from_texts
from pipeline.job import Job, job_from, panel_of
from pipeline.judging.panel import Judge
from pipeline.models.presets import Preset
from pipeline.models.run_models import Choice
from pipeline.settings import Settings
from tests.stage_fakes import BRIEF, FULL


def preset(name: str, *, family: str | None = None, model: str | None = None) -> Preset:
    return replace(FULL, name=name, family=family, model=model)


A1, A2 = preset("a1", family="a"), preset("a2", family="a")
B, C = preset("b", family="b"), preset("c", family="c")


def choice(main: Preset = A1, **others: tuple[Preset, ...]) -> Choice:
    return Choice(main=main, why="test", **others)


def job(choice_: Choice | None = None, **settings: Any) -> Job:
    settings.setdefault("topic", "t")
    return job_from(Settings(**settings), choice_ or choice(), list)


def test_without_judges_of_their_own_the_main_preset_judges() -> None:
    panel = panel_of(choice(), candidate_plans(BRIEF, iterations=2))
    assert panel.judges == (Judge(preset="a1", family="a"),)
    assert panel.others == ()
    assert panel.authors == {1: "a", 2: "a", 3: "a"}


def test_every_draft_has_the_family_of_its_writer_and_the_article_the_main_one() -> (
    None
):
    plans = candidate_plans(BRIEF, iterations=3, presets=("b", "c"))
    panel = panel_of(choice(writers=(B, C), judges=(A2, C)), plans)
    assert panel.authors == {1: "b", 2: "c", 3: "b", 4: "a"}
    assert [judge.preset for judge in panel.judges] == ["a2", "c"]
    assert [judge.preset for judge in panel.others] == ["a1", "b"]


def test_judges_of_one_family_are_kin_whatever_their_names() -> None:
    panel = panel_of(choice(judges=(A2, B)), candidate_plans(BRIEF, iterations=1))
    assert {panel.of_vote(1, number).preset for number in range(1, 5)} == {"b"}


@pytest.mark.parametrize(
    ("writer", "family"),
    [
        (preset("p", family="f", model="m"), "f"),
        (preset("p", model="m"), "m"),
        (preset("p"), "p"),
    ],
)
def test_where_no_family_is_stated_it_is_that_of_the_model_else_of_the_preset(
    writer: Preset, family: str
) -> None:
    panel = panel_of(choice(main=writer), candidate_plans(BRIEF, iterations=1))
    assert panel.authors == {1: family, 2: family}
    assert panel.judges == (Judge(preset="p", family=family),)


def test_nobody_knows_who_wrote_drafts_that_came_as_files() -> None:
    # A file may be called as a preset is.
    plans = plans_from_texts(BRIEF, [("a1", "Text."), ("b", "Text.")])
    panel = panel_of(choice(judges=(A1, B)), plans)
    assert panel.authors == {3: "a"}
    assert {panel.of_vote(1, n).preset for n in (1, 2)} == {"a1", "b"}


def test_the_article_s_id_comes_after_the_last_draft_s() -> None:
    assert job(iterations=4).article_id == 5
    plans = candidate_plans(BRIEF, iterations=3)[::-1]
    assert Job(brief=BRIEF, plans=plans).article_id == 4


def test_settings_reach_the_judging() -> None:
    judging = job(
        choice(judges=(B, C)),
        votes="auto",
        scoring_mode="funnel",
        seed=7,
    ).judging
    assert (judging.votes, judging.mode, judging.seed) == ("auto", "funnel", 7)
    assert judging.is_wanted
    assert [judge.preset for judge in judging.panel.judges] == ["b", "c"]


@pytest.mark.parametrize(
    ("settings", "is_wanted"),
    [
        ({}, True),
        ({"synthesis": False}, False),
        ({"candidates_only": True}, False),
    ],
)
def test_drafts_are_judged_only_for_a_synthesis(
    settings: dict[str, Any], is_wanted: bool
) -> None:
    assert job(**settings).judging.is_wanted is is_wanted


def test_settings_reach_the_job() -> None:
    made = job(gate=False, synthesis_retries=1, target_word_count=300, temperature=0.4)
    assert (made.has_gate, made.synthesis_retries) == (False, 1)
    assert (made.brief.words, made.brief.temperature) == (300, 0.4)
    assert (job().has_gate, job().wants_synthesis) == (True, True)


def test_drafts_are_written_in_turn_or_taken_as_they_are() -> None:
    written = job(choice(writers=(B, C)), iterations=3, candidate_presets=("b", "c"))
    assert [plan.preset for plan in written.plans] == ["b", "c", "b"]
    given = job(candidates=(("one", "Text."),), iterations=3)
    assert [(plan.preset, plan.text) for plan in given.plans] == [("one", "Text.")]
