"""`--check`: what each endpoint of a run can do, before anything else is asked."""

import re
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.models.models_file import ModelsFile
from tests.cli_fakes import PRICED, Cli, Ran
from tests.loopback_llm import Cap, Faults, Fixed, LoopbackLLM, Slots

WAY = ("--topic", "Why keep a log", "--check")


def rows_of(ran: Ran) -> dict[str, str]:
    lines = ran.out.split("\n\n")[0].splitlines()[1:]
    pairs = (re.split(r"  +", line, maxsplit=1) for line in lines)
    return {pair[0]: pair[-1] for pair in pairs}


def checked(cli: Cli, **how: Any) -> tuple[Ran, dict[str, str], LoopbackLLM]:
    with LoopbackLLM(**how) as server:
        cli.use(server.base_url)
        ran = cli(*WAY)
        served = server.log()
    assert not (cli.folder / "outputs").exists()
    assert (
        sum(one.prompt_tokens for one in served) > 2000
    )  # one is as long as the run's
    return ran, rows_of(ran), server


def test_what_an_endpoint_can_do_is_a_table_and_a_piece_for_the_models_file(
    cli: Cli,
) -> None:
    ran, rows, server = checked(cli, service=Fixed(0.05))
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"loopback at {server.base_url} (preset env)\n")
    assert rows["models"] == "1: loopback"
    assert rows["answers"] == "yes"
    assert rows["streams"].startswith("yes, the first piece after ")
    assert rows["forms"] == "json_schema, held to by the server"
    assert (rows["seed"], rows["temperature"]) == ("taken", "taken")
    assert rows["usage"] == "counted"
    assert rows["longest prompt"].endswith("about as long as the run's: read whole")
    assert rows["two at once"].endswith("times as fast as one after the other")
    assert rows["price"] == "$0.00 (on this machine)"
    assert "planned: 36 calls" in ran.out
    piece = ran.out.split("for models.yaml:\n")[1].split("\n\n")[0]
    file = ModelsFile.model_validate(yaml.safe_load(piece))
    preset = file.preset("loopback")
    assert (preset.base_url, preset.model) == (server.base_url, "loopback")


@pytest.mark.parametrize(
    ("how", "row", "says"),
    [
        ({"refuses": {"seed", "temperature"}}, "seed", "not taken"),
        ({"refuses": {"seed", "temperature"}}, "temperature", "not taken"),
        ({"habit": "refuses_schema"}, "forms", "json_object; the schema stands in"),
        (
            {"habit": "refuses_schema", "refuses_json_object": True},
            "forms",
            "by the prompt alone",
        ),
        ({"streams": "refuses"}, "streams", "no: an answer comes whole"),
        ({"usage": False}, "usage", "not counted: it is guessed"),
        ({"usage": False}, "longest prompt", "whether it is read whole is not said"),
        ({"reads_tokens": 1024}, "longest prompt", "reads only 1024 tokens of longer"),
    ],
)
def test_what_an_endpoint_lacks_stands_in_its_line(
    cli: Cli, how: dict[str, Any], row: str, says: str
) -> None:
    ran, rows, _ = checked(cli, **how)
    assert ran.code == 0, ran.err
    assert says in rows[row]


def test_a_server_with_one_slot_is_no_faster_with_two_calls(cli: Cli) -> None:
    caps: Cap = Slots(1)
    ran, rows, _ = checked(cli, caps=caps, service=Fixed(0.3))
    assert rows["two at once"] == "no faster than one after the other"
    assert "max_concurrent: 1" in ran.out


def test_a_context_that_cuts_prompts_is_written_for_the_models_file(cli: Cli) -> None:
    ran, _, _ = checked(cli, reads_tokens=2048)
    assert "context: 2048" in ran.out


def test_nobody_there_is_said_at_once(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unheard:
        port = unheard.getsockname()[1]
    cli.use(f"http://127.0.0.1:{port}/v1")
    ran = cli(*WAY)
    assert ran.code == 1
    assert "answers  no: connection failed" in ran.out
    assert "is the server running, and is this its address and port?" in ran.out
    assert list(cli.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"api_key": "another"}, "Incorrect API key"),
        ({"faults": Faults(always="402")}, "the server answered 402"),
        ({"models": ("one", "two")}, r"offers 2 models \(one, two\); name the one"),
    ],
)
def test_an_endpoint_of_no_use_is_said_in_its_own_words(
    cli: Cli, how: dict[str, Any], says: str
) -> None:
    with LoopbackLLM(**how) as server:
        cli.use(server.base_url)
        ran = cli(*WAY)
    assert ran.code == 1
    assert re.search(f"answers +no: .*{says}", ran.out)
    assert "planned" not in ran.out


def test_every_endpoint_of_the_run_is_asked_with_its_price(cli: Cli) -> None:
    with LoopbackLLM() as server:
        file = PRICED % server.base_url + "  judge: {provider: loop, model: other}\n"
        Path("m.yaml").write_text(file)
        flags = ("--models-file", "m.yaml", "--preset", "priced")
        ran = cli(*WAY, *flags, "--judge-presets", "judge")
        assert {one.model for one in server.log()} == {"loopback", "other"}
    assert "(preset priced)" in ran.out
    assert "(preset judge)" in ran.out
    assert rows_of(ran)["price"] == (
        "$1000.00 in, $1000.00 out a million tokens (models.yaml)"
    )
