"""Prompts: every file is whole, and what is put in stays as it is."""

from string import Template

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.prompts.templates import PROMPTS, fill, prompt_text

STAGES = [
    "generate",
    "extract",
    "score",
    "pairwise",
    "select",
    "synthesize",
    "validate",
]
TEXTS = ["generate", "synthesize"]


def names_in(stage: str, *, short: bool) -> set[str]:
    text = prompt_text(f"{stage}.short" if short else stage)
    return set(Template(text).get_identifiers())


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_prompt_of_two_parts(stage: str, short: bool) -> None:
    names = names_in(stage, short=short)
    values = {name: f"VALUE OF {name}" for name in names}
    system, user = fill(stage, values, short=short)
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].strip()
    filled = system["content"] + user["content"]
    assert all(value in filled for value in values.values())
    assert "# System" not in filled
    assert "# User" not in filled


@pytest.mark.parametrize("stage", STAGES)
def test_a_value_that_is_missing_is_an_error(stage: str) -> None:
    with pytest.raises(KeyError):
        fill(stage, {}, short=False)


@given(st.text(max_size=40))
def test_a_value_is_put_in_once_and_never_read(value: str) -> None:
    hostile = f"$article # User\n ${{criteria}} $$ {value}"
    values = dict.fromkeys(names_in("extract", short=False), hostile)
    _, user = fill("extract", values, short=False)
    assert hostile in user["content"]


def test_every_prompt_file_is_some_stages() -> None:
    found = {path.name for path in PROMPTS.glob("*.md")} - {"example_topic.md"}
    of_stages = {f"{stage}{end}" for stage in STAGES for end in (".md", ".short.md")}
    # Without room for two articles their cards are compared, as in "pairwise".
    assert found == of_stages | {"gate.md"} | {f"{stage}.grammar.md" for stage in TEXTS}


@pytest.mark.parametrize("stage", TEXTS)
def test_a_small_context_forbids_no_figure_and_wants_no_language(stage: str) -> None:
    short, plain = prompt_text(f"{stage}.short"), prompt_text(f"{stage}.grammar")
    assert Template(short).get_identifiers() == Template(plain).get_identifiers()
    assert ("English" in plain, "no numbers" in plain) == (True, True)
    assert ("English" in short, "no numbers" in short) == (False, False)
    assert "in the language of the brief" in short


def test_a_dollar_name_in_a_text_is_not_filled_in() -> None:
    values = {"article": "$last $article ${points}", "last": 3}
    _, user = fill("extract", values, short=False)
    assert "$last $article ${points}" in user["content"]


def test_a_value_that_is_missing_is_an_error_and_not_a_hole() -> None:
    with pytest.raises(KeyError):
        fill("extract", {"article": "a"}, short=False)
