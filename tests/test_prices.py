"""What calls cost, where the price is from, and what is not known."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.llm.answers import usage_in
from pipeline.llm.connection import Attempt
from pipeline.llm.ledger import Ledger, Work
from pipeline.llm.outcome import Kind, Outcome
from pipeline.metrics import PipelineMetrics, Usage
from pipeline.models.models_file import DEFAULT_MODELS_FILE, load_models
from pipeline.models.presets import BUILTIN_PRESET, Preset
from pipeline.models.prices import ListedPrice, Price, listed_price
from pipeline.models.run_models import choose_preset, choose_presets
from pipeline.settings import Settings
from tests.fakes import Clients, asking
from tests.loopback_llm import LoopbackLLM

OPENAI = "https://api.openai.com/v1"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"
ROUTER = "https://openrouter.ai/api/v1"
LISTED = (
    listed_price(OPENAI, "gpt-5-mini"),
    listed_price(GEMINI, "gemini-2.5-pro"),
    listed_price("https://api.deepseek.com", "deepseek-chat"),
    listed_price(ROUTER, "~deepseek/deepseek-pro-latest"),  # dear to read from a cache
)
TOKENS = st.integers(0, 2_000_000)


def preset(base_url: str, model: str | None = None, **more: Any) -> Preset:
    return Preset(name="p", base_url=base_url, model=model, **more).priced()


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (OPENAI, "gpt-5-mini"),
        (OPENAI + "/", "GPT-5-mini"),
        ("https://API.openai.com:443/v1", "gpt-5-mini-2025-08-07"),
        (OPENAI, "gpt-5-mini-20250807"),
        (GEMINI, "models/gemini-2.5-flash"),
        (ROUTER, "anthropic/claude-sonnet-4.5"),
        ("https://api.mistral.ai/v1", "mistral-large-latest"),
        ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
        ("https://api.deepseek.com", "deepseek-chat"),
    ],
)
def test_a_model_that_the_data_name_has_a_price(base_url: str, model: str) -> None:
    found = preset(base_url, model)
    assert found.price is not None
    assert found.price.cost(1000, 1000) > found.price.cost(1000, 0) > 0.0
    assert found.price_source.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (OPENAI, "gpt-5-mini-foo"),
        (GEMINI, "gemini-2.5-pro-foo"),  # the data match by how names begin
        (GEMINI, "gemini-2.5-pro-1"),
        ("https://api.anthropic.com/v1", "claude-opus-4-10"),
        (OPENAI, "text-embedding-3-small"),  # has no price for what it writes
        ("https://api.openai.com.example/v1", "gpt-5-mini"),
        ("http://10.0.0.7:8000/v1", "gpt-5-mini"),
        (OPENAI, None),
    ],
)
def test_a_model_that_only_resembles_one_has_none(
    base_url: str, model: str | None
) -> None:
    found = preset(base_url, model)
    assert (found.price, found.price_source) == (None, "unknown")


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "127.0.0.1", "127.3.2.1", "127.1", "[::1]"),
        "0.0.0.0",  # noqa: S104 - nothing is bound
    ],
)
def test_this_machine_costs_nothing_however_it_is_named(host: str) -> None:
    found = preset(f"http://{host}:8080/v1/", "gpt-5-mini")
    assert (found.price, found.price_source) == (
        Price(input=0, output=0),
        "on this machine",
    )
    env = {"OPENAI_BASE_URL": f"http://{host}:8080/v1/"}
    chosen, _ = choose_preset(None, load_models(DEFAULT_MODELS_FILE), env)
    assert chosen.price_source == "on this machine"
    assert preset(f"http://{host}/v1", price=Price(input=1, output=2)).price_source == (
        "models.yaml"
    )


@pytest.mark.parametrize(
    "host", ["host.docker.internal", "127.example.com", "10.0.0.1"]
)
def test_another_machine_is_not_this_one(host: str) -> None:
    assert preset(f"http://{host}:8080/v1", "llama").price is None


def test_a_slash_at_the_end_of_a_url_loses_no_price(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(
        "providers: {lan: {base_url: 'http://10.0.0.7:8000/v1/', price: {input: 1,"
        " output: 2}}}\npresets: {p: {provider: lan, model: m}}\n"
    )
    models = load_models(path)
    for url in ("http://10.0.0.7:8000/v1", "http://10.0.0.7:8000/v1//"):
        for model in ("m", "another"):
            env = {"OPENAI_BASE_URL": url, "OPENAI_MODEL": model}
            chosen, _ = choose_preset(None, models, env)
            assert chosen.base_url == "http://10.0.0.7:8000/v1"
            assert chosen.price == Price(input=1, output=2)


def test_a_limit_on_cost_works_with_a_price_of_the_library() -> None:
    models = load_models(DEFAULT_MODELS_FILE)
    env = {"OPENAI_API_KEY": "k", "OPENAI_MODEL": "gpt-5-mini"}
    choice = choose_presets(Settings(topic="t", max_cost=1.0), models, env)
    assert isinstance(choice.main.price, ListedPrice)


def test_each_model_of_the_models_file_is_in_the_price_data() -> None:
    models = load_models(DEFAULT_MODELS_FILE)
    shipped = [models.preset(name) for name in models.presets]
    priced = {each.name: each.price_source for each in shipped}
    assert {n for n, source in priced.items() if source == "unknown"} == set()
    away = [each for each in shipped if not each.is_on_this_machine]
    assert len(away) >= 5
    assert all(isinstance(each.price, ListedPrice) for each in away)
    assert BUILTIN_PRESET.price_source == "on this machine"


def test_a_long_prompt_costs_what_its_tier_says() -> None:
    price = listed_price(GEMINI, "gemini-2.5-pro")
    assert price is not None
    assert price.cost(400_000, 0) > 2 * price.cost(200_000, 0)


@given(
    price=st.builds(
        Price,
        input=st.floats(0, 100),
        output=st.floats(0, 100),
        cached=st.none() | st.floats(0, 200),
    )
    | st.sampled_from([price for price in LISTED if price is not None]),
    prompt=TOKENS,
    completion=TOKENS,
    cached=TOKENS,
)
def test_cached_tokens_never_make_a_call_dearer(
    price: Price | ListedPrice, prompt: int, completion: int, cached: int
) -> None:
    full = price.cost(prompt, completion)
    assert 0.0 <= price.cost(prompt, completion, cached=cached) <= full * (1 + 1e-9)


def test_cached_tokens_cost_their_own_price() -> None:
    assert Price(input=2, output=8, cached=0.5).cost(1000, 100, cached=400) == (
        pytest.approx((600 * 2 + 400 * 0.5 + 100 * 8) / 1e6)
    )


REQUESTS = st.lists(
    st.builds(
        Usage,
        prompt_tokens=TOKENS,
        completion_tokens=TOKENS,
        told_cost=st.none() | st.floats(0, 5),
    ),
    min_size=1,
    max_size=6,
)


def done(requests: list[Usage], price: Price | ListedPrice | None) -> Work:
    work = Work(key="k", stage="score", item_id="1", model="m", price=price)
    for usage in requests:
        work.add(Attempt(outcome=Outcome(kind=Kind.OK, text="t", usage=usage)))
    return work


@given(data=st.data(), calls=st.lists(REQUESTS, min_size=1, max_size=5))
def test_a_run_costs_the_sum_over_its_calls_in_any_order(
    data: st.DataObject, calls: list[list[Usage]]
) -> None:
    price = Price(input=1.0, output=4.0)
    each = [
        price.cost(usage.prompt_tokens, usage.completion_tokens)
        if usage.told_cost is None
        else usage.told_cost
        for call in calls
        for usage in call
    ]
    metrics = PipelineMetrics()
    ledger = Ledger(metrics=metrics)
    for call in data.draw(st.permutations(calls)):
        ledger.note_finished(done(data.draw(st.permutations(call)), price))
    assert ledger.spent == pytest.approx(sum(each))
    assert metrics.snapshot().total.known_cost == pytest.approx(sum(each))


def test_one_request_without_a_price_makes_the_sum_unknown() -> None:
    told = Usage(prompt_tokens=1, completion_tokens=1, told_cost=0.25)
    untold = Usage(prompt_tokens=1, completion_tokens=1)
    assert done([told, told], None).cost == 0.5
    assert done([told, untold], None).cost is None
    ledger = Ledger(metrics=PipelineMetrics())
    ledger.note_finished(done([untold], None))
    ledger.note_finished(done([told], None))
    assert ledger.spent is None


COUNTS = {"prompt_tokens": 100, "completion_tokens": 10}


@pytest.mark.parametrize(
    ("more", "cached", "cost", "completion"),
    [
        ({}, 0, None, 10),
        ({"prompt_tokens_details": {"cached_tokens": 60}}, 60, None, 10),
        ({"prompt_tokens_details": None, "prompt_cache_hit_tokens": 7}, 7, None, 10),
        ({"prompt_tokens_details": {"cached_tokens": 900}}, 100, None, 10),
        ({"cost": 0.5, "total_tokens": 110}, 0, 0.5, 10),
        ({"cost": 0}, 0, 0.0, 10),
        ({"cost": -1}, 0, None, 10),
        ({"cost": True}, 0, None, 10),
        ({"cost": {"total_cost": 1}}, 0, None, 10),
        ({"cost": float("nan")}, 0, None, 10),
        (
            {
                "cost": 0.01,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.2},
            },
            0,
            0.21,
            10,
        ),
        ({"total_tokens": 150}, 0, None, 50),  # thinking, counted apart
        ({"total_tokens": 20}, 0, None, 10),
        ({"completion_tokens": -1}, 0, None, 0),  # no price is asked for less than none
    ],
)
def test_the_servers_usage_is_read(
    more: dict[str, Any], cached: int, cost: float | None, completion: int
) -> None:
    usage = usage_in({**COUNTS, **more})
    assert usage is not None
    assert usage.cached_tokens == cached
    assert usage.told_cost == (None if cost is None else pytest.approx(cost))
    assert usage.completion_tokens == completion


@pytest.mark.parametrize(
    ("usage", "price", "cost", "source"),
    [
        ({"cost": 0.125}, Price(input=9, output=9), 0.125, "the server's usage.cost"),
        ({"cost": 0.125}, None, 0.125, "the server's usage.cost"),
        ({}, None, None, "unknown"),
        ({}, Price(input=0, output=0), 0.0, "models.yaml"),
    ],
)
def test_what_the_server_says_is_believed_before_any_table(
    client_of: Clients,
    usage: dict[str, Any],
    price: Price | None,
    cost: float | None,
    source: str,
) -> None:
    metrics = PipelineMetrics()
    with LoopbackLLM(usage=usage) as server:
        client = client_of(server, ledger=Ledger(metrics=metrics), price=price)
        client.complete(asking(), stage="generate", item_id="1")
    assert client.ledger.spent == cost
    sums = metrics.snapshot().models["m"].as_dict()
    assert sums["cost"] == ("unknown" if cost is None else cost)
    assert sums["cost_sources"] == [source]
