"""GENERATE: plans, drafts, and folders of drafts."""

from pathlib import Path

import pytest

from pipeline.errors import EndpointRejected, SettingsError
from pipeline.generate import (
    candidate_plans,
    plans_from_texts,
    read_candidates,
    write_all_candidates,
    write_candidate,
)
from pipeline.models.presets import Preset
from pipeline.records import ArticleCandidate, Brief, CandidatePlan
from pipeline.work import Watch
from tests.stage_fakes import BRIEF, FULL, NOT_THIS, Asked, Scripted, refuse, stand


def test_presets_take_turns_and_ids_count_from_one() -> None:
    plans = candidate_plans(BRIEF, iterations=5, presets=("a", "b"))
    assert [(p.article_id, p.preset) for p in plans] == [
        (1, "a"),
        (2, "b"),
        (3, "a"),
        (4, "b"),
        (5, "a"),
    ]


def test_neighbouring_drafts_have_different_angles() -> None:
    angles = [plan.angle for plan in candidate_plans(BRIEF, iterations=5)]
    assert all(angles)
    assert len(set(angles)) == 5


def test_background_is_in_the_system_prompt_and_the_brief_in_the_question() -> None:
    given = Brief(topic="The topic.", context=("Our voice: dry.", "A fact."), words=90)
    one = stand()
    write_candidate(candidate_plans(given, iterations=1)[0], client=one.client)
    (asked,) = one.asked
    assert "Our voice: dry." in asked.system
    assert "A fact." in asked.system
    assert "The topic." in asked.user
    assert "about 90 words" in asked.user


def test_a_draft_is_written_by_the_preset_of_its_plan() -> None:
    other = Preset(name="b", base_url="http://127.0.0.1:9/v1", model="large", words=77)
    writer = Scripted(preset=other)
    one = stand(others={"b": writer})
    plan = CandidatePlan(article_id=4, brief=Brief(topic="T"), preset="b")
    draft = write_candidate(plan, client=one.client)
    assert (draft.article_id, draft.preset, draft.model) == (4, "b", "large")
    assert one.asked == []
    assert "about 77 words" in writer.asked[0].user


def test_the_words_and_temperature_of_the_brief_win_over_the_presets() -> None:
    one = stand()
    brief = Brief(topic="T", words=60, temperature=0.0, max_tokens=900)
    write_candidate(CandidatePlan(article_id=1, brief=brief), client=one.client)
    body = one.asked[0].body
    assert "about 60 words" in one.asked[0].user
    assert (body["temperature"], body["max_tokens"]) == (0.0, 900)


def test_any_text_is_a_draft_however_short() -> None:
    one = stand(lambda _asked: "One sentence")
    (plan,) = candidate_plans(BRIEF, iterations=1)
    assert write_candidate(plan, client=one.client).text == "One sentence"


def test_a_draft_has_neither_thoughts_nor_a_fence_nor_nul() -> None:
    reply = "<think>hm</think>\n```markdown\n# A\0B\n\nText.\n```"
    one = stand(lambda _asked: reply)
    (plan,) = candidate_plans(BRIEF, iterations=1)
    assert write_candidate(plan, client=one.client).text == "# AB\n\nText."


def test_two_drafts_of_one_run_are_asked_with_different_seeds() -> None:
    one = stand()
    write_all_candidates(candidate_plans(BRIEF, iterations=4), client=one.client)
    assert len({asked.body["seed"] for asked in one.asked}) == 4


def test_a_failed_draft_is_left_out_and_reported_and_others_are_kept() -> None:
    one = stand(refuse(("generate", "2")))
    told: list[str] = []
    kept: list[ArticleCandidate] = []
    watch = Watch(
        on_done=lambda stage, name: told.append(f"{stage} {name} done"),
        on_failed=lambda stage, name, error: told.append(f"{stage} {name}: {error}"),
        on_candidate=kept.append,
    )
    plans = candidate_plans(BRIEF, iterations=3)
    drafts = write_all_candidates(plans, client=one.client, watch=watch)
    assert [draft.article_id for draft in drafts] == [1, 3]
    assert kept == drafts
    assert told == [
        "generate candidate 1 done",
        f"generate candidate 2: {NOT_THIS}",
        "generate candidate 3 done",
    ]


def test_what_ends_the_run_is_not_taken_for_one_draft_s_failure() -> None:
    def answer(_asked: Asked) -> EndpointRejected:
        return EndpointRejected("wrong key")

    one = stand(answer)
    with pytest.raises(EndpointRejected, match="wrong key"):
        write_all_candidates(candidate_plans(BRIEF, iterations=3), client=one.client)
    assert len(one.asked) == 1


def test_given_texts_are_drafts_without_a_call() -> None:
    one = stand()
    plans = plans_from_texts(BRIEF, [("ann", "Text A."), ("bob", "Text B.")])
    drafts = write_all_candidates(plans, client=one.client)
    assert one.asked == []
    assert [(d.article_id, d.preset, d.text) for d in drafts] == [
        (1, "ann", "Text A."),
        (2, "bob", "Text B."),
    ]


def test_given_and_written_drafts_stand_in_the_order_of_their_ids() -> None:
    plans = [
        CandidatePlan(article_id=1, brief=BRIEF),
        CandidatePlan(article_id=2, brief=BRIEF, text="Given."),
        CandidatePlan(article_id=3, brief=BRIEF),
    ]
    drafts = write_all_candidates(plans, client=stand().client)
    assert [draft.article_id for draft in drafts] == [1, 2, 3]


def test_a_folder_of_drafts_is_read_by_name_without_its_blank_files(
    tmp_path: Path,
) -> None:
    for name, text in {"b": "Two.", "a": "One.\0", "c": " \n"}.items():
        (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("No draft.", encoding="utf-8")
    assert read_candidates(str(tmp_path)) == (("a", "One."), ("b", "Two."))


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_folder_without_usable_drafts_is_refused_by_name(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "a.md").write_bytes(content)
    with pytest.raises(SettingsError, match=tmp_path.name) as caught:
        read_candidates(str(tmp_path))
    assert len(str(caught.value).splitlines()) == 1


def test_a_short_preset_without_a_brief_s_length_uses_its_own() -> None:
    preset = Preset(name="full", base_url=FULL.base_url, model="m", words=333)
    one = stand(preset=preset)
    plan = CandidatePlan(article_id=1, brief=Brief(topic="T"))
    write_candidate(plan, client=one.client)
    assert "about 333 words" in one.asked[0].user
