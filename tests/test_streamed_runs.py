"""Streams from end to end: silence is bounded, length is not, and nothing is endless."""

import json
from typing import Any

import pytest

from tests.cli_fakes import Cli
from tests.loopback_llm import Faults, Fixed, LoopbackLLM
from tests.process_runs import FILES, SMALL, even_marks

RUN = (*SMALL, "--iterations", "3", "--parallel", "--max-concurrent", "4")
ONE_DRAFT = (*SMALL, "--iterations", "1", "--candidates-only")
QUICK = ("--retry-delay", "0.01")
CALLS = 3 + 3 + 9 + 3 + 1 + 3 + 4


def served(cli: Cli, **how: Any) -> LoopbackLLM:
    one = LoopbackLLM(**{"answer": even_marks, **how})
    cli.use(one.base_url)
    return one


def test_an_answer_that_keeps_coming_may_take_longer_than_the_timeout(cli: Cli) -> None:
    with served(cli, service=Fixed(2.0), pieces=40) as server:
        assert cli(*ONE_DRAFT, "--timeout", 1).code == 0
        assert server.state().hits == 1


def test_a_proxy_that_cuts_silence_does_not_cut_a_stream(cli: Cli) -> None:
    how = {"service": Fixed(2.0), "pieces": 40, "proxy_silence_s": 1.0}
    with served(cli, **how) as server:
        assert cli(*ONE_DRAFT).code == 0
        assert server.state().hits == 1


def test_silence_in_the_middle_counts_against_the_call(cli: Cli) -> None:
    faults = Faults(script=["gap"], gap_s=60.0)
    with served(cli, faults=faults) as server:
        assert cli(*ONE_DRAFT, *QUICK, "--timeout", 0.5).code == 0
        assert server.state().hits == 2


@pytest.mark.parametrize("streams", ["refuses", "refuses_options", "ignores", "always"])
def test_a_server_that_streams_otherwise_leaves_the_same_files(
    cli: Cli, streams: str
) -> None:
    with served(cli):
        assert cli(*RUN).code == 0
    with served(cli, streams=streams) as server:
        ran = cli(*RUN)
        assert ran.code == 0
        refused = server.state().hits - CALLS
    assert ("does not stream" in ran.err) == (streams == "refuses")
    # What is refused is learnt from the first answer, not asked again for each call.
    assert refused <= 4 if streams.startswith("refuses") else refused == 0
    for kind in FILES:
        assert cli.file("bar-2", kind, prefix="bar") == cli.file(
            "bar", kind, prefix="bar"
        )


def test_answers_that_never_end_are_noticed_counted_and_asked_for_again(
    cli: Cli,
) -> None:
    faults = Faults(endless=0.12, endless_space=0.08, seed=3)
    with served(cli, faults=faults) as server:
        assert cli(*RUN, *QUICK).code == 0
        hits = server.state().hits
    assert hits > CALLS, "nothing was endless"
    assert cli.artifacts("bar")["failed"] == []
    assert json.loads(cli.file("bar", "metrics.json"))["total"]["requests"] == hits


def test_one_call_that_is_never_answered_costs_its_attempts_and_no_run(
    cli: Cli,
) -> None:
    faults = Faults(rate_524=1.0, stages=frozenset({"synthesize"}))
    with served(cli, faults=faults) as server:
        ran = cli(*RUN, *QUICK)
        asked = [one.stage for one in server.log()]
    assert ran.code == 0
    assert asked.count("synthesize") == 5
    first = ran.out.splitlines()[0]
    assert first.startswith("NOTE: ")
    assert "524" in first
    assert "best draft" in ran.out
