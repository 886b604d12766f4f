"""A run with two endpoints, one of which ends: only its own work goes with it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_fakes import Cli
from tests.loopback_llm import Faults, LoopbackLLM
from tests.process_runs import even_marks
from tests.test_cli import SMALL
from tests.test_judging_cli import MODELS

WAYS = [("--parallel", "--max-concurrent", "6"), ("--enable-synthesis",)]


@pytest.fixture
def main_server() -> Iterator[LoopbackLLM]:
    with LoopbackLLM(answer=even_marks) as one:
        yield one


def run_beside(cli: Cli, main: LoopbackLLM, other: str, *flags: object) -> Any:
    Path("models.yaml").write_text(MODELS.format(one=main.base_url, two=other))
    return cli(
        *(*SMALL, "--models-file", "models.yaml", "--output", "bar"),
        *("--preset", "writer", *flags),
    )


@pytest.mark.parametrize("way", WAYS, ids=["parallel", "sequential"])
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"api_key": "another"}, "Incorrect API key"),
        ({"faults": Faults(always="402")}, "Insufficient"),
    ],
    ids=["wrong key", "spent"],
)
def test_the_drafts_of_an_endpoint_that_ends_are_written_by_the_main_one(
    cli: Cli,
    main_server: LoopbackLLM,
    way: tuple[str, ...],
    how: dict[str, Any],
    says: str,
) -> None:
    with LoopbackLLM(**how) as two:
        ran = run_beside(
            cli,
            main_server,
            two.base_url,
            *("--candidate-presets", "writer,stranger", *way),
        )
        asked_of_two = two.state().hits
    assert ran.code == 0, ran.err
    first = ran.out.splitlines()[0]
    assert first.startswith("NOTE: preset stranger is out of use (")
    assert says in first
    assert "writer wrote its drafts (2, 4)" in first
    assert asked_of_two <= 2  # never asked again once it is known
    drafts = cli.artifacts("bar")["candidates"]
    assert [draft["preset"] for draft in drafts] == ["writer"] * 5
    assert all(score["votes"] == 3 for score in cli.artifacts("bar")["scores"])


@pytest.mark.parametrize("way", WAYS, ids=["parallel", "sequential"])
def test_the_votes_of_an_endpoint_that_ends_abstain(
    cli: Cli, main_server: LoopbackLLM, way: tuple[str, ...]
) -> None:
    with LoopbackLLM(api_key="another") as two:
        ran = run_beside(
            cli,
            main_server,
            two.base_url,
            *("--judge-presets", "writer,stranger,stranger", *way),
        )
    assert ran.code == 0, ran.err
    first = ran.out.splitlines()[0]
    assert first.startswith("NOTE: preset stranger is out of use (")
    assert "votes of it are missing" in first
    assert "  vote 1 on card 1: preset stranger is out of use: " in ran.out
    assert cli.artifacts("bar")["scores"] == []


@pytest.mark.parametrize("way", WAYS, ids=["parallel", "sequential"])
def test_the_run_ends_with_its_main_endpoint(cli: Cli, way: tuple[str, ...]) -> None:
    with LoopbackLLM(api_key="another") as one, LoopbackLLM() as two:
        ran = run_beside(
            cli, one, two.base_url, "--candidate-presets", "writer,stranger", *way
        )
    assert ran.code == 1
    assert re.search("\nerror: .*Incorrect API key", ran.err)
