"""Tokens that have come so far, counted without holding up those who read them."""

import threading
from concurrent.futures import ThreadPoolExecutor

from pipeline.llm.stream import AnswerReader
from pipeline.metrics import Arrivals
from tests.fakes import FAILSAFE_S

PIECE = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"completion_tokens": 7}}\n\n'


def test_an_answer_counts_while_it_comes_and_by_the_servers_count_at_its_end() -> None:
    arrivals, reader = Arrivals(), AnswerReader()
    with arrivals.coming("generate", reader):
        assert arrivals.tokens() == {"generate": 0}
        for number in range(1, 4):
            reader.feed(PIECE)
            assert arrivals.tokens() == {"generate": number}
        reader.feed(USAGE)
    assert arrivals.tokens() == {"generate": 7}


def test_stages_are_counted_apart_and_failures_too() -> None:
    arrivals = Arrivals()
    for stage in ("generate", "score", "score"):
        reader = AnswerReader()
        try:
            with arrivals.coming(stage, reader):
                reader.feed(PIECE)
                raise LookupError
        except LookupError:
            pass
    assert arrivals.tokens() == {"generate": 1, "score": 2}


def test_no_token_is_lost_between_threads() -> None:
    arrivals, start = Arrivals(), threading.Barrier(8)

    def read() -> None:
        start.wait(FAILSAFE_S)
        for _ in range(50):
            reader = AnswerReader()
            with arrivals.coming("score", reader):
                reader.feed(PIECE * 3)
                arrivals.tokens()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(read) for _ in range(8)]:
            done.result(FAILSAFE_S)
    assert arrivals.tokens() == {"score": 8 * 50 * 3}
