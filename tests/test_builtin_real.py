"""The built-in model itself; skipped, saying so, only where it cannot be had."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from pipeline.errors import SettingsError
from pipeline.models.builtin_fetch import find_model
from pipeline.models.builtin_model import ALIAS, start_builtin_model
from pipeline.short.forms import article_grammar
from tests.child_programs import run_program, wait_for_end


@pytest.fixture(scope="module")
def model_file() -> Path:
    """The real model, fetched if need be."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp has no wheel for this platform")
    try:
        return find_model(say=print)
    except SettingsError as error:
        pytest.skip(f"the model cannot be fetched: {error}")


@pytest.fixture(scope="module")
def real(model_file: Path) -> Iterator[OpenAI]:
    """A client of the real model, served with one thread."""
    server = start_builtin_model(
        slots=2, threads=1, say=print, find=lambda **_: model_file
    )
    with OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client
    server.close()


def test_the_real_model_answers_under_its_name(real: OpenAI) -> None:
    assert [model.id for model in real.models.list().data] == [ALIAS]
    reply = real.chat.completions.create(
        model=ALIAS, messages=[{"role": "user", "content": "Say hello."}], max_tokens=8
    )
    assert reply.choices[0].message.content
    assert reply.usage is not None
    assert 0 < reply.usage.completion_tokens <= 8


def test_the_real_server_takes_any_literal_and_writes_it_to_the_letter(
    real: OpenAI,
) -> None:
    headline = 'Say "no\\yes" — naïve: 3½ € {2} | [a-z]+ ::= \\n'
    opening = 'One line.\nAnother: "root ::= x" 東京 \U0001f600 #5'
    grammar = article_grammar(headline=headline, opening=opening, points=(), words=1)
    reply = real.chat.completions.create(
        model=ALIAS,
        messages=[{"role": "user", "content": f"Write: {headline}\n{opening}"}],
        max_tokens=160,
        temperature=0.6,
        extra_body={"grammar": grammar},
    )
    text = reply.choices[0].message.content or ""
    assert text.startswith(f"# {headline}\n\n{opening} ")


@pytest.mark.skipif(os.name != "posix", reason="reads the file descriptors of a child")
def test_nothing_of_llama_cpp_reaches_the_terminal(model_file: Path) -> None:
    program = f"""
        from pathlib import Path
        from openai import OpenAI
        from pipeline.models.builtin_model import start_builtin_model
        server = start_builtin_model(
            slots=1, threads=1, say=print, find=lambda **_: Path({str(model_file)!r}))
        with OpenAI(base_url=server.base_url, api_key="none") as client:
            client.chat.completions.create(
                model=server.model, max_tokens=2,
                messages=[{{"role": "user", "content": "hi"}}])
        server.close()
    """
    done = run_program(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(os.name != "posix", reason="asks for a process by its number")
def test_the_real_server_ends_in_the_middle_of_an_answer(model_file: Path) -> None:
    program = f"""
        import os, threading
        from pathlib import Path
        from openai import OpenAI
        from pipeline.models.builtin_model import start_builtin_model
        server = start_builtin_model(
            slots=1, threads=1, say=print, find=lambda **_: Path({str(model_file)!r}))
        client = OpenAI(base_url=server.base_url, api_key="none")
        chunks = client.chat.completions.create(
            model=server.model, stream=True, extra_body={{"ignore_eos": True}},
            messages=[{{"role": "user", "content": "hi"}}])
        next(iter(chunks))
        print(server._process.pid, flush=True)
        os._exit(130)
    """
    done = run_program(program)
    assert done.returncode == 130
    assert wait_for_end(int(done.stdout))
