"""The deadline of a whole exchange, against servers that never let one read fail."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from httpcore2 import ReadTimeout

from pipeline.llm.call import Call, CallOptions, Request
from pipeline.llm.connection import Connection
from pipeline.llm.deadline import Deadlines
from pipeline.llm.outcome import Kind, Outcome
from tests.fakes import FAILSAFE_S, FakeClock, asking, connection_to
from tests.loopback_llm import Faults, LoopbackLLM

TIMEOUT_S = 0.3
MARGIN_S = 1.2  # of a busy machine; every server below would take far longer
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


@contextmanager
def endless_server(*, gap_s: float, head: bytes = _HEAD) -> Iterator[str]:
    """Answers one connection with a byte every `gap_s`, until the client leaves."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(FAILSAFE_S)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(head)
                while not over.wait(gap_s):
                    connection.sendall(b"1\r\n \r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            over.set()
            thread.join(FAILSAFE_S)
            assert not thread.is_alive()


def attempted(connection: Connection) -> tuple[Outcome, float]:
    """What one attempt led to, and the seconds it really took."""
    call = Call(stage="generate", item_id="1", messages=asking(), options=CallOptions())
    request = Request(
        call=call, seed=1, temperature=None, max_tokens=None, extra_body={}
    )
    started_s = time.monotonic()
    outcome, _, _ = connection.attempt(request)
    return outcome, time.monotonic() - started_s


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_a_server_that_is_slow_holds_a_call_no_longer_than_its_deadline(
    fault: str,
) -> None:
    faults = Faults(script=[fault], trickle_s=8.0)  # type: ignore[list-item]  # both are faults
    with (
        LoopbackLLM(faults=faults) as server,
        closing(connection_to(server, timeout_s=TIMEOUT_S)) as connection,
    ):
        outcome, took_s = attempted(connection)
        assert outcome.kind is Kind.TIMEOUT
        assert TIMEOUT_S <= took_s < TIMEOUT_S + MARGIN_S
        after, _ = attempted(connection)
        assert after.kind is Kind.OK


@pytest.mark.parametrize("gap_s", [0.02, 0.0001])
def test_a_server_that_never_ends_holds_a_call_no_longer(gap_s: float) -> None:
    with (
        endless_server(gap_s=gap_s) as url,
        closing(connection_to(url, timeout_s=TIMEOUT_S)) as connection,
    ):
        outcome, took_s = attempted(connection)
    assert outcome.kind is Kind.TIMEOUT
    assert took_s < TIMEOUT_S + MARGIN_S


def test_headers_that_never_end_hold_a_call_no_longer() -> None:
    head = b"HTTP/1.1 200 OK\r\nx-endless: "
    with (
        endless_server(gap_s=0.02, head=head) as url,
        closing(connection_to(url, timeout_s=TIMEOUT_S)) as connection,
    ):
        outcome, took_s = attempted(connection)
    assert outcome.kind is Kind.TIMEOUT
    assert took_s < TIMEOUT_S + MARGIN_S


def test_a_slow_call_takes_nothing_from_the_others() -> None:
    faults = Faults(script=["hang"])
    with (
        LoopbackLLM(faults=faults) as server,
        closing(connection_to(server, timeout_s=1.0)) as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        slow = pool.submit(attempted, connection)
        server.wait_for(in_flight=1)
        assert [attempted(connection)[0].kind for _ in range(3)] == [Kind.OK] * 3
        assert slow.result(FAILSAFE_S)[0].kind is Kind.TIMEOUT


def test_each_operation_gets_what_is_left() -> None:
    clock = FakeClock(100.0)
    deadlines = Deadlines(clock)
    with deadlines.within(10.0):
        assert deadlines.bounded(30.0) == 10.0
        assert deadlines.bounded(None) == 10.0
        assert deadlines.bounded(2.0) == 2.0
        clock.now_s += 9.0
        assert deadlines.bounded(2.0) == 1.0
        clock.now_s += 1.0
        with pytest.raises(ReadTimeout):
            deadlines.bounded(2.0)


def test_outside_a_call_nothing_is_bounded() -> None:
    deadlines = Deadlines(FakeClock())
    assert deadlines.bounded(None) is None
    with pytest.raises(LookupError), deadlines.within(1.0):
        raise LookupError
    assert deadlines.bounded(30.0) == 30.0


def test_a_deadline_is_its_threads_own() -> None:
    deadlines = Deadlines(FakeClock())
    with deadlines.within(1.0), ThreadPoolExecutor(1) as pool:
        assert pool.submit(deadlines.bounded, 30.0).result(FAILSAFE_S) == 30.0
