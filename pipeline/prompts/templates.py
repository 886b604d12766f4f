"""
Prompts: loads the text of a stage and fills it in.

A prompt is a Markdown file beside this one, `prompts/STAGE.md`, `STAGE.short.md` for
models with a small context, or `STAGE.grammar.md` for texts that a grammar holds to plain
prose: a part under `# System`, a part under `# User`, and `$names` where values stand. It decides nothing about what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template

Message = dict[str, str]
PROMPTS = Path(__file__).parent
_CHARACTERS_PER_TOKEN = 3
_SYSTEM, _USER = "# System\n", "# User\n"


def room_characters(context: int | None, *, share: float, otherwise: int) -> int:
    """Characters that fit into a share of the context; `otherwise` where none is stated.

    A token is taken for three characters, which most languages do not undercut.
    """
    if context is None:
        return otherwise
    return int(context * _CHARACTERS_PER_TOKEN * share)


@lru_cache(maxsize=64)
def prompt_text(name: str) -> str:
    """The text of `prompts/NAME.md`."""
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def _parts(name: str) -> tuple[Template, Template]:
    before, _, user = prompt_text(name).partition(_USER)
    system = before.partition(_SYSTEM)[2]
    return Template(system.strip()), Template(user.strip())


def fill(name: str, values: Mapping[str, object], *, short: bool) -> list[Message]:
    """The two messages of a stage; a `$name` without a value is an error.

    Values are put in once and never looked at again: a `$name` inside one stays as
    it is. Data from models and files must already be fenced.
    """
    system, user = _parts(f"{name}.short" if short else name)
    return [
        {"role": "system", "content": system.substitute(values)},
        {"role": "user", "content": user.substitute(values)},
    ]
