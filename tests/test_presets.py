"""Presets: what models.yaml may say, which one a run uses, where its key is."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.models.models_file import DEFAULT_MODELS_FILE, ModelsFile, load_models
from pipeline.models.presets import BUILTIN_PRESET, Preset, key_of
from pipeline.models.prices import Price
from pipeline.models.run_models import choose_preset, choose_presets
from pipeline.settings import Settings

GOOD = """
default_preset: mine
providers:
  here: {base_url: "http://127.0.0.1:8080/v1", price: {input: 0, output: 0}}
  away:
    base_url: https://models.example/v1
    key_env: AWAY_KEY
    extra_body: {top_k: 1, min_p: 0.1}
    max_concurrent: 4
presets:
  mine: {provider: here}
  theirs:
    provider: away
    model: big
    price: {input: 1.25, output: 10}
    extra_body: {top_k: 2}
    context: 4096
"""


def loaded(tmp_path: Path, text: str) -> ModelsFile:
    path = tmp_path / "models.yaml"
    path.write_text(text, encoding="utf-8")
    return load_models(path)


def error_of(tmp_path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    return str(caught.value)


def test_a_preset_has_what_its_provider_states_and_its_own_first(
    tmp_path: Path,
) -> None:
    theirs = loaded(tmp_path, GOOD).preset("theirs")
    assert theirs == Preset(
        name="theirs",
        base_url="https://models.example/v1",
        key_env="AWAY_KEY",
        model="big",
        price=Price(input=1.25, output=10),
        extra_body={"top_k": 2, "min_p": 0.1},
        max_concurrent=4,
        context=4096,
    )
    assert theirs.is_short
    assert theirs.price is not None
    assert theirs.price.cost(1_000_000, 100_000) == pytest.approx(2.25)


def test_the_file_that_comes_with_the_program_is_valid() -> None:
    models = load_models(DEFAULT_MODELS_FILE)
    presets = [models.preset(name) for name in models.names()]
    assert presets[-1] is BUILTIN_PRESET
    assert len(presets) > 3


def test_an_empty_file_leaves_the_builtin_model(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").names() == ["builtin"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("providers:\n  a: {base_url: [", "cannot be read at line 2"),
        ("a: 1\n\tb: 2", "cannot be read at line 2"),
        ("a: 2024-13-45", "cannot be read (month must be in"),
        ("- a\n- b", "line 1, top level: input should be a valid dictionary"),
        (
            "providers:\n\n  p:\n    base_url: ftp://x",
            "line 4, providers.p.base_url: must",
        ),
        ("presets:\n  p: {model: x}", "line 2, presets.p.provider: field required"),
        (
            "presets:\n  p:\n    provider: x\n    speed: 3",
            "line 4, presets.p.speed: extra",
        ),
        (
            "presets:\n  p:\n    provider: x\n    max_concurrent: 0",
            "line 4, presets.p.max_concurrent: input should be greater than or equal to"
            " 1, got 0; mend it",
        ),
        (
            "presets:\n  p:\n    provider: x\n    family: ''",
            "line 4, presets.p.family: string should have at least 1 character",
        ),
        (
            "presets:\n  p:\n    provider: x\n    temperature: .nan",
            "line 4, presets.p.temperature: input should be",
        ),
        (
            "presets:\n  p:\n    provider: x\n    price: {input: -1, output: 1}",
            "line 4, presets.p.price.input: input should be greater than or equal to 0,"
            " got -1; mend it",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line_its_rule_and_a_remedy(
    text: str, said: str, tmp_path: Path
) -> None:
    error = error_of(tmp_path, text)
    assert said in error
    assert error.startswith(f"models file {tmp_path}/models.yaml")
    assert "\n" not in error
    assert error.endswith("mend it")


def test_a_key_written_into_the_file_is_not_repeated(tmp_path: Path) -> None:
    text = "providers:\n  p: {base_url: 'http://x', api_key: sk-secret-1234}"
    assert "sk-secret" not in error_of(tmp_path, text)


@hypothesis_settings(max_examples=60)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from([*"{}[]:-&*!|>\n\t '\"#%@`", "providers", "p", "&a *a", "\0"]),
        max_size=30,
    ).map("".join)
)
def test_no_text_crashes_the_reader(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(SettingsError):
        load_models(path)


def test_a_file_nested_without_end_is_no_crash(tmp_path: Path) -> None:
    assert "cannot be read" in error_of(tmp_path, "[" * 5000)


def test_a_missing_file_says_which_flag_names_one(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"cannot be read.*name one by --models-file"
    ):
        load_models(tmp_path / "none.yaml")


def test_an_unknown_preset_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError,
        match=r"preset nope is not in .*; use one of mine, theirs, builtin",
    ):
        loaded(tmp_path, GOOD).preset("nope")


def test_an_unknown_provider_is_named(tmp_path: Path) -> None:
    models = loaded(tmp_path, "presets:\n  p: {provider: gone}")
    with pytest.raises(SettingsError, match=r"names the provider gone.*add it under"):
        models.preset("p")


ENVIRONMENT = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_API_KEY": "k"}


def test_the_preset_named_comes_first_then_environment_file_and_builtin(
    tmp_path: Path,
) -> None:
    models = loaded(tmp_path, GOOD)
    bare = loaded(tmp_path, GOOD.replace("default_preset: mine", ""))

    def chosen(*args: Any) -> tuple[str, str]:
        preset, why = choose_preset(*args)
        return preset.name, why

    assert chosen("theirs", models, ENVIRONMENT) == ("theirs", "--preset theirs")
    assert chosen(None, models, ENVIRONMENT) == (
        "env",
        "OPENAI_BASE_URL and OPENAI_API_KEY set",
    )
    assert chosen(None, models, {"OPENAI_API_KEY": "k"})[0] == "env"
    assert chosen(None, models, {}) == ("mine", "default_preset of the models file")
    assert chosen(None, models, {"OPENAI_API_KEY": ""})[0] == "mine"
    assert chosen(None, bare, {"OPENAI_MODEL": "big"})[0] == "builtin"


def test_the_environments_endpoint_is_openais_unless_it_names_one() -> None:
    preset, _ = choose_preset(None, ModelsFile(), {"OPENAI_API_KEY": "k"})
    assert (preset.base_url, preset.model) == ("https://api.openai.com/v1", None)
    assert preset.key_env == "OPENAI_API_KEY"
    assert preset.price is None


def test_a_preset_that_states_the_environments_model_is_used(tmp_path: Path) -> None:
    env = {"OPENAI_BASE_URL": "https://models.example/v1", "OPENAI_MODEL": "big"}
    preset, why = choose_preset(None, loaded(tmp_path, GOOD), env)
    assert (preset.name, why) == ("theirs", "OPENAI_BASE_URL set")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "ftp://x",
        "http://",
        "http://[",
        "http://[zz]/v1",
        "http://host:port/v1",
        "http://a:99999/v1",
        "http://exa mple/v1",
    ],
)
def test_a_url_that_names_no_server_is_an_error_with_an_example(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        choose_preset(None, ModelsFile(), {"OPENAI_BASE_URL": url})
    error = str(caught.value)
    assert error.startswith("OPENAI_BASE_URL must ")
    assert f"got {url}; for example http://127.0.0.1:8080/v1" in error


def test_a_preset_without_its_key_names_the_variable(tmp_path: Path) -> None:
    theirs = loaded(tmp_path, GOOD).preset("theirs")
    for env in ({}, {"AWAY_KEY": "  "}):
        with pytest.raises(
            SettingsError, match="preset theirs needs a key: set AWAY_K"
        ):
            key_of(theirs, env)
    assert key_of(theirs, {"AWAY_KEY": " sk-1 "}) == "sk-1"


def test_a_server_on_this_machine_needs_no_key() -> None:
    local = Preset(name="p", base_url="http://localhost:1/v1", key_env="SOME_KEY")
    assert key_of(local, {}) == "none"
    assert key_of(local, {"SOME_KEY": "k"}) == "k"
    assert key_of(BUILTIN_PRESET, {}) == "none"


def test_the_label_says_model_and_place() -> None:
    assert BUILTIN_PRESET.label == "smollm2-135m-instruct, built in"
    away = Preset(name="p", base_url="https://models.example/v1")
    assert away.label == "the only model at models.example"


def test_a_limit_on_cost_needs_the_price_of_every_preset(tmp_path: Path) -> None:
    models = loaded(tmp_path, GOOD)
    settings = Settings(topic="t", max_cost=1.0, candidate_presets=("mine",))
    with pytest.raises(SettingsError, match=r"--max-cost needs .* \(preset env\)"):
        choose_presets(settings, models, {"OPENAI_API_KEY": "k"})
    choice = choose_presets(settings, models, {})
    assert [preset.name for preset in choice.all()] == ["mine"]


def test_writers_and_main_are_told_apart_and_recorded_without_a_key(
    tmp_path: Path,
) -> None:
    settings = Settings(topic="t", candidate_presets=("theirs", "mine", "theirs"))
    choice = choose_presets(settings, loaded(tmp_path, GOOD), {"AWAY_KEY": "sk-1"})
    assert [preset.name for preset in choice.writers] == ["theirs", "mine", "theirs"]
    assert [preset.name for preset in choice.all()] == ["mine", "theirs"]
    assert "sk-1" not in str(choice.record())
    assert choice.record()["presets"][1]["model"] == "big"
