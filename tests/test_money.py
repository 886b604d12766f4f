"""What a user reads of money: on the line, in the tables, at the end of the money."""

import io
import json
import re
import zlib
from pathlib import Path

import pytest

from parallel.progress import ProgressBoard
from parallel.progress_line import Live, ProgressLine, spent_text
from pipeline.front.estimate import estimate, total
from pipeline.llm.ledger import Ledger
from pipeline.metrics import PipelineMetrics
from pipeline.models.presets import Preset
from pipeline.models.run_models import Choice
from pipeline.settings import Settings
from pipeline.store.journal import Journal
from pipeline.store.journal_file import CallRecord, decode_line, encode_line
from tests.cli_fakes import PRICED, Cli
from tests.loopback_llm import LoopbackLLM

RUN = ("--topic", "On clocks", "--target-word-count", "60", "--output", "bar")
USE = ("--models-file", "m.yaml", "--preset", "priced")


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (None, ""),
        (0.0, ""),
        (0.00001, ""),
        (0.0042, "$0.0042"),
        (0.1234, "$0.12"),
        (12.0, "$12.00"),
    ],
)
def test_what_is_spent_is_told_where_it_is_known_and_not_nothing(
    dollars: float | None, text: str
) -> None:
    assert spent_text(dollars) == text


class Terminal(io.StringIO):
    """A terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("file", [io.StringIO(), Terminal()])
def test_what_is_spent_stands_on_the_line(file: io.StringIO) -> None:
    board = ProgressBoard({"generate": 5, "extract": 5, "score": 15})
    board.note_started("generate", "1")
    live = Live(in_flight=8, spent=0.1234, tokens={"generate": 123_456})
    line = ProgressLine(board, live=lambda: live, file=file, columns=lambda: 80)
    line.tick()
    line.close()
    assert re.search(r"8 in flight(,| ·) \$0\.12\b", file.getvalue())


def test_a_priced_run_tells_its_cost_and_a_free_one_none(cli: Cli) -> None:
    with LoopbackLLM(usage={"prompt_tokens_details": {"cached_tokens": 2}}) as server:
        (cli.folder / "m.yaml").write_text(PRICED % server.base_url)
        priced = cli(*RUN, *USE, "--iterations", 2, "--parallel")
        cli.use(server.base_url)
        free = cli(*RUN[:-1], "free", "--iterations", 2, "--parallel")
    assert (priced.code, free.code) == (0, 0)
    assert re.search(r"^100% .*\$\d+\.\d\d", priced.err, re.M)
    assert not re.search(r"% .*\$", free.err)
    for name, source in (("bar", "models.yaml"), ("free", "on this machine")):
        metrics = json.loads(cli.file(name, "metrics.json"))
        assert metrics["models"]["loopback"]["cost_sources"] == [source]
        assert metrics["total"]["cached_tokens"] == 2 * metrics["total"]["calls"]


def test_the_money_of_before_counts_and_the_end_says_what_there_is(cli: Cli) -> None:
    with LoopbackLLM() as server:
        (cli.folder / "m.yaml").write_text(PRICED % server.base_url)
        ran = cli(*RUN, *USE, "--iterations", 3, "--max-cost", "0.5")
        assert ran.code == 1
        (line,) = (each for each in ran.err.splitlines() if each.startswith("error: "))
        assert re.fullmatch(
            r"error: --max-cost 0\.5 is spent; resume with a higher --max-cost;"
            r" \$\d+\.\d+ went into \d drafts?, in outputs/.*/bar",
            line,
        )
        asked = server.state().hits
        again = cli(*ran.resume, "--max-cost", "0.5")
        assert again.code == 1
        assert line in again.err  # the same money, the same drafts
        assert server.state().hits == asked


def test_the_list_of_models_says_where_each_price_is_from(cli: Cli) -> None:
    rows = {line.split()[0]: line for line in cli("--list-models").out.splitlines()}
    assert re.search(r"price in/out per million +by$", rows["preset"])
    assert re.search(r" 0\.25/2 +genai-prices [\d.]+$", rows["openai-mini"])
    assert re.search(r" 0/0 +on this machine$", rows["local-ollama"])
    assert re.search(r" 0/0 +on this machine$", rows["builtin"])


def test_an_estimate_takes_the_tier_of_one_call_and_not_of_all_together() -> None:
    preset = Preset(
        name="p",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        model="gemini-2.5-pro",
    ).priced()
    choice = Choice(main=preset, why="test")
    few, many = (
        total(estimate(Settings(topic="t", synthesis=False, iterations=n), choice))
        for n in (1, 10_000)
    )
    assert few.cost is not None
    assert few.cost > 0
    assert many.prompt_tokens > 200_000
    assert many.cost == pytest.approx(10_000 * few.cost)


def test_a_price_that_was_not_known_before_stays_unknown(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    for cost, spent in ((0.5, 0.5), (None, None)):
        with Journal.open(path) as journal:
            journal.record(
                CallRecord(
                    key="k", ok=True, stage="s", item_id="1", model="m", cost=cost
                )
            )
        with Journal.open(path) as journal:
            assert Ledger(journal=journal, metrics=PipelineMetrics()).spent == spent


def test_a_journal_of_before_is_read(tmp_path: Path) -> None:
    record = CallRecord(key="k", ok=True, stage="s", item_id="1", model="m", cost=0.5)
    body = json.loads(encode_line(record))["record"]
    for name in ("cached_tokens", "cost_source"):
        del body[name]
    text = json.dumps(body, separators=(",", ":")).encode()
    line = b'{"crc32":"%08x","record":%b}\n' % (zlib.crc32(text), text)
    (tmp_path / "calls.jsonl").write_bytes(line)
    assert decode_line(line) == record
