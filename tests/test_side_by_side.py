"""Drafts from several endpoints, each under a limiter of its own."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tests.cli_fakes import Cli
from tests.loopback_llm import Fixed, LoopbackLLM, Served

MODELS = """
providers:
  near: {{base_url: "{near}"}}
  far: {{base_url: "{far}"}}
presets:
  quick: {{provider: near, model: loopback}}
  slow: {{provider: far, model: loopback, max_concurrent: 1}}
"""
DRAFTS = 6  # three of each


def drafts(log: Sequence[Served]) -> list[Served]:
    return [served for served in log if served.stage == "generate"]


def test_a_slow_endpoint_holds_back_no_other(cli: Cli, tmp_path: Path) -> None:
    with (
        LoopbackLLM(service=Fixed(0.4)) as far,
        LoopbackLLM(service=Fixed(0.01)) as near,
    ):
        models = tmp_path / "models.yaml"
        models.write_text(MODELS.format(near=near.base_url, far=far.base_url))
        ran = cli(
            *("--preset", "quick", "--candidate-presets", "slow,quick"),
            *("--models-file", models, "--iterations", DRAFTS, "--parallel"),
            *("--max-concurrent", 4, "--target-word-count", 120),
        )
        assert ran.code == 0, ran.err
        slow, quick = far.log(), near.log()
    # One at a time there, as its preset says: by their times, not by a count.
    ends = sorted((one.arrived_s, one.finished_s) for one in drafts(slow))
    assert len(ends) == len(drafts(quick)) == DRAFTS // 2
    for (_, finished_s), (next_s, _) in pairwise(ends):
        assert next_s >= finished_s
    # All that the quick drafts lead to is done while the slow ones are still awaited.
    second_slow_s = ends[1][1]
    early = [one.stage for one in quick if one.finished_s < second_slow_s]
    assert early.count("generate") == DRAFTS // 2
    assert early.count("extract") >= DRAFTS // 2
    assert early.count("score") >= DRAFTS // 2 * 3
    names = sorted(path.name for path in tmp_path.rglob("*_candidate_*.md"))
    presets = [re.findall(r"_(slow|quick)\.md", name)[0] for name in names]
    assert presets == ["slow", "quick"] * (DRAFTS // 2)
