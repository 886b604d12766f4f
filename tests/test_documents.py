"""README and plans against the code: links, flags, commands and names that they give."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.flags import FLAGS
from pipeline.front.command_line import parse

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [
    README,
    *sorted((ROOT / "plans").glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
PLANS = {
    f"parallel_extraction_scoring_{part}.md"
    for part in ("architecture", "implementation_plan", "summary")
}
FIRST_COMMAND = (
    "pip install -r requirements.txt"
    " && python post_generator.py --parallel --max-concurrent 8"
)
TEST_COMMAND = "pip install -r requirements-dev.txt && python -m pytest"

BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
MODULE = re.compile(r"python -m (tests(?:\.\w+)+)")
NAMED_FILE = re.compile(
    r"(?<![\w/.-])((?:parallel|pipeline|tests|plans|docs)/[\w/.-]+\.(?:py|md|yaml))"
)
MODULE_FILE = re.compile(r"(\w+\.py)\b")
IMPORT = re.compile(r"^from ([\w.]+) import (?:\(([^)]*)\)|(.+))$", re.MULTILINE)
PLACEHOLDER = "STAGE"

FORBIDDEN = {
    "an unfinished place": r"@@|\bTODO\b|\bTBD\b|\bFIXME\b",
    "a path of one machine": r"(?<![\w.:/])/(?:work|tmp|home|root|Users)/",
    "a host of a package registry": r"(?i)\bpy(?:pi\.|thonhosted)",
    "a document that does not come with the program": (
        r"\b(?!README\b|STAGE\b)[A-Z]{3,}\.md\b"
    ),
    "how it was written": r"(?i)\bthis (?:session|workplace)\b|\bissue \d",
}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path) -> list[list[str]]:
    """The lines of each code block."""
    return [found.splitlines() for found in BLOCK.findall(text_of(path))]


def links(path: Path) -> Iterator[tuple[str, str]]:
    """File and heading of each link that leaves for no other site."""
    for target in LINK.findall(BLOCK.sub("", text_of(path))):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield file, heading


def slugs(path: Path) -> set[str]:
    """What a heading is called in a link."""
    headings = HEADING.findall(BLOCK.sub("", text_of(path)))
    return {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings
    }


OWN_FLAGS = frozenset(name for flag in FLAGS for name in flag.names) | {"--help"}


def flags_of(module: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Every flag of a benchmark or of the simulated server, from its help."""
    with pytest.raises(SystemExit):
        importlib.import_module(module).main(["--help"])
    return set(FLAG.findall(capsys.readouterr().out))


def unknown_flags(path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """Flags that nothing named in their line, or else in their document, has."""
    modules = {m: flags_of(m, capsys) for m in set(MODULE.findall(text_of(path)))}
    anywhere = OWN_FLAGS.union(*modules.values())
    for line in text_of(path).splitlines():
        known = anywhere
        if found := MODULE.search(line):
            known = frozenset(modules[found[1]])
        elif "python post_generator.py" in line:
            known = OWN_FLAGS
        elif "pip " in line:
            continue
        yield from (flag for flag in FLAG.findall(line) if flag not in known)


def test_the_plans_are_there() -> None:
    assert {path.name for path in DOCUMENTS} >= PLANS | {"glossary.md"}


@each_document
def test_every_link_leads_to_a_file_of_the_project(path: Path) -> None:
    for file, heading in links(path):
        target = (path.parent / file).resolve() if file else path
        assert not file.startswith("/"), file
        assert target.is_relative_to(ROOT), file
        assert target.exists(), file
        assert not heading or heading in slugs(target), f"{file}#{heading}"


@each_document
def test_every_file_that_is_named_exists(path: Path) -> None:
    named = set(NAMED_FILE.findall(LINK.sub("", text_of(path))))
    missing = {n for n in named if PLACEHOLDER not in n and not (ROOT / n).exists()}
    assert not missing


@each_document
def test_every_module_that_is_named_is_somewhere(path: Path) -> None:
    folders = ("parallel", "pipeline", "tests")
    there = {file.name for one in folders for file in (ROOT / one).rglob("*.py")}
    named = set(MODULE_FILE.findall(text_of(path)))
    assert named - there <= {"post_generator.py"}


OF_OTHER_PROGRAMS = {"--max-model-len", "--max-num-seqs"}  # a server's own


@each_document
def test_every_flag_that_is_named_exists(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(unknown_flags(path, capsys)) <= OF_OTHER_PROGRAMS


@pytest.mark.parametrize("path", DOCUMENTS[1:], ids=lambda p: p.name)
def test_every_example_of_the_plans_is_one_that_the_program_takes(path: Path) -> None:
    for lines in blocks(path):
        for line in lines:
            if line.startswith("python post_generator.py "):
                parse(shlex.split(line)[2:])


def test_the_first_command_of_the_readme_is_the_main_one() -> None:
    assert blocks(README)[0][0] == FIRST_COMMAND


def test_the_first_command_with_pytest_is_the_one_that_is_checked() -> None:
    lines = [line for block in blocks(README) for line in block if "pytest" in line]
    assert lines[0] == TEST_COMMAND


@each_document
def test_every_name_that_is_imported_exists(path: Path) -> None:
    for block in blocks(path):
        for module, several, one in IMPORT.findall("\n".join(block)):
            names = [name.strip() for name in (several or one).split(",")]
            found = importlib.import_module(module)
            missing = [name for name in names if name and not hasattr(found, name)]
            assert not missing, module


@pytest.mark.parametrize("what", FORBIDDEN)
@each_document
def test_no_document_holds_what_does_not_belong_there(path: Path, what: str) -> None:
    found = re.search(FORBIDDEN[what], text_of(path))
    assert found is None, f"{what}: {found and found[0]}"
