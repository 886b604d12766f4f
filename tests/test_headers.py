"""Headers and bodies of models.yaml: what may stand there, and what is sent and kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SettingsError
from pipeline.models.models_file import load_models
from pipeline.models.presets import Preset, headers_of, secrets_of
from tests.cli_fakes import Cli
from tests.loopback_llm import LoopbackLLM
from tests.loopback_replies import content_for
from tests.loopback_request import ChatRequest

SECRET = "pass-0123456789"  # noqa: S105 - nobody's
SMALL = ("--topic", "On clocks", "--iterations", "1", "--output", "bar")
FILE = """
providers:
  loop:
    base_url: "%s"
    headers: {user-agent: my-client, X-Title: theirs, X-Pass: "v1 ${MY_PASS}"}
presets:
  mine: {provider: loop, headers: {x-title: ours}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "m.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def line_for(folder: Path, field: str) -> str:
    """What is said about a preset with the field, at line 4 of the file."""
    path = written(
        folder,
        "providers: {p: {base_url: 'http://127.0.0.1:9/v1'}}\npresets:\n  a:\n"
        f"    {field}\n    provider: p\n",
    )
    with pytest.raises(SettingsError) as caught:
        load_models(path)
    (line,) = str(caught.value).splitlines()
    return line


def test_headers_go_with_every_request_and_their_secrets_nowhere_else(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PASS", SECRET)
    wanted = {"User-Agent": "my-client", "X-Title": "ours", "X-Pass": f"v1 {SECRET}"}

    def echoed(request: ChatRequest) -> str:
        return f"{content_for(request)}\n\nYou said {SECRET}.\n"

    with LoopbackLLM(headers=wanted, answer=echoed) as server:
        written(cli.folder, FILE % server.base_url)
        flags = ("--models-file", "m.yaml", "--preset", "mine", "--verbose")
        ran = cli(*SMALL, *flags)  # the model's name is asked for too
        assert ran.code == 0, ran.err
        assert server.state().hits > 0
    files = [path for path in cli.run_of("bar").rglob("*") if path.is_file()]
    texts = [ran.out, ran.err, *(path.read_text() for path in files)]
    assert len(files) > 3
    assert not [text for text in texts if SECRET in text]
    assert any("[redacted]" in text for text in texts)


def test_without_them_the_firewall_is_quoted(cli: Cli) -> None:
    with LoopbackLLM(headers={"User-Agent": "my-client"}) as server:
        cli.use(server.base_url)
        ran = cli(*SMALL)
    assert ran.code != 0
    assert "blocked by the firewall" in ran.err


def test_a_preset_replaces_a_header_of_its_provider_in_any_case(tmp_path: Path) -> None:
    path = written(tmp_path, FILE % "http://127.0.0.1:9/v1")
    preset = load_models(path).preset("mine")
    assert preset.headers == {
        "user-agent": "my-client",
        "X-Pass": "v1 ${MY_PASS}",
        "x-title": "ours",
    }
    env = {"MY_PASS": f" {SECRET} "}
    assert headers_of(preset, env)["X-Pass"] == f"v1 {SECRET}"
    assert secrets_of([preset], env) == (SECRET,)


@pytest.mark.parametrize("env", [{}, {"MY_PASS": " "}])
def test_a_variable_that_is_not_set_is_named(
    tmp_path: Path, env: dict[str, str]
) -> None:
    preset = load_models(written(tmp_path, FILE % "http://127.0.0.1:9/v1")).preset(
        "mine"
    )
    with pytest.raises(SettingsError, match="header X-Pass of preset mine needs MY_P"):
        headers_of(preset, env)


def test_a_secret_that_cannot_be_sent_is_not_shown() -> None:
    preset = Preset(
        name="p", base_url="https://x.example/v1", headers={"X-Pass": "${MY_PASS}"}
    )
    for value in (f"{SECRET}\nX: y", f"{SECRET}é"):
        with pytest.raises(SettingsError, match="cannot be sent") as caught:
            headers_of(preset, {"MY_PASS": value})
        assert SECRET not in str(caught.value)


def test_a_secret_is_not_sent_for_all_to_read() -> None:
    preset = Preset(
        name="p", base_url="http://x.example/v1", headers={"X-Pass": "${MY_PASS}"}
    )
    with pytest.raises(SettingsError, match=r"MY_PASS would go to .* unencrypted"):
        headers_of(preset, {"MY_PASS": SECRET})
    assert headers_of(preset, {"MY_PASS": SECRET}, allow_insecure=True)
    plain = Preset(name="p", base_url="http://x.example/v1", headers={"X-Title": "t"})
    assert headers_of(plain, {}) == {"X-Title": "t"}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("{X-Number: 1}", "headers.X-Number: input should be a valid string, got 1"),
        ("{X-Day: 2026-01-31}", "headers.X-Day: input should be a valid string"),
        ("{authorization: Bearer x}", "headers.authorization: may not be set here"),
        ("{Content-Length: '1'}", "headers.Content-Length: may not be set here"),
        ("{X Title: t}", "must be the name of a header, got 'X Title'"),
        ('{X-Title: "a\\nb"}', "headers.X-Title: must be one line of plain ASCII"),
        ("{X-Title: é}", "headers.X-Title: must be one line of plain ASCII text"),
        ("[X-Title]", "headers: input should be a valid dictionary"),
    ],
)
def test_a_header_that_cannot_be_is_one_line(
    tmp_path: Path, headers: str, said: str
) -> None:
    line = line_for(tmp_path, f"headers: {headers}")
    assert "line 4, presets.a.headers" in line
    assert said in line


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{since: 2026-01-31}", "extra_body.since: must be of text, numbers,"),
        ("{since: 2026-01-31 10:00:00}", "got 2026-01-31 10:00:00; put text in quotes"),
        ("{top_p: .nan}", "extra_body.top_p: must be of text, numbers,"),
        ("{a: {b: [1, .inf]}}", "extra_body.a.b.1: must be of text"),
        ("{a: -.inf}", "got -inf"),
        ("{1: x}", "extra_body: a name here must be text, got 1; put it in quotes"),
        ("{a: {on: x}}", "extra_body.a: a name here must be text, got True"),
        ("{a: !!binary aGk=}", "extra_body.a: must be of text"),
        ("{a: !!set {x, y}}", "extra_body.a: must be of text"),
        ('{a: "\\ud800"}', "extra_body.a: must be of text"),
        ("{a: &x [*x]}", "extra_body: must not be nested deeper than 50 levels"),
        ("7", "extra_body: input should be a valid dictionary"),
    ],
)
def test_what_json_cannot_carry_is_one_line(
    tmp_path: Path, body: str, said: str
) -> None:
    line = line_for(tmp_path, f"extra_body: {body}")
    assert "line 4, presets.a.extra_body" in line
    assert said in line


@pytest.mark.parametrize("field", ["timeout_s", "requests_per_minute", "temperature"])
def test_no_number_is_without_end(tmp_path: Path, field: str) -> None:
    assert f"line 4, presets.a.{field}: " in line_for(tmp_path, f"{field}: .inf")


def test_all_that_json_can_carry_is_kept(tmp_path: Path) -> None:
    body: dict[str, Any] = {
        "a": [1, 2.5, None, True, "é", {"b": {}}],
        "day": "2026-01-31",
    }
    path = written(
        tmp_path,
        "providers: {p: {base_url: 'http://127.0.0.1:9/v1'}}\n"
        f"presets: {{a: {{provider: p, extra_body: {json.dumps(body)}}}}}\n",
    )
    assert load_models(path).preset("a").extra_body == body
