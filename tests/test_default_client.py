"""The client of callers who bring none: built once, from the environment."""

import atexit
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.llm import opening as defaults
from pipeline.llm import opening as endpoints
from pipeline.llm.client import ChatClient
from pipeline.llm.connection import Connection
from pipeline.llm.opening import (
    Opening,
    client_from_environment,
    client_or_default,
    default_client,
    open_connections,
)
from pipeline.models.presets import Preset
from pipeline.models.run_models import environment
from tests.fakes import FAILSAFE_S, Clients, OpenLimit, asking
from tests.loopback_llm import LoopbackLLM


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a key in reach."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def closing(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """What would be closed at the end of the process, closed with the test."""
    with ExitStack() as stack:
        monkeypatch.setattr(atexit, "register", stack.callback)
        yield stack


def test_the_env_file_of_the_folder_is_read_under_what_is_set(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / ".env").write_text(
        "OPENAI_API_KEY=from-file\nOPENAI_MODEL='from file'\nEMPTY\n# OPENAI_X=1\n"
    )
    monkeypatch.setenv("OPENAI_MODEL", "from environment")
    env = environment()
    assert env["OPENAI_API_KEY"] == "from-file"
    assert env["OPENAI_MODEL"] == "from environment"
    assert "EMPTY" not in env
    assert "OPENAI_X" not in env


@pytest.mark.usefixtures("here")
def test_without_an_env_file_the_environment_is_all() -> None:
    assert "OPENAI_API_KEY" not in environment()
    assert environment()["PATH"]


@pytest.mark.usefixtures("here", "closing")
def test_the_environment_makes_a_client_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with LoopbackLLM(models=("lonely",), api_key="k-12345678") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k-12345678")
        client = client_from_environment(lambda _preset: OpenLimit())
        reply = client.complete(asking(), stage="generate", item_id="1")
        assert reply.model == "lonely"


@pytest.mark.usefixtures("here", "closing")
def test_a_remote_endpoint_without_a_key_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example/v1")
    with pytest.raises(SettingsError, match="set OPENAI_API_KEY in the environment"):
        client_from_environment(lambda _preset: OpenLimit())


@pytest.mark.usefixtures("here", "closing")
def test_all_threads_get_the_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[ChatClient] = []

    with LoopbackLLM() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setattr(defaults, "_of_the_process", defaults._OfTheProcess())
        build = defaults.client_from_environment

        def counted(make_limit: object) -> ChatClient:
            built.append(build(make_limit))  # type: ignore[arg-type]  # passed on as it came
            return built[-1]

        monkeypatch.setattr(defaults, "client_from_environment", counted)
        start = threading.Barrier(6)

        def get(_number: int) -> ChatClient:
            start.wait(FAILSAFE_S)
            return default_client()

        with ThreadPoolExecutor(6) as pool:
            found = set(map(id, pool.map(get, range(6), timeout=FAILSAFE_S)))
    assert len(built) == len(found) == 1
    assert client_or_default(None) is built[0]


def test_a_client_that_is_brought_is_used(client_of: Clients) -> None:
    with LoopbackLLM() as server:
        client = client_of(server)
        assert client_or_default(client) is client


def test_every_key_is_checked_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_args: object) -> Connection:
        raise AssertionError("opened")

    monkeypatch.setattr(endpoints, "Connection", never)
    presets = [
        Preset(name="local", base_url="http://127.0.0.1:1/v1", model="m"),
        Preset(name="away", base_url="https://x.example/v1", key_env="X_KEY"),
    ]
    how = Opening(env={}, make_limit=lambda _preset: OpenLimit())
    with ExitStack() as closing, pytest.raises(SettingsError, match="set X_KEY"):
        open_connections(presets, how, closing=closing)


def test_connections_keep_the_order_of_their_presets() -> None:
    with LoopbackLLM() as server, ExitStack() as closing:
        presets = [
            Preset(name=name, base_url=server.base_url, model=name) for name in "cab"
        ]
        how = Opening(env={}, make_limit=lambda _preset: OpenLimit())
        opened = open_connections(presets, how, closing=closing)
        assert list(opened) == ["c", "a", "b"]
        assert [connection.model for connection in opened.values()] == ["c", "a", "b"]
