"""A key goes to its server, encrypted or not at all, and nowhere else."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.llm.client import ChatClient
from pipeline.llm.opening import Opening, open_connections
from pipeline.models.presets import Preset
from tests.cli_fakes import Cli
from tests.fakes import OpenLimit, asking
from tests.loopback_llm import ChatRequest, Fixed, LoopbackLLM
from tests.loopback_replies import content_for
from tests.process_runs import (
    FILES,
    KEY,
    SMALL,
    START_S,
    Runner,
    ended,
    even_marks,
)

PARALLEL = (*SMALL, "--iterations", "3", "--parallel", "--max-concurrent", "4")


@pytest.fixture(autouse=True)
def _key(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.folder.exists()  # it empties the environment first
    monkeypatch.setenv("OPENAI_MODEL", "loopback")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def test_a_key_is_in_no_line_and_no_file_and_not_in_the_process_title(
    tmp_path: Path,
) -> None:
    with LoopbackLLM(api_key=KEY, service=Fixed(0.2), answer=echoed) as server:
        env = {"OPENAI_API_KEY": KEY}
        runner = Runner(folder=tmp_path, base_url=server.base_url, env=env)
        process = runner.start(*PARALLEL, "--verbose")
        server.wait_for(in_flight=1, timeout_s=START_S)
        title = Path(f"/proc/{process.pid}/cmdline")
        assert not title.exists() or KEY not in title.read_text()
        end = ended(process)
    assert end.code == 0, end.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    written = [end.out, end.err, *(path.read_text() for path in files)]
    assert not [text for text in written if KEY in text]
    assert "[redacted]" in runner.outputs()["FINAL.md"].decode()


def echoed(request: ChatRequest) -> Any:
    """Articles that hold the key."""
    if request.stage in {"generate", "synthesize"}:
        return f"{content_for(request)}\n\nYour key is {KEY}.\n"
    return even_marks(request)


def test_a_reply_that_echoes_the_key_is_the_same_when_it_is_replayed(
    cli: Cli,
) -> None:
    def echo(request: ChatRequest) -> Any:
        if request.stage == "generate":
            return f"# A log\n\nKeep it. The key is {KEY}. It is dry."
        return even_marks(request)

    with LoopbackLLM(answer=echo) as server:
        cli.use(server.base_url)
        assert cli(*PARALLEL).code == 0
        before = [cli.file("bar", name) for name in FILES]
        hits = server.state().hits
        assert cli("--resume", cli.run_of("bar")).code == 0
        assert [cli.file("bar", name) for name in FILES] == before
        assert server.state().hits == hits


INSECURE = "http://models.invalid/v1"


def test_a_key_is_not_sent_in_plain_text_to_another_machine(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.use(INSECURE)
    ran = cli(*PARALLEL, "--quiet", "--max-outage", 0)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert "OPENAI_API_KEY would go to http://models.invalid/v1 unencrypted" in line
    assert "--allow-insecure" in line
    assert KEY not in line
    assert not list(cli.folder.glob("outputs/*/*"))
    monkeypatch.delenv("OPENAI_MODEL")
    ran = cli(*PARALLEL, "--quiet", "--allow-insecure")
    assert "did not say which models it has" in ran.err, "it was to be tried"


def test_a_user_name_in_the_address_is_refused_and_not_shown(cli: Cli) -> None:
    cli.use("https://me:hunter2hunter2@models.invalid/v1")
    ran = cli(*PARALLEL, "--quiet")
    assert ran.code == 2
    assert "OPENAI_BASE_URL must hold no user name or password" in ran.err
    assert "hunter2" not in ran.err


def test_what_opens_endpoints_does_not_show_the_environment() -> None:
    opening = Opening(env={"SOME_KEY": KEY}, make_limit=lambda _preset: OpenLimit())
    assert KEY not in repr(opening)


def test_no_server_can_pass_on_the_key_of_another() -> None:
    with (
        LoopbackLLM(answer=lambda _request: f"It is {KEY}.") as server,
        ExitStack() as closing,
    ):
        presets = [
            Preset(name=name, base_url=server.base_url, model="m", key_env=name)
            for name in ("ONE_KEY", "OTHER_KEY")
        ]
        how = Opening(
            env={"ONE_KEY": "sk-one-0123456789", "OTHER_KEY": KEY},
            make_limit=lambda _preset: OpenLimit(),
        )
        client = ChatClient(open_connections(presets, how, closing=closing))
        reply = client.complete(asking(), stage="generate", item_id="1")
    assert reply.text == "It is [redacted]."
