"""What a server does to a run, end to end: nothing, a line, or an end to be resumed."""

from typing import Any

import pytest

from tests.cli_fakes import Cli
from tests.loopback_llm import Faults, LoopbackLLM, RateCap
from tests.process_runs import FILES, SMALL, even_marks, repeated

PARALLEL = (*SMALL, "--iterations", "3", "--parallel", "--max-concurrent", "4")
QUICK = ("--retry-delay", "0.01")
CALLS = 3 + 3 + 9 + 3 + 1 + 3 + 4


def served(cli: Cli, **how: Any) -> LoopbackLLM:
    one = LoopbackLLM(**{"answer": even_marks, **how})
    cli.use(one.base_url)
    return one


def outputs(cli: Cli, name: str) -> list[bytes]:
    return [cli.file(name, kind, prefix="bar") for kind in FILES]


@pytest.fixture
def whole(cli: Cli) -> list[bytes]:
    """What the run leaves where nothing goes wrong."""
    with served(cli):
        assert cli(*PARALLEL).code == 0
    return outputs(cli, "bar")


@pytest.mark.parametrize(
    "how",
    [
        {"caps": RateCap(per_s=100, burst=2, retry_after="0.01")},
        {"faults": Faults(rate_429=0.3, retry_after="0.01")},
        {"faults": Faults(rate_503=0.2, rate_500=0.2, first_attempt_only=True)},
        {"faults": Faults(dropped=0.3, first_attempt_only=True)},
        {"faults": Faults(html=0.3, error_200=0.3, first_attempt_only=True)},
    ],
    ids=["rate", "429", "5xx", "dropped", "no answer"],
)
def test_a_fault_that_passes_changes_nothing_of_the_result(
    cli: Cli, whole: list[bytes], how: dict[str, Any]
) -> None:
    with served(cli, **how) as server:
        ran = cli(*PARALLEL, *QUICK)
    assert ran.code == 0
    assert "failed" not in ran.out
    assert len(server.log()) > CALLS, "nothing went wrong"
    assert outputs(cli, "bar-2") == whole


FORMS = frozenset({"extract", "score", "select", "validate"})


@pytest.mark.parametrize(
    "faults",
    [Faults(cut_json=0.2, stages=FORMS), Faults(wrong_schema=0.2, stages=FORMS)],
    ids=["cut JSON", "wrong form"],
)
def test_an_answer_in_the_wrong_form_is_asked_for_again(
    cli: Cli, faults: Faults
) -> None:
    with served(cli, faults=faults) as server:
        ran = cli(*PARALLEL)
    assert ran.code == 0
    assert len(server.log()) > CALLS, "nothing went wrong"
    assert cli.artifacts("bar")["failed"] == []
    assert len(cli.artifacts("bar")["cards"]) == 3
    assert cli.artifacts("bar")["delivered"] == "synthesis"


@pytest.mark.parametrize("fault", ["quota", "401", "402", "404"])
def test_what_ends_a_run_is_one_line_and_the_run_is_finished_later(
    cli: Cli, whole: list[bytes], fault: Any
) -> None:
    fate = [*["ok"] * 10, *[fault] * 4]
    with served(cli, faults=Faults(script=fate)) as server:
        ran = cli(*PARALLEL, "--quiet")
        assert ran.code == 1
        first, second = ran.err.splitlines()
        assert first.startswith("error: ")
        assert second.startswith("to finish the run: ")
        refused = server.state().hits - 10
        assert 1 <= refused <= 4
        while cli(*ran.resume, "--quiet").code == 1:  # the rest of the script
            assert server.state().hits < 20
        assert repeated(server.log()) == 0
    assert outputs(cli, "bar-2") == whole


def test_an_outage_that_lasts_ends_the_run_to_be_finished_later(
    cli: Cli, whole: list[bytes]
) -> None:
    before = 7
    down = Faults(script=["ok" if n < before else "503" for n in range(1000)])
    with served(cli, faults=down) as server:
        ran = cli(*PARALLEL, *QUICK, "--max-outage", 0.2, "--quiet")
        port = int(server.base_url.split(":")[2].split("/")[0])
    assert ran.code == 1
    first, _ = ran.err.splitlines()
    assert first.startswith("error: ")
    with served(cli, port=port) as server:
        assert cli(*ran.resume).code == 0
        assert server.state().hits == CALLS - before
    assert outputs(cli, "bar-2") == whole


@pytest.mark.parametrize("fault", ["400", "context", "content_filter", "refusal"])
def test_a_refused_item_is_named_with_its_reason_and_the_run_goes_on(
    cli: Cli, fault: Any
) -> None:
    # The first answers are to drafts, one after another with one at a time.
    with served(cli, faults=Faults(script=["ok", fault])):
        ran = cli(*SMALL, "--iterations", 3, "--enable-synthesis")
    assert ran.code == 0
    (failed,) = cli.artifacts("bar")["failed"]
    assert failed["item"] == "candidate 2"
    assert failed["reason"] in ran.out
    assert len(cli.artifacts("bar")["cards"]) == 2
