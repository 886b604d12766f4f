"""The child process of the built-in model: how it starts, and that it always ends."""

import http.client
import os
import signal
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import urlsplit

import pytest

from pipeline.errors import SettingsError
from pipeline.models import builtin_model
from pipeline.models.builtin_model import (
    ALIAS,
    NOTICE,
    BuiltinServer,
    default_threads,
    start_builtin_model,
)
from tests.child_programs import FAILSAFE_S, run_program, wait_for_end

STAND_IN = """
    import http.server, os, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(STATUS)
            self.end_headers()
            self.wfile.write(" ".join(sys.argv[1:]).encode())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    print("a word of no use")
    print("loud", file=sys.stderr)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    import threading
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)
"""


def stand_in(folder: Path, code: str = STAND_IN, status: int = 200) -> Path:
    """Write a server without a model, to be started in the real one's place."""
    path = folder / "server.py"
    path.write_text(dedent(code).replace("STATUS", str(status)))
    return path


def start(server_file: Path, **kwargs: Any) -> BuiltinServer:
    kwargs = {"slots": 2, "threads": 1, "say": lambda _line: None, **kwargs}
    return start_builtin_model(
        find=lambda **_: Path("a.gguf"),
        server_file=server_file,
        find_spec=lambda _name: "there is a wheel",
        **kwargs,
    )


def get(server: BuiltinServer) -> str:
    parts = urlsplit(server.base_url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=FAILSAFE_S)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_it_serves_on_loopback_until_it_is_closed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = start(stand_in(tmp_path))
    try:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert server.base_url.endswith("/v1")
        assert get(server)
    finally:
        server.close()
    with pytest.raises(ConnectionRefusedError):
        get(server)
    server.close()  # a second time does no harm
    assert capfd.readouterr() == ("", "")


def test_the_server_is_told_the_model_the_slots_and_the_threads(tmp_path: Path) -> None:
    server = start(stand_in(tmp_path), slots=3, threads=2)
    try:
        told = get(server).split()
    finally:
        server.close()
    assert {"--model=a.gguf", "--slots=3", "--threads=2", "--context=4096"} <= set(told)
    assert f"--alias={server.model}" in told


@pytest.mark.parametrize(("asked", "given"), [(0, 1), (1, 1), (4, 4), (64, 4)])
def test_there_are_from_one_to_four_slots(
    tmp_path: Path, asked: int, given: int
) -> None:
    server = start(stand_in(tmp_path), slots=asked)
    try:
        assert f"--slots={given}" in get(server).split()
    finally:
        server.close()


@pytest.mark.parametrize(
    ("cores", "threads"), [(1, 1), (2, 1), (3, 2), (5, 4), (64, 4)]
)
def test_one_core_is_left_to_everything_else(cores: int, threads: int) -> None:
    assert default_threads(cores) == threads


def test_its_own_complaint_is_the_error(tmp_path: Path) -> None:
    code = 'print("error: no such file", flush=True)'
    with pytest.raises(SettingsError, match="did not start: no such file; set OPENAI"):
        start(stand_in(tmp_path, code))


def test_a_server_that_dies_without_a_word_is_an_error_with_its_code(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsError, match="code 7"):
        start(stand_in(tmp_path, "raise SystemExit(7)"))


def test_a_server_that_never_gets_ready_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin_model, "_START_TIMEOUT_S", 0.2)
    with pytest.raises(SettingsError, match="did not start"):
        start(stand_in(tmp_path, "import sys; sys.stdin.read()"))


def test_a_server_that_answers_badly_is_closed_again(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="it answers 503"):
        start(stand_in(tmp_path, status=503))


def test_a_server_that_does_not_end_by_itself_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = STAND_IN.replace("sys.stdin.read()", "threading.Event().wait()")
    server = start(stand_in(tmp_path, deaf))
    monkeypatch.setattr(builtin_model, "_CLOSE_TIMEOUT_S", 0.05)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        get(server)


def test_without_the_package_it_says_what_to_set_and_fetches_nothing() -> None:
    def fetch(**_: Any) -> Path:
        raise AssertionError

    with pytest.raises(SettingsError, match=r"xllamacpp.*OPENAI_API_KEY") as caught:
        start_builtin_model(
            slots=1, say=print, find=fetch, find_spec=lambda _name: None
        )
    assert caught.value.exit_code == 2


def test_the_notice_is_one_line_that_names_the_model_and_the_variable() -> None:
    assert ALIAS in NOTICE
    assert "OPENAI_API_KEY" in NOTICE
    assert "\n" not in NOTICE


ENDINGS = {
    "it never closes": ("pass", 0),
    "os._exit": ("import os; os._exit(130)", 130),
    "kill": ("import os; os.kill(os.getpid(), 9)", -9),
    "ctrl-c": ("import os; os.kill(os.getpid(), 2); input()", -signal.SIGINT),
}


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_server_ends_with_the_program_however_that_ends(
    tmp_path: Path, ending: str
) -> None:
    code, expected = ENDINGS[ending]
    program = f"""
        from pathlib import Path
        from pipeline.models import builtin_model as b
        server = b.start_builtin_model(
            slots=1, say=print, find=lambda **_: Path("a.gguf"),
            server_file=Path({str(stand_in(tmp_path))!r}), find_spec=bool)
        print(server._process.pid, flush=True)
        {code}
    """
    done = run_program(program)
    assert done.returncode == expected
    assert wait_for_end(int(done.stdout))
