"""The arrows between the rooms: who may import whom, and how large the house may be.

    python -m tests.test_layers

prints files, modules and arrows.
"""

import argparse
import ast
from collections.abc import Iterator, Sequence
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("parallel", "pipeline")
LEAVES = ["errors", "flag", "flags", "records", "settings", "metrics", "criteria"]
# Each room of pipeline/ and what of ours it may stand on, beside leaves and itself.
ROOMS = {
    "text": set(),
    "store": {"text"},
    "models": set(),
    "prompts": {"text"},
    "llm": {"text", "store", "models", "prompts"},
    "short": {"text", "prompts", "llm"},
    "grounding": {"text", "prompts"},
    "judging": {"text", "prompts", "llm", "short", "work"},
}
FORBIDDEN = {
    "pipeline": {"parallel", "post_generator"},
    "parallel": {"post_generator"},
    "tests/benchmarks": {"tests.conftest"},
}
# What of parallel/ knows nothing of articles, and what of pipeline/ it may use.
ARTICLE_FREE = [
    "scheduler",
    "progress",
    "progress_line",
    "errors",
    "signals",
    "limiter",
]
ARTICLE_FREE_MAY_USE = {"text", "errors", "llm.limiting", "llm.server_words", "work"}
MOST_FILES, MOST_FLAT, MOST_LINES = 113, {"pipeline": 20, "parallel": 14}, 300


def imported(path: Path, *, for_types: bool = True) -> Iterator[str]:
    """Every module that a file imports anywhere, by its whole name.

    Without `for_types`, not those that only a type checker imports.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = node.body if for_types else []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@cache
def files() -> list[Path]:
    """The program's own, without the front door."""
    return sorted(
        path for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    )


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(module: str) -> str:
    """The folder of a module; of one that lies flat, itself."""
    parts = module.split(".")
    return ".".join(parts[:2])


@cache
def arrows(*, for_types: bool = True) -> set[tuple[str, str]]:
    """Who imports whom, by module."""
    modules = {module_of(path) for path in files()}
    found = set()
    for path in [ROOT / "post_generator.py", *files()]:
        for name in imported(path, for_types=for_types):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules and target != module_of(path):
                found.add((module_of(path), target))
    return found


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_a_layer_imports_nothing_above_it(layer: str) -> None:
    for path in (ROOT / layer).rglob("*.py"):
        above = {
            name
            for name in imported(path)
            for package in FORBIDDEN[layer]
            if is_in(name, package)
        }
        assert not above, path


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_stands_on_nothing_but_the_rooms_below(room: str) -> None:
    may = {room, *ROOMS[room], *LEAVES}
    for source, target in arrows():
        if is_in(source, f"pipeline.{room}"):
            assert target.split(".")[1] in may, f"{source} imports {target}"


def test_no_module_is_both_above_and_below_another() -> None:
    below: dict[str, set[str]] = {}
    for source, target in arrows(for_types=False):
        below.setdefault(source, set()).add(target)
    TopologicalSorter(below).prepare()  # raises where they go round in a circle


@pytest.mark.parametrize("name", ARTICLE_FREE)
def test_what_decides_how_many_go_at_once_knows_nothing_of_articles(name: str) -> None:
    may = {f"pipeline.{each}" for each in ARTICLE_FREE_MAY_USE}
    may |= {f"parallel.{each}" for each in ARTICLE_FREE}
    for source, target in arrows():
        if is_in(source, f"parallel.{name}"):
            assert any(is_in(target, each) for each in may), (
                f"{source} imports {target}"
            )


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaves_import_only_leaves(leaf: str) -> None:
    below = {target for source, target in arrows() if source == f"pipeline.{leaf}"}
    assert {target.split(".")[1] for target in below} <= set(LEAVES)


def test_the_house_can_be_held_in_the_head() -> None:
    assert len(files()) <= MOST_FILES
    for package, most in MOST_FLAT.items():
        assert len(list((ROOT / package).glob("*.py"))) <= most, package
    for path in files():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, path


def test_the_rules_see_every_form_of_import(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text(
        "import parallel.flow as f\n"
        "from parallel import limiter\n"
        "def late():\n    from pipeline.run import Result\n"
    )
    names = list(imported(file))
    assert sorted(names) == ["parallel.flow", "parallel.limiter", "pipeline.run.Result"]
    assert is_in("pipeline.run.Result", "pipeline.run")
    assert not is_in("pipeline.store.run_folder.RunFolder", "pipeline.run")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the map's figures."""
    argparse.ArgumentParser(description=main.__doc__).parse_args(argv)
    between = {(room_of(a), room_of(b)) for a, b in arrows()}
    rooms = {room_of(module_of(path)) for path in files()}
    flat = {package: len(list((ROOT / package).glob("*.py"))) for package in PACKAGES}
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files())
    figures = {
        "files": len(files()),
        "flat in pipeline/": flat["pipeline"],
        "flat in parallel/": flat["parallel"],
        "lines": lines,
        "arrows between modules": len(arrows()),
        "rooms": len(rooms),
        "arrows between rooms": len({pair for pair in between if pair[0] != pair[1]}),
    }
    for name, figure in figures.items():
        print(f"{figure:7,} {name}")  # noqa: T201 - what was asked for


if __name__ == "__main__":
    main()
