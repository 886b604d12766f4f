"""The arrows between the layers: who may import whom."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = {
    *("candidates", "extract", "score", "select", "synthesize", "validate"),
    *("fuse", "run", "sequential", "short", "job", "items"),
    *("judging", "article_gate", "appraise", "grounding", "writers", "result"),
}
FORBIDDEN = {
    "pipeline": {"parallel", "post_generator"},
    "pipeline/llm": {f"pipeline.{stage}" for stage in STAGES},
    "parallel": {"post_generator"},
    "tests/benchmarks": {"tests.conftest"},
}
ARTICLE_FREE = {
    *("scheduler.py", "limiter.py", "progress.py", "errors.py", "window.py"),
    *("breaker.py", "turnstile.py", "admission.py", "lane_state.py", "attend.py"),
    *("limit_records.py", "progress_line.py", "progress_text.py", "memory.py"),
}
LEAVES = ["errors", "records", "settings", "replies", "metrics"]
# What the article-free half may stand on, beside the standard library.
LIBRARIES = {"tqdm", "tenacity", "psutil"}


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, by its whole name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


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


@pytest.mark.parametrize("layer", ["pipeline", "parallel", "pipeline/llm"])
def test_no_room_of_a_layer_is_both_above_and_below_another(layer: str) -> None:
    package = layer.replace("/", ".")

    def room(name: str) -> str:
        return name.removeprefix(f"{package}.").split(".")[0]

    below: dict[str, set[str]] = {}
    for path in (ROOT / layer).rglob("*.py"):
        own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        used = {room(name) for name in imported(path) if is_in(name, package)}
        below.setdefault(own, set()).update(used - {own})
    TopologicalSorter(below).prepare()  # raises where they go round in a circle


def test_the_article_free_half_of_parallel_knows_nothing_of_articles() -> None:
    files = [ROOT / "parallel" / name for name in sorted(ARTICLE_FREE)]
    for path in [*files, *(ROOT / "parallel" / "policies").rglob("*.py")]:
        ours = {name for name in imported(path) if is_in(name, "pipeline")}
        assert not ours, path


def test_what_the_article_free_half_imports_of_parallel_is_article_free() -> None:
    for name in ARTICLE_FREE:
        for module in imported(ROOT / "parallel" / name):
            if is_in(module, "parallel") and not is_in(module, "parallel.policies"):
                file = ROOT / "parallel" / f"{module.split('.')[1]}.py"
                ours = {one for one in imported(file) if is_in(one, "pipeline")}
                assert not ours, f"{name} imports {module}"


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_leaves_import_only_leaves(place: int) -> None:
    path = ROOT / "pipeline" / f"{LEAVES[place]}.py"
    ours = {
        name.split(".")[1]
        for name in imported(path)
        if is_in(name, "pipeline") or is_in(name, "parallel")
    }
    assert ours <= {"errors"}


def test_nothing_imports_the_script() -> None:
    for layer in ("pipeline", "parallel"):
        for path in (ROOT / layer).rglob("*.py"):
            assert "post_generator" not in {
                name.split(".")[0] for name in imported(path)
            }


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
    assert not is_in("pipeline.run_folder.RunFolder", "pipeline.run")
