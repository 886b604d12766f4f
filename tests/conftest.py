"""Fixtures; the doubles they hand out live in fakes.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.cli_fakes import Cli
from tests.fakes import Clients
from tests.loopback_llm import LoopbackLLM
from tests.process_runs import even_marks

# More examples found nothing more; a deadline would make the machine's speed a result.
settings.register_profile("project", max_examples=50, deadline=None)
settings.load_profile("project")


@pytest.fixture
def client_of() -> Iterator[Clients]:
    """Makes chat clients to a simulated server and closes them at the end."""
    clients = Clients()
    yield clients
    clients.close()


@pytest.fixture
def cli(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Cli]:
    """The command in an empty folder, without a variable of the user's."""
    one = Cli(tmp_path, monkeypatch, capsys)
    yield one
    one.close()


@pytest.fixture
def even_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackLLM]:
    """A server for the command that gives every draft the same marks."""
    monkeypatch.setenv("OPENAI_MODEL", "loopback")
    with LoopbackLLM(answer=even_marks) as server:
        cli.use(server.base_url)
        yield server
