"""How many calls at once: the rules of refusals and of first pieces, each alone."""

import pytest

from parallel.limiter.concurrency import CapRule, FirstPieceRule


def test_ten_refused_of_sixteen_leave_six() -> None:
    cap = CapRule(16)
    for allowed in range(16, 6, -1):
        cap.note_refused(allowed)
    assert cap.limit == 6


def test_a_refusal_cuts_from_what_was_let_out_and_not_from_the_maximum() -> None:
    cap = CapRule(128)
    cap.note_refused(16)
    assert cap.limit == 15


def test_a_limit_of_one_stays_at_one() -> None:
    cap = CapRule(4)
    for _ in range(50):
        cap.note_refused(1)
    assert cap.limit == 1


def test_one_place_comes_back_after_a_round_of_at_least_eight() -> None:
    cap = CapRule(16)
    for allowed in range(16, 10, -1):
        cap.note_refused(allowed)
    limits = []
    for _ in range(10):
        cap.note_success(cap.limit)
        limits.append(cap.limit)
    assert limits == [10] * 9 + [11]


@pytest.mark.parametrize("few", [1, 3])
def test_a_cut_by_few_refusals_of_a_round_is_undone_after_it(few: int) -> None:
    cap = CapRule(64)
    for in_flight in range(8 + few, 8, -1):
        cap.note_refused(in_flight)
    assert cap.limit == 8
    for _ in range(8):
        cap.note_success(8)
    assert cap.limit == 64


def test_a_cut_by_a_timeout_is_not_undone_with_it() -> None:
    cap = CapRule(64)
    cap.note_refused(9)
    cap.note_timeout(8, started_s=0.0, now_s=1.0)
    for _ in range(8):
        cap.note_success(4)
    assert cap.limit == 5


def test_growth_doubles_while_nothing_is_refused() -> None:
    cap = CapRule(64)
    for in_flight in (12, 11, 10, 9):
        cap.note_refused(in_flight)
    assert cap.limit == 8
    steps = []
    while cap.limit < 15:
        before = cap.limit
        cap.note_success(cap.limit)
        if cap.limit > before:
            steps.append(cap.limit - before)
    assert steps == [1, 2, 4]


def test_a_fault_starts_the_round_afresh_and_cuts_nothing() -> None:
    cap = CapRule(16)
    cap.note_refused(9)
    for _ in range(7):
        cap.note_success(8)
    cap.note_trouble()
    cap.note_success(8)
    assert cap.limit == 8


def test_timeouts_of_one_generation_halve_once() -> None:
    cap = CapRule(16)
    cap.note_timeout(16, started_s=0.0, now_s=30.0)
    cap.note_timeout(8, started_s=1.0, now_s=31.0)
    assert cap.limit == 8
    cap.note_timeout(8, started_s=30.0, now_s=60.0)
    assert cap.limit == 4


def test_one_refusal_a_round_is_pardoned_where_more_were_let_in_before() -> None:
    cap = CapRule(16)
    for _ in range(8):
        cap.note_success(16)
    cap.note_refused(12)
    assert cap.limit == 16
    cap.note_refused(12)
    assert cap.limit == 11


def test_a_refusal_at_the_most_that_was_ever_let_in_is_not_pardoned() -> None:
    cap = CapRule(16)
    for _ in range(8):
        cap.note_success(7)
    cap.note_refused(7)
    assert cap.limit == 6


TIMEOUT_S = 30.0


class Queue:
    """Calls that a server of four slots works off, each for as long as all others."""

    def __init__(self, rule: FirstPieceRule, *, calls: int, service_s: float) -> None:
        self.rule, self.now_s = rule, 0.0
        self._service_s = service_s
        self._waiting = list(range(calls))
        self.in_flight = calls
        for call in self._waiting:
            rule.note_start(call, 0.0)
        self._begin()

    def _begin(self) -> None:
        self._written, self._waiting = self._waiting[:4], self._waiting[4:]
        for call in self._written:
            self.rule.note_first_piece(call, in_flight=self.in_flight, now_s=self.now_s)

    def work(self) -> None:
        """One round: four calls end, four others begin."""
        self.now_s += self._service_s
        for call in self._written:
            self.in_flight -= 1
            self.rule.note_end(call, in_flight=self.in_flight, now_s=self.now_s)
        self._begin()


def test_a_silence_of_a_third_of_the_timeout_cuts_to_what_is_written_at_once() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    queue = Queue(rule, calls=32, service_s=4.0)
    limits = []
    for _ in range(3):
        queue.work()
        limits.append(rule.limit)
    assert limits == [None, None, 5]


def test_while_nobody_was_served_a_silence_is_that_of_a_model_being_loaded() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    for call in range(8):
        rule.note_start(call, 0.0)
    for call in range(8):
        rule.note_first_piece(call, in_flight=8, now_s=25.0 + call / 100)
    assert rule.limit is None
    for call in range(8):
        rule.note_end(call, in_flight=7 - call, now_s=30.0)
    assert rule.limit is None


def cut_at_12(rule: FirstPieceRule) -> None:
    """A queue of 32 that has led to a limit of five at second 12."""
    queue = Queue(rule, calls=32, service_s=4.0)
    while rule.limit is None:
        queue.work()


def serve(rule: FirstPieceRule, number: int, *, silence_s: float) -> None:
    """One call after another that is as long silent."""
    for call in range(number):
        rule.note_start(("new", call), 100.0 + call)
        at_s = 100.0 + call + silence_s
        rule.note_first_piece(("new", call), in_flight=1, now_s=at_s)
        rule.note_end(("new", call), in_flight=0, now_s=at_s)


def test_a_cut_that_helped_stays_and_grows_only_while_silences_are_short() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    cut_at_12(rule)
    serve(rule, 5, silence_s=4.0)
    assert rule.limit == 5
    serve(rule, 5, silence_s=1.0)
    assert rule.limit == 6


def test_a_cut_that_did_not_help_is_undone_for_good() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    cut_at_12(rule)
    serve(rule, 5, silence_s=11.0)
    assert rule.limit is None
    cut = FirstPieceRule(TIMEOUT_S)
    for each in (rule, cut):
        queue = Queue(each, calls=32, service_s=4.0)
        for _ in range(6):
            queue.work()
    assert cut.limit is not None
    assert rule.limit is None


def test_calls_sent_before_the_cut_say_nothing_of_it() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    queue = Queue(rule, calls=32, service_s=4.0)
    for _ in range(7):
        queue.work()
    assert rule.limit == 5


def test_a_timeout_beside_answers_is_the_queue_s_and_one_beside_none_is_not() -> None:
    rule = FirstPieceRule(TIMEOUT_S)
    assert not rule.explains_timeout(0.0, in_flight=8, now_s=30.0)
    cut_at_12(rule)
    assert rule.explains_timeout(0.0, in_flight=8, now_s=30.0)
    assert not rule.explains_timeout(20.0, in_flight=8, now_s=50.0), (
        "sent after the cut"
    )


def test_without_a_timeout_nothing_is_ever_cut() -> None:
    rule = FirstPieceRule(None)
    queue = Queue(rule, calls=32, service_s=400.0)
    for _ in range(7):
        queue.work()
    assert rule.limit is None
