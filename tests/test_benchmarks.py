"""The benchmarks run, print tables and reckon rightly; how fast is not asked here."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.records import Judged
from tests.benchmarks import (
    efficiency,
    free,
    judging,
    limit_cases,
    limits,
    memory,
    options,
    overhead,
    plot,
    printing,
    rounds,
    speedup,
)
from tests.benchmarks.judging_funnel import sweep
from tests.benchmarks.judging_tables import Scale as JudgingScale
from tests.benchmarks.limit_case import Case, Scale
from tests.benchmarks.limit_figures import (
    Figure,
    admitted_per_s,
    in_flight_over_time,
    median_in_flight_later,
    refused_share,
)
from tests.benchmarks.rivals import one_pool, staged_chained, staged_pools
from tests.benchmarks.setting import Tuning
from tests.benchmarks.workload import (
    Load,
    Trial,
    Work,
    draft_and_judge,
    draft_and_judge_sequential,
    lost,
    timed,
)
from tests.loopback_llm import LoopbackLLM, Served

TINY = ["--candidates", "2", "--votes", "1", "--seeds", "1", "--service-s", "0.002"]


def served(start_s: float, end_s: float, **changed: Any) -> Served:
    """A vote that took all that time."""
    fields: dict[str, Any] = {
        "stage": "score",
        "item": f"{start_s}-{end_s}",
        "arrived_s": start_s,
        "started_s": start_s,
        "finished_s": end_s,
        "status": 200,
        "fault": "ok",
        "attempt": 1,
        "in_flight": 1,
        "service_s": end_s - start_s,
        "model": "m",
        "name": "",
        "body_digest": "",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "body": {"messages": []},
    }
    return Served(**fields | changed)


def refused(at_s: float) -> Served:
    return served(at_s, at_s, status=429, fault="cap")


def trial(wall_s: float, *log: Served, requests: int = 0) -> Trial:
    result = Judged([], [], [])
    return Trial(
        wall_s=wall_s, log=list(log), requests=requests, result=result, limits=[8]
    )


def test_a_table_has_even_columns_and_a_rule() -> None:
    shown = printing.table(["", "wall s"], [["one", "1.50"], ["a longer one", "10.25"]])
    assert shown.splitlines() == [
        "              wall s",
        "------------  ------",
        "one             1.50",
        "a longer one   10.25",
    ]


@pytest.mark.parametrize(
    ("values", "shown"),
    [([], "-"), ([1.0], "1.00"), ([3.0, 1.0, 2.0, 9.0], "2.50 (1.00-9.00)")],
)
def test_a_spread_is_the_median_between_the_ends(
    values: Sequence[float], shown: str
) -> None:
    assert printing.spread(values) == shown


def test_the_machine_line_names_cores_python_and_date() -> None:
    line = printing.machine_line()
    assert " core" in line
    assert "Python 3." in line
    assert line[-10:].count("-") == 2


def test_efficiency_sets_the_wall_over_greedy_and_bound() -> None:
    # Calls of 1 s, two at once: greedy needs 2 s, all work over two places is 1.5 s.
    log = [served(n, n + 1.0) for n in range(3)]
    found = efficiency.ratios(
        trial(3.0, *log), Load(candidates=1, votes=1), in_flight=2
    )
    assert found == efficiency.Ratios(3.0, 1.5, 2.0, 3)
    (row,) = efficiency.rows_of({(8, efficiency.PROGRAM): [found]})
    assert row[1:] == ["3.00", "1.500", "1.05", "2.000", "1.15", "3"]


def test_speedup_is_over_the_work_where_nothing_sequential_was_measured() -> None:
    log = [served(n, n + 1.0) for n in range(4)]
    one = speedup.measured("scoring", 2, trial(2.5, *log))
    assert (one.work_s, one.speedup, one.efficiency) == (4.0, 1.6, 0.8)
    assert speedup.measured("scoring", 1, trial(5.0, *log)).sequential_s == 5.0
    whole = speedup.measured(speedup.WHOLE, 2, trial(2.5, *log))
    assert whole.efficiency is None


def test_levels_with_a_target_get_all_seeds() -> None:
    plan = speedup.Plan(levels=[1, 5, 16], seeds=9, sequential_seeds=1, service_s=1.0)
    cells = [cell for seed in range(1, 10) for cell in plan.cells(seed)]
    assert cells.count(("both", 5)) == 9
    assert cells.count(("both", 16)) == speedup.FEW_SEEDS
    assert cells.count((speedup.WHOLE, 1)) == 1


def test_a_slope_leaves_out_what_starting_costs() -> None:
    now_s = [0.0]

    def run(calls: int) -> None:
        now_s[0] += 0.5 + 0.002 * calls

    found = overhead.slope_ms(run, few=200, many=2000, clock=lambda: now_s[0])
    assert found == pytest.approx(2.0)


def test_overhead_is_set_over_the_plain_pool_of_the_same_run() -> None:
    costs = {overhead.PLAIN: [1.0, 2.0], overhead.CLIENT: [1.5, 2.5]}
    assert overhead.cost_rows(0.05, costs, pieces=50)[1] == [
        f"50 ms, {overhead.CLIENT}",
        "2.00 (1.50-2.50)",
        "0.50 (0.50-0.50)",
        "7.0",  # 2 ms, and 100 us a piece
    ]


def test_a_rate_counts_what_was_let_in_without_the_burst() -> None:
    log = [served(n / 10, n / 10 + 0.5) for n in range(21)] + [refused(9.0)]
    assert admitted_per_s(log, burst=5) == pytest.approx(8.0)
    assert admitted_per_s([], burst=5) == 0.0


def test_refusals_are_counted_over_answers() -> None:
    assert refused_share([served(0, 1), served(0, 2), refused(0), refused(1)]) == 1.0


def test_in_flight_is_weighed_by_time_in_the_second_half() -> None:
    # Four at once until 4 s, then one; of the second half, 5 to 10 s, three at 9 s.
    early = [served(0, 4) for _ in range(4)]
    late = [served(9, 10) for _ in range(2)]
    log = [*early, served(4, 10), *late]
    assert median_in_flight_later(log) == 1
    assert in_flight_over_time(log)[-1] == (10, 0)
    assert median_in_flight_later([served(0, 10), served(5, 10)]) == 2
    assert median_in_flight_later([]) == 0


def test_a_row_of_limits_names_case_figure_and_target() -> None:
    one = Figure(case="cap", name="429s", values=[0.5], target="at most 1")
    assert limits.rows_of([one]) == [["cap: 429s", "0.50", "1", "at most 1"]]


def test_a_case_tells_what_was_lost_and_what_was_not_counted() -> None:
    case = Case("any")
    case.trials.append(trial(1.0, served(0, 1), served(0, 1), requests=1))
    case.missing.append(2.0)
    gone, uncounted = case.complete()
    assert (gone.values, uncounted.values) == ([2.0], [1.0])


@pytest.mark.parametrize("work", [one_pool, staged_pools, staged_chained])
def test_rivals_do_the_same_work(work: Work) -> None:
    load = Load(candidates=3, votes=2)
    with LoopbackLLM(keep_bodies=True) as server:
        tuning = Tuning(max_in_flight=4)
        theirs = timed(server, work, load=load, tuning=tuning)
        ours = timed(server, draft_and_judge, load=load, tuning=tuning)
    assert theirs.result.cards == ours.result.cards
    assert theirs.result.scores == [
        # Their means say nothing of how sure they are.
        score.model_copy(update={"interval": None, "rank": None})
        for score in ours.result.scores
    ]
    assert sorted(one.item for one in theirs.log) == sorted(o.item for o in ours.log)
    assert lost(ours.result, load) == 0
    assert ours.requests == len(ours.log) == 12


def test_lost_counts_drafts_cards_and_votes() -> None:
    load = Load(candidates=2, votes=3)
    with LoopbackLLM() as server:
        one = timed(server, draft_and_judge_sequential, load=load, tuning=Tuning())
    whole = one.result
    assert lost(whole, load) == 0
    assert lost(whole._replace(cards=whole.cards[1:]), load) == 1
    assert lost(whole.scores[1:], load) == 3


@pytest.mark.parametrize(
    ("main", "flags", "shown"),
    [
        (
            efficiency.main,
            [*TINY, "--max-concurrent", "2"],
            "2 in flight, one plain pool",
        ),
        (
            rounds.main,
            ["--contests", "1", "--candidates", "2", "--service-s", "0.002"],
            "16 in flight, votes scatter by 0.9",
        ),
        (
            speedup.main,
            [*TINY, "--max-concurrent", "1,2", "--no-memory"],
            "whole pipeline, 2 in flight",
        ),
        (
            overhead.main,
            ["--calls", "20", "--runs", "1", "--in-flight", "2", "--no-memory"],
            "0 ms, plain pool",
        ),
        (
            free.main,
            ["--max-concurrent", "2", "--seeds", "1", "--service-s", "0.002"],
            "2 in flight, sigma 0.5, answers of one length",
        ),
        (
            limits.main,
            ["--only", "none", "--seeds", "1", "--service-s", "0.002"],
            "no limit at all: items lost",
        ),
        (
            judging.main,
            ["--quick", "--candidates", "4", "--noise", "1"],
            "4, 1, pairwise, both orders",
        ),
    ],
)
def test_a_command_prints_a_table_and_where_it_was_measured(
    main: Callable[[list[str]], int],
    flags: list[str],
    shown: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limit_cases, "MANY", 4)
    monkeypatch.setattr(overhead, "SLOW_S", 0.01)
    assert main(flags) == 0
    printed = capsys.readouterr().out
    assert shown in printed
    assert " core" in printed.splitlines()[1]
    assert "\n------" in printed


def test_a_case_runs_against_its_limit() -> None:
    scale = Scale(seeds=1, service_s=0.002, outage_s=0.1)
    case = Case("faults")
    case.run(Load(candidates=1, votes=1), Tuning(), seed=scale.seeds)
    assert [figure.values for figure in case.complete()] == [[0.0], [0.0]]


@pytest.mark.parametrize("way", memory.WAYS)
def test_memory_is_that_of_the_whole_work(
    way: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LOAD", Load(candidates=2, votes=1))
    monkeypatch.setattr(memory, "CALLS", 6)
    with LoopbackLLM() as server:
        assert memory.main([server.base_url, "--way", way, "--in-flight", "2"]) == 0
        assert len(server.log()) == 6
    assert '"resident_mb"' in capsys.readouterr().out


def test_a_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    log = [served(0, 1), served(0.5, 2)]
    case = Case("cap", pictures={"cap": log})
    ratio = efficiency.ratios(trial(3.0, *log), Load(), in_flight=2)
    limits.draw([case], tmp_path / "limits.png")
    efficiency.draw({(2, efficiency.PROGRAM): [ratio]}, tmp_path / "efficiency.png")
    found = [speedup.measured(stage, 2, trial(1.0, *log)) for stage in speedup.STAGES]
    speedup.draw(found, tmp_path / "speedup.png")
    overhead.draw({0.0: {overhead.PLAIN: [1.0]}}, tmp_path / "overhead.png")
    walls = {(c, noise): [(0.9, 0.5)] for c in (8, 16) for noise in (0.5, 0.9)}
    rounds.draw(walls, tmp_path / "rounds.png")
    scale = JudgingScale(contests=2, cards=(4,), noises=(1.0,))
    judging.draw(list(sweep(scale)), tmp_path / "judging.png")
    assert sorted(file.stem for file in tmp_path.glob("*.png")) == [
        "efficiency",
        "judging",
        "limits",
        "overhead",
        "rounds",
        "speedup",
    ]


def test_without_matplotlib_the_flag_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SystemExit) as ended:
        limits.main(["--plot", "limits.png"])
    assert ended.value.code == 2
    assert plot.MISSING in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--only", "caps"],
        ["--seeds", "0"],
        ["--service-s", "-1"],
        ["--service-s", "nan"],
        ["--plot", "no/such/folder/a.png"],
    ],
)
def test_bad_flags_are_refused_before_anything_runs(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        limits.main(flags)
    assert ended.value.code == 2


def test_levels_come_in_order_and_once() -> None:
    assert options.counts("8,1,5,8") == [1, 5, 8]
