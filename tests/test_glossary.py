"""The glossary: short, true, and every public class of the engine is in it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "plans" / "glossary.md"
MOST = 40
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| \[[^]]+\]\(\.\./([^)]+)\) \|$")


def entries() -> list[tuple[str, str, list[str], Path]]:
    """Word, meaning, classes and file of each entry."""
    rows = GLOSSARY.read_text(encoding="utf-8").splitlines()[7:]
    found = []
    for row in rows:
        matched = ROW.match(row)
        assert matched, row
        word, meaning, classes, file = matched.groups()
        found.append((word, meaning, re.findall(r"`(\w+)`", classes), ROOT / file))
    return found


def public_classes() -> dict[str, Path]:
    folders = (ROOT / "parallel", ROOT / "pipeline" / "llm")
    return {
        node.name: path
        for folder in folders
        for path in folder.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }


def test_it_can_be_read_in_one_go_and_says_each_word_once() -> None:
    words = [word for row in entries() for word in row[0].split(", ")]
    assert len(entries()) <= MOST
    assert len(words) == len(set(words))
    assert words == [*dict.fromkeys(words)]
    firsts = [row[0] for row in entries()]
    assert firsts == sorted(firsts)


def test_every_public_class_of_the_engine_is_in_it() -> None:
    named = {name for row in entries() for name in row[2]}
    assert not public_classes().keys() - named


@pytest.mark.parametrize("row", entries(), ids=lambda row: row[0])
def test_an_entry_leads_to_a_file_that_has_what_it_names(
    row: tuple[str, str, list[str], Path],
) -> None:
    _, _, classes, file = row
    text = file.read_text(encoding="utf-8")
    places = public_classes()
    for name in classes:
        room = places.get(name, file).parent
        assert re.search(rf"\b{name}\b", text) or room == file.parent, name
