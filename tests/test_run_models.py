"""Families and judges: whose taste a preset shares, and who is chosen to judge."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SettingsError
from pipeline.models.presets import Preset
from pipeline.models.prices import Price
from pipeline.models.run_models import Choice, check_keys, choose_preset, choose_presets
from pipeline.settings import Settings
from tests.test_presets import GOOD, loaded

OF_ONE_KIND = """
providers:
  here: {base_url: "http://127.0.0.1:8080/v1"}
  away: {base_url: "https://models.example/v1"}
presets:
  large: {provider: here, model: big, family: tall}
  small: {provider: away, model: little, family: tall}
  plain: {provider: here, model: big}
  odd: {provider: away, family: odd}
  bare: {provider: here}
  unpriced: {provider: away, model: little}
"""


@pytest.mark.parametrize(
    ("name", "family", "kin"),
    [
        ("large", "tall", "tall"),
        ("small", "tall", "tall"),
        ("plain", None, "big"),
        ("bare", None, "bare"),
        ("builtin", None, "smollm2-135m-instruct"),
    ],
)
def test_kin_is_the_family_else_the_model_else_the_preset(
    tmp_path: Path, name: str, family: str | None, kin: str
) -> None:
    preset = loaded(tmp_path, OF_ONE_KIND).preset(name)
    assert (preset.family, preset.kin) == (family, kin)


@pytest.mark.parametrize(
    ("model", "kin"), [("big", "tall"), ("little", "tall"), ("other", "other")]
)
def test_a_model_of_the_environment_has_the_family_that_the_file_states(
    tmp_path: Path, model: str, kin: str
) -> None:
    env = {"OPENAI_BASE_URL": "https://elsewhere.example/v1", "OPENAI_MODEL": model}
    preset, _ = choose_preset(None, loaded(tmp_path, OF_ONE_KIND), env)
    assert (preset.name, preset.model, preset.kin) == ("env", model, kin)


def test_a_preset_without_a_family_hides_none_that_another_states(
    tmp_path: Path,
) -> None:
    file = OF_ONE_KIND.replace(
        "presets:\n", "presets:\n  first: {provider: here, model: little}\n"
    )
    env = {"OPENAI_BASE_URL": "https://elsewhere.example/v1", "OPENAI_MODEL": "little"}
    preset, _ = choose_preset(None, loaded(tmp_path, file), env)
    assert preset.family == "tall"


def test_an_environment_without_a_model_is_of_no_family_of_the_file(
    tmp_path: Path,
) -> None:
    models = loaded(tmp_path, OF_ONE_KIND)
    preset, _ = choose_preset(None, models, {"OPENAI_API_KEY": "k"})
    assert (preset.family, preset.kin) == (None, "env")


def test_judges_are_chosen_by_name_and_are_presets_of_the_run(tmp_path: Path) -> None:
    settings = Settings(
        topic="t",
        preset="bare",
        candidate_presets=("small",),
        judge_presets=("large", "small"),
    )
    models = loaded(tmp_path, OF_ONE_KIND)
    choice = choose_presets(settings, models, {})
    assert [preset.name for preset in choice.judges] == ["large", "small"]
    assert [preset.name for preset in choice.all()] == ["bare", "small", "large"]
    assert choose_presets(Settings(topic="t", preset="bare"), models, {}).judges == ()
    unknown = Settings(topic="t", preset="bare", judge_presets=("large", "nobody"))
    with pytest.raises(SettingsError, match="preset nobody is not in"):
        choose_presets(unknown, models, {})


def test_a_judge_needs_a_price_and_a_key_as_any_other_preset(tmp_path: Path) -> None:
    models = loaded(tmp_path, GOOD)
    judged = Settings(topic="t", preset="mine", judge_presets=("theirs",), max_cost=1.0)
    choice = choose_presets(judged, models, {})
    with pytest.raises(SettingsError, match="preset theirs needs a key: set AWAY_KEY"):
        check_keys(choice, {})
    check_keys(choice, {"AWAY_KEY": "sk-1"})
    unpriced = loaded(tmp_path, OF_ONE_KIND)
    with pytest.raises(SettingsError, match=r"--max-cost needs .* \(preset unpriced\)"):
        choose_presets(
            Settings(
                topic="t", preset="builtin", judge_presets=("unpriced",), max_cost=1.0
            ),
            unpriced,
            {},
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "other"),
        ("family", "other"),
        ("base_url", "http://127.0.0.1:9/v1"),
        ("context", 8000),
        ("words", 99),
        ("temperature", 0.1),
        ("max_tokens", 9),
        ("extra_body", {"top_p": 0.5}),
    ],
)
def test_a_setting_that_changes_calls_changes_what_is_recorded_for_a_resume(
    name: str, value: Any
) -> None:
    before = Preset(name="one", base_url="http://127.0.0.1:8/v1")
    after = replace(before, **{name: value})
    was, now = (
        Choice(main=one, why="").record()["presets"][0] for one in (before, after)
    )
    assert {key for key in was if was[key] != now[key]} == {name}


def test_the_family_of_every_preset_is_recorded_for_a_resume(tmp_path: Path) -> None:
    settings = Settings(topic="t", preset="plain", judge_presets=("large",))
    choice = choose_presets(settings, loaded(tmp_path, OF_ONE_KIND), {})
    recorded = {one["name"]: one["family"] for one in choice.record()["presets"]}
    assert recorded == {"plain": None, "large": "tall"}


PRICED = """
providers:
  away: {base_url: "https://models.example/v1", price: {input: 9, output: 9}}
presets:
  large: {provider: away, model: big, family: tall, words: 900}
  small: {provider: away, model: little, family: short, price: {input: 1, output: 2}}
"""


@pytest.mark.parametrize(
    ("model", "family", "price"),
    [
        ("big", "tall", Price(input=9, output=9)),
        ("little", "short", Price(input=1, output=2)),
        ("unheard-of", None, None),
    ],
)
def test_another_model_at_the_endpoint_has_its_own_family_and_price(
    tmp_path: Path, model: str, family: str | None, price: Price | None
) -> None:
    settings = Settings(topic="a", preset="large", model=model)
    chosen = choose_presets(settings, loaded(tmp_path, PRICED), {})
    main = chosen.main
    assert (main.name, main.base_url, main.words) == (
        "large",
        "https://models.example/v1",
        900,
    )
    assert (main.model, main.family, main.price) == (model, family, price)


def test_another_model_than_the_built_in_one_needs_an_endpoint(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--model big needs an endpoint"):
        choose_presets(Settings(topic="a", model="big"), loaded(tmp_path, PRICED), {})
