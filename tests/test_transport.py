"""One request and its answer as it comes: silence, the first piece, the end."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.llm.outcome import Asked, Kind, Outcome
from pipeline.llm.stream import AnswerReader
from pipeline.llm.transport import Exchange
from tests.fakes import FakeClock, OpenLimit, attempted, connection_to
from tests.loopback_llm import Faults, LoopbackLLM, RawReply
from tests.test_connection import a_text

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")


def piece(text: str) -> bytes:
    return f'data: {{"choices": [{{"delta": {{"content": "{text}"}}}}]}}\n\n'.encode()


ENDING = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
Step = tuple[float, bytes | Exception]


class Response:
    """A response whose parts come after so many seconds of the clock each."""

    def __init__(self, clock: FakeClock, steps: Sequence[Step]) -> None:
        self.headers: dict[str, str] = {}
        self.is_closed = False
        self.left = list(steps)
        self._clock = clock

    def iter_bytes(self) -> Iterator[bytes]:
        while self.left:
            seconds, part = self.left.pop(0)
            self._clock.now_s += seconds
            if isinstance(part, Exception):
                raise part
            yield part

    def close(self) -> None:
        self.is_closed = True


class Sdk:
    """Answers every request with the one response, or fails."""

    def __init__(self, answer: Response | Exception) -> None:
        self._answer = answer

    def post(self, path: str, *, body: Any, **_how: Any) -> Response:
        assert (path, body) == ("/chat/completions", {})
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Try:
    """One exchange under a clock of its own."""

    def __init__(self, *steps: Step, timeout_s: float = 10.0) -> None:
        clock = FakeClock(100.0)
        self.response = Response(clock, steps)
        self.first: list[float] = []
        self.pauses: list[float] = []
        self._exchange = Exchange(
            AnswerReader(),
            asked=Asked(),
            timeout_s=timeout_s,
            clock=clock,
            on_first_piece=self.first.append,
            pause=self.pauses.append,
        )

    def outcome(self, failure: Exception | None = None) -> Outcome:
        return self._exchange.outcome(Sdk(failure or self.response), {})


def test_a_stream_is_read_to_its_end_and_closed() -> None:
    tried = Try(
        (1, b": hi\n\n"), (2, piece("A")), (1, piece(" log")), (1, ENDING), (0, DONE)
    )
    outcome = tried.outcome()
    assert (outcome.kind, outcome.text) == (Kind.OK, "A log")
    assert tried.first == [103.0]
    assert tried.response.is_closed
    assert tried.response.left == []


def test_a_whole_answer_has_no_first_piece() -> None:
    body = {"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}
    tried = Try((5, json.dumps(body).encode()))
    assert tried.outcome().kind is Kind.OK
    assert tried.first == []


def test_a_long_answer_that_keeps_coming_is_never_cut() -> None:
    steps: list[Step] = [(9, piece("word "))] * 200
    assert Try(*steps, (9, ENDING)).outcome().kind is Kind.OK


@pytest.mark.parametrize("empty", [b": wait\n\n", b"\n", b"   "])
@pytest.mark.parametrize("before", [[], [(1.0, piece("A"))]])
def test_comments_and_white_space_alone_are_silence_in_the_end(
    empty: bytes, before: list[Step]
) -> None:
    tried = Try(*before, *[(9.0, empty)] * 50)
    outcome = tried.outcome()
    assert outcome.kind is Kind.TIMEOUT
    assert "--timeout" in str(outcome.error)
    assert len(tried.response.left) == 50 - 12  # ten timeouts of 10 s
    assert tried.response.is_closed


def test_some_comments_are_waited_out() -> None:
    tried = Try(*[(9.0, b": wait\n\n")] * 11, (1, piece("A")), (1, ENDING))
    assert tried.outcome().kind is Kind.OK


def test_after_the_end_one_more_read_leaves_the_connection_open() -> None:
    gone = httpx2.ReadTimeout("late", request=REQUEST)
    for after in ([], [(10.0, gone)], [(1.0, b"\n")], [(0.0, piece("B"))] * 3):
        tried = Try((0, piece("A")), (0, ENDING + DONE), *after)
        outcome = tried.outcome()
        assert (outcome.kind, outcome.text) == (Kind.OK, "A")
        assert len(tried.response.left) == max(0, len(after) - 1)


def test_an_answer_whose_end_was_said_needs_no_end_of_the_connection() -> None:
    gone = httpx2.RemoteProtocolError("peer closed", request=REQUEST)
    assert Try((0, piece("A")), (0, ENDING), (0, gone)).outcome().kind is Kind.OK
    assert Try((0, piece("A")), (0, gone)).outcome().kind is Kind.TRANSIENT


@pytest.mark.parametrize(
    ("error", "before", "kind"),
    [
        (httpx2.ReadTimeout("t", request=REQUEST), b"", Kind.TIMEOUT),
        (httpx2.ReadTimeout("t", request=REQUEST), piece("A"), Kind.TIMEOUT),
        (httpx2.ReadError("reset", request=REQUEST), piece("A"), Kind.TRANSIENT),
        (httpx2.RemoteProtocolError("cut", request=REQUEST), b"", Kind.TRANSIENT),
        (httpx2.DecodingError("gzip", request=REQUEST), b"", Kind.TRANSIENT),
    ],
)
def test_what_breaks_in_the_midst_is_the_calls_own(
    error: Exception, before: bytes, kind: Kind
) -> None:
    outcome = Try((0, before), (0, error)).outcome()
    assert outcome.kind is kind
    assert str(outcome.error)


def caused_by(cause: Exception) -> openai.APIConnectionError:
    error = openai.APIConnectionError(request=REQUEST)
    if isinstance(cause, httpx2.TimeoutException):
        error = openai.APITimeoutError(request=REQUEST)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "kind", "said"),
    [
        (
            httpx2.ConnectError("[Errno 111] Connection refused"),
            Kind.ABSENT,
            "refused)",
        ),
        (httpx2.ConnectError("[Errno -2] Name not known"), Kind.ABSENT, "(Name not"),
        (
            httpx2.ConnectError("[SSL: X] certificate verify failed (_ssl.c:1006)"),
            Kind.ABSENT,
            "(certificate verify failed)",
        ),
        (httpx2.ConnectTimeout(""), Kind.ABSENT, "connection failed"),
        (httpx2.ReadError(""), Kind.DOWN, "(ReadError)"),
        (
            httpx2.RemoteProtocolError("Server disconnected."),
            Kind.DOWN,
            "disconnected)",
        ),
        (httpx2.ReadTimeout(""), Kind.TIMEOUT, "--timeout"),
        (httpx2.LocalProtocolError("ours"), Kind.TRANSIENT, "ours"),
    ],
)
def test_what_breaks_before_an_answer_is_the_endpoints(
    cause: Exception, kind: Kind, said: str
) -> None:
    outcome = Try().outcome(caused_by(cause))
    assert outcome.kind is kind
    assert said in str(outcome.error)


def test_what_is_no_server_s_doing_passes() -> None:
    with pytest.raises(LookupError):
        Try().outcome(LookupError("a bug"))
    with pytest.raises(LookupError):
        Try((0, LookupError("a bug"))).outcome()


@given(st.lists(st.floats(0, 30), max_size=30))
def test_pauses_between_pieces_make_no_answer_much_later(gaps: list[float]) -> None:
    tried = Try(*((gap, piece("a")) for gap in gaps), (1, ENDING), timeout_s=1e6)
    assert tried.outcome().kind is (Kind.OK if gaps else Kind.TRANSIENT)
    longest_s = min(0.25, 0.02 * sum(gaps) + 1e-9)
    assert all(0 <= pause <= longest_s for pause in tried.pauses)


def test_pieces_that_come_together_are_read_without_a_pause() -> None:
    tried = Try((1, piece("a")), *[(0.0, piece("b"))] * 9, (0, ENDING))
    tried.outcome()
    assert tried.pauses == [0.0]


def test_a_stream_over_http_is_an_answer_and_its_connection_is_used_again() -> None:
    body = (piece("A log") + ENDING + DONE).decode()
    head = {"content-type": "text/event-stream"}
    limit = OpenLimit()
    with (
        LoopbackLLM(faults=Faults(script=[RawReply(200, body, head)] * 3)) as server,
        closing(connection_to(server, limit=limit)) as connection,
    ):
        found = [attempted(connection, a_text()) for _ in range(3)]
    assert [each.outcome.text for each in found] == ["A log"] * 3
    seen_and_found = zip(limit.seen, limit.first_pieces, found, strict=True)
    for seen, first_s, attempt in seen_and_found:
        assert seen.started_s <= first_s <= seen.finished_s
        assert attempt.waited_s == first_s - seen.started_s
        assert attempt.outcome.usage is not None
        assert attempt.outcome.usage.is_estimate


def test_tokens_are_counted_by_stage_as_they_come() -> None:
    with LoopbackLLM() as server, closing(connection_to(server)) as connection:
        assert connection.arrivals.tokens() == {}
        for _ in range(2):
            attempted(connection, a_text())
        counted = sum(served.completion_tokens for served in server.log())
    assert connection.arrivals.tokens() == {"generate": counted}
