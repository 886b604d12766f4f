"""One call from question to answer, against servers of every habit."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import field_validator

from pipeline.errors import (
    EndpointRejected,
    ItemRejected,
    RunStopped,
    Unreachable,
    UnreadableReply,
)
from pipeline.llm.call import Call, CallOptions, Reply, record_name, strict_schema
from pipeline.llm.client import ChatClient
from pipeline.llm.ledger import Ledger
from pipeline.llm.retry import RetryPolicy
from pipeline.metrics import PipelineMetrics
from pipeline.store.journal import Journal
from tests.fakes import Clients, OpenLimit, Verdict, asking
from tests.loopback_llm import (
    ChatRequest,
    Fault,
    Faults,
    Habit,
    LoopbackLLM,
    RawReply,
)


def a_text(client: ChatClient, item: str = "1", **options: Any) -> Any:
    return client.complete(
        asking(f"Write article {item} of 60 words."),
        stage="generate",
        item_id=item,
        options=CallOptions(**options),
    )


def a_verdict(client: ChatClient, item: str = "1", **options: Any) -> Verdict:
    return client.complete_as(
        Verdict,
        asking(f"Judge {item}."),
        stage="score",
        item_id=item,
        options=CallOptions(**options),
    )


def bodies(server: LoopbackLLM) -> list[dict[str, Any]]:
    return [dict(served.body or {}) for served in server.log()]


@pytest.mark.parametrize(
    ("habit", "refuses_all", "requests"),
    [
        ("json_schema", False, 1),
        ("refuses_schema", False, 2),
        ("refuses_schema", True, 3),
        ("ignores_schema", False, 1),
    ],
)
def test_every_habit_gives_a_valid_reply_and_is_learnt_once(
    habit: Habit, refuses_all: bool, requests: int, client_of: Clients
) -> None:
    with LoopbackLLM(habit=habit, refuses_json_object=refuses_all) as server:
        client = client_of(server)
        assert isinstance(a_verdict(client), Verdict)
        assert server.state().hits == requests
        assert isinstance(a_verdict(client, "2"), Verdict)
        assert server.state().hits == requests + 1


def test_habits_do_not_change_the_answer(client_of: Clients) -> None:
    found = []
    habits: list[Habit] = ["json_schema", "refuses_schema", "ignores_schema"]
    for habit in habits:
        with LoopbackLLM(habit=habit) as server:
            found.append(a_verdict(client_of(server)))
    assert found[0] == found[1] == found[2]


def test_a_text_comes_without_thoughts_unless_they_are_wanted(
    client_of: Clients,
) -> None:
    with LoopbackLLM(habit="ignores_schema") as server:
        assert not a_text(client_of(server)).text.startswith("<think>")
        kept = a_text(client_of(server, filter_think=False))
        assert kept.text.startswith("<think>")


@pytest.mark.parametrize("fault", ["not_json", "wrong_schema", "cut_json"])
def test_an_unreadable_reply_is_asked_again_with_the_last_error_only(
    fault: Fault, client_of: Clients
) -> None:
    faults = Faults(script=["not_json", "not_json", fault])
    with LoopbackLLM(faults=faults, keep_bodies=True) as server:
        a_verdict(client_of(server))
        asked = bodies(server)
    assert len(asked) == 4
    assert {len(body["messages"]) for body in asked} == {2}
    assert len({body["seed"] for body in asked}) == 4
    last = [body["messages"][-1]["content"] for body in asked]
    assert last[0] == "Judge 1."
    assert "no JSON object" in last[1]
    assert last[1] == last[2]
    assert [text.count("Your last reply") for text in last] == [0, 1, 1, 1]


def test_the_error_of_a_wrong_form_names_the_place(client_of: Clients) -> None:
    replies = iter(['{"word": "x", "mark": 11}', '{"word": "x", "mark": 2}'])
    with LoopbackLLM(answer=lambda _r: next(replies), keep_bodies=True) as server:
        assert a_verdict(client_of(server)) == Verdict(word="x", mark=2)
        again = bodies(server)[1]["messages"][-1]["content"]
    assert "mark: input should be less than or equal to 10" in again


def test_keys_that_nobody_asked_for_are_passed_over(client_of: Clients) -> None:
    reply = {"word": "x", "mark": 2, "id": 99}
    with LoopbackLLM(answer=lambda _r: reply) as server:
        assert a_verdict(client_of(server)) == Verdict(word="x", mark=2)


@pytest.mark.parametrize("reasks", [0, 2])
def test_re_asks_are_limited_and_the_last_error_escapes(
    reasks: int, client_of: Clients
) -> None:
    with LoopbackLLM(faults=Faults(always="not_json")) as server:
        with pytest.raises(UnreadableReply, match="the reply holds no JSON object"):
            a_verdict(client_of(server), reasks=reasks)
        assert server.state().hits == reasks + 1


def test_half_a_character_in_an_error_can_still_be_sent(client_of: Clients) -> None:
    class Fussy(Reply):
        word: str

        @field_validator("word")
        @classmethod
        def is_plain(cls, word: str) -> str:
            if not word.isascii():
                raise ValueError(f"not {word}")
            return word

    replies = iter(['{"word": "\\ud83d"}', '{"word": "plain"}'])
    with LoopbackLLM(answer=lambda _r: next(replies)) as server:
        reply = client_of(server).complete_as(
            Fussy, asking("Half: \ud83d"), stage="score", item_id="1"
        )
    assert reply.word == "plain"


def test_a_cut_off_text_is_asked_once_more_with_twice_the_room(
    client_of: Clients,
) -> None:
    with LoopbackLLM(faults=Faults(always="length"), keep_bodies=True) as server:
        text = a_text(client_of(server), max_tokens=20)
        assert text.is_cut_off
        assert [body["max_tokens"] for body in bodies(server)] == [20, 40]


def test_a_text_that_fits_the_second_time_is_whole(client_of: Clients) -> None:
    with LoopbackLLM(faults=Faults(script=["length"])) as server:
        assert not a_text(client_of(server), max_tokens=20).is_cut_off
        assert server.state().hits == 2


def test_a_cut_off_form_is_not_asked_a_third_time(client_of: Clients) -> None:
    with LoopbackLLM(faults=Faults(always="length")) as server:
        with pytest.raises(UnreadableReply, match="cut off at the token limit"):
            a_verdict(client_of(server), max_tokens=20)
        assert server.state().hits == 2


def test_a_form_cut_off_without_a_limit_of_ours_is_asked_again(
    client_of: Clients,
) -> None:
    with LoopbackLLM(faults=Faults(script=["length"]), keep_bodies=True) as server:
        a_verdict(client_of(server))
        seeds = [body["seed"] for body in bodies(server)]
    assert len(set(seeds)) == 2


def test_the_larger_limit_is_remembered_for_the_texts_that_follow(
    client_of: Clients,
) -> None:
    with LoopbackLLM(obeys_max_tokens=True, keep_bodies=True) as server:
        client = client_of(server)
        for item in "123":
            assert not a_text(client, item, max_tokens=70).is_cut_off
        assert [body["max_tokens"] for body in bodies(server)] == [70, 140, 140, 140]


def test_a_limit_that_was_no_help_is_not_remembered(client_of: Clients) -> None:
    with LoopbackLLM(faults=Faults(always="length"), keep_bodies=True) as server:
        client = client_of(server)
        for item in "12":
            assert a_text(client, item, max_tokens=20).is_cut_off
        assert [body["max_tokens"] for body in bodies(server)] == [20, 40, 20, 40]


def nothing_but_thinking(needs: float) -> list[RawReply]:
    """What a thinking model answers that ran out of tokens."""
    message = {"content": "", "reasoning": "hm"}
    body = {"choices": [{"message": message, "finish_reason": "length"}]}
    return [RawReply(200, json.dumps(body))] * int(needs)


def test_thinking_that_used_the_limit_up_gets_more_and_is_no_fault(
    client_of: Clients,
) -> None:
    faults = Faults(script=nothing_but_thinking(1))
    with LoopbackLLM(faults=faults, keep_bodies=True) as server:
        limit = OpenLimit()
        assert a_text(client_of(server, limit=limit), max_tokens=300).text
        assert server.state().hits == 2
    assert [seen.kind for seen in limit.seen] == ["ok", "ok"]
    assert limit.naps == []


@pytest.mark.parametrize(("limit", "requests"), [(300, 2), (None, 4)])
def test_thinking_that_takes_twice_the_limit_too_is_given_up_with_what_to_do(
    limit: int | None, requests: int, client_of: Clients
) -> None:
    with LoopbackLLM(faults=Faults(script=nothing_but_thinking(9))) as server:
        with pytest.raises(UnreadableReply, match="raise --max-tokens"):
            a_text(client_of(server), max_tokens=limit)
        assert server.state().hits == requests


def test_a_schema_that_is_passed_over_is_shown_in_the_prompt(
    client_of: Clients,
) -> None:
    def answer(request: ChatRequest) -> str | None:
        asked = str(request.body["messages"][-1]["content"])
        return None if "JSON schema verdict:" in asked else "I like it."

    lines: list[str] = []
    with LoopbackLLM(answer=answer, keep_bodies=True) as server:
        client = client_of(server, say=lines.append)
        a_verdict(client)
        a_verdict(client, "2")
        asked = bodies(server)
    assert len(asked) == 3
    assert ["response_format" in body for body in asked] == [True, False, False]
    assert "JSON schema verdict:" in asked[2]["messages"][-1]["content"]
    assert len(lines) == 1


def test_one_answer_in_prose_says_nothing_of_a_server_that_heeds_schemas(
    client_of: Clients,
) -> None:
    replies = iter(['{"word": "x", "mark": 2}', "I like it."])
    with LoopbackLLM(answer=lambda _r: next(replies, None), keep_bodies=True) as server:
        client = client_of(server)
        for item in "123":
            a_verdict(client, item)
        shown = [
            "JSON schema" in body["messages"][-1]["content"] for body in bodies(server)
        ]
    assert shown == [False, False, True, False]


def test_without_a_limit_of_ours_a_cut_off_text_is_kept(client_of: Clients) -> None:
    with LoopbackLLM(faults=Faults(always="length")) as server:
        assert a_text(client_of(server)).is_cut_off
        assert server.state().hits == 1


def test_every_request_is_counted_and_none_is_sent_behind_our_back(
    client_of: Clients,
) -> None:
    script: list[Any] = ["500", "429", "loading", "dropped", "html", "not_json"]
    metrics = PipelineMetrics()
    with LoopbackLLM(faults=Faults(script=script)) as server:
        a_verdict(client_of(server, ledger=Ledger(metrics=metrics)))
        assert server.state().hits == 7
        log = server.log()
    (stage,) = metrics.snapshot().stages.values()
    assert (stage.name, stage.calls, stage.requests) == ("score", 1, 7)
    answered = [served for served in log if served.fault in ("ok", "not_json")]
    assert stage.completion_tokens == sum(one.completion_tokens for one in answered)
    assert stage.prompt_tokens == sum(one.prompt_tokens for one in answered)
    assert not stage.tokens_estimated


def test_tokens_that_no_server_counted_are_marked(client_of: Clients) -> None:
    metrics = PipelineMetrics()
    with LoopbackLLM(usage=False) as server:
        a_text(client_of(server, ledger=Ledger(metrics=metrics)))
    total = metrics.snapshot().total
    assert total.tokens_estimated
    assert total.completion_tokens > 10


def test_a_server_that_stays_down_is_asked_five_times(client_of: Clients) -> None:
    limit = OpenLimit()
    with LoopbackLLM(faults=Faults(always="500")) as server:
        with pytest.raises(Unreachable, match="answered 500"):
            a_text(client_of(server, limit=limit))
        assert server.state().hits == 5
    assert len(limit.naps) == 4


def test_an_outage_is_not_held_against_a_call(client_of: Clients) -> None:
    with LoopbackLLM(faults=Faults(script=["503"] * 12)) as server:
        a_text(client_of(server))
        assert server.state().hits == 13


def test_why_a_call_waits_is_told_with_the_call(client_of: Clients) -> None:
    told: list[tuple[str, str, str, float]] = []

    def on_wait(call: Call, reason: str, seconds: float) -> None:
        told.append((call.stage, call.item_id, reason, seconds))

    with LoopbackLLM(faults=Faults(script=["429"] * 2)) as server:
        a_text(client_of(server, limit=OpenLimit(wait_s=3.0), on_wait=on_wait))
    said = "the server answered 429: Rate limit reached"
    assert told == [
        ("generate", "1", said, 3.0),
        ("generate", "1", f"{said}, try 2", 3.0),
    ]


def test_a_rate_limit_waits_as_the_limit_says_and_is_no_attempt(
    client_of: Clients,
) -> None:
    limit = OpenLimit(wait_s=3.0)
    with LoopbackLLM(faults=Faults(script=["429"] * 9)) as server:
        a_text(client_of(server, limit=limit))
    assert limit.naps == [3.0] * 9


def test_the_refusal_of_one_item_leaves_the_others(client_of: Clients) -> None:
    with LoopbackLLM(faults=Faults(script=["refusal"])) as server:
        client = client_of(server)
        with pytest.raises(ItemRejected, match="refused"):
            a_text(client)
        assert a_text(client, "2").text
        assert server.state().hits == 2


def test_a_wrong_key_is_one_clear_line(client_of: Clients) -> None:
    with (
        LoopbackLLM(api_key="another") as server,
        pytest.raises(EndpointRejected) as caught,
    ):
        a_text(client_of(server))
    told = f" at {server.base_url}: the server answered 401: Incorrect API key"
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_is_stopped_during_a_wait_stops_the_call(
    client_of: Clients, tmp_path: Path
) -> None:
    class Stopped(OpenLimit):
        def sleep(self, seconds: float, /) -> None:
            raise RunStopped(f"stopped before {seconds:.0f} s")

    path = tmp_path / "calls.jsonl"
    with (
        LoopbackLLM(faults=Faults(always="500")) as server,
        Journal.open(path) as journal,
    ):
        client = client_of(server, limit=Stopped(), ledger=Ledger(journal=journal))
        with pytest.raises(RunStopped):
            a_text(client)
        assert server.state().hits == 1
    with Journal.open(path) as journal:
        assert journal.replayable == 0


def test_the_same_run_seed_sends_the_same_requests(client_of: Clients) -> None:
    def sent(seed: int) -> list[str]:
        with LoopbackLLM() as server:
            client = client_of(server, run_seed=seed)
            for sample in range(3):
                a_verdict(client, sample=sample)
            a_verdict(client, attempt=1)
            a_text(client)
            return [served.body_digest for served in server.log()]

    assert sent(1) == sent(1)
    assert not set(sent(1)) & set(sent(2))
    assert len(set(sent(1))) == 5


def test_a_preset_adds_to_texts_and_to_forms_what_each_should_have(
    client_of: Clients,
) -> None:
    with LoopbackLLM(keep_bodies=True) as server:
        client = client_of(
            server,
            temperature=0.3,
            max_tokens=90,
            extra_body={"top_k": 1},
            text_body={"min_p": 0.1},
            json_body={"min_p": 0.2},
        )
        a_text(client)
        a_verdict(client, temperature=0.0, max_tokens=7, extra_body={"top_k": 2})
        text, form = bodies(server)
    shown = ("temperature", "max_tokens", "top_k", "min_p")
    assert [text[name] for name in shown] == [0.3, 90, 1, 0.1]
    assert [form[name] for name in shown] == [0.0, 7, 2, 0.2]


def test_a_narrower_schema_and_a_context_take_effect(client_of: Clients) -> None:
    schema = strict_schema(Verdict)
    schema["properties"]["word"]["enum"] = ["only"]
    with LoopbackLLM() as server:
        assert a_verdict(client_of(server), schema=schema).word == "only"


def test_a_client_knows_its_presets_by_name(client_of: Clients) -> None:
    with LoopbackLLM() as server:
        client = client_of(server, words=300)
        assert client.preset().words == 300
        assert (client.model("test"), client.endpoint()) == ("m", "open")


def test_the_names_of_records_are_those_of_their_schemas() -> None:
    class ArticleCardReply(Reply):
        pass

    class ShortArticleScoreReply(Reply):
        pass

    assert record_name(ArticleCardReply) == "article_card"
    assert record_name(ShortArticleScoreReply) == "article_score"


def test_a_strict_schema_requires_all_and_allows_no_more() -> None:
    class Inner(Reply):
        title: str = "none"

    class Outer(Reply):
        inner: Inner
        required: int = 3

    text = json.dumps(schema := strict_schema(Outer))
    assert schema["required"] == ["inner", "required"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Inner"]["required"] == ["title"]
    assert '"default"' not in text


def journalled(
    server: LoopbackLLM, path: Path, client_of: Clients, **made: Any
) -> tuple[ChatClient, PipelineMetrics, Journal]:
    metrics, journal = PipelineMetrics(), Journal.open(path)
    ledger = Ledger(journal=journal, metrics=metrics)
    return client_of(server, ledger=ledger, **made), metrics, journal


def test_a_finished_call_is_not_sent_again(tmp_path: Path, client_of: Clients) -> None:
    path = tmp_path / "calls.jsonl"
    script: list[Any] = ["not_json", "429", "wrong_schema", "500"]
    with LoopbackLLM(faults=Faults(script=script)) as server:
        client, _, journal = journalled(server, path, client_of)
        before = (a_text(client), a_verdict(client))
        journal.close()
        hits = server.state().hits
        client, metrics, journal = journalled(server, path, client_of)
        assert (a_text(client), a_verdict(client)) == before
        assert server.state().hits == hits
        journal.close()
    total = metrics.snapshot().total
    assert (total.calls, total.replayed, total.requests) == (2, 2, 0)


def test_habits_learnt_do_not_change_a_calls_key(
    tmp_path: Path, client_of: Clients
) -> None:
    path = tmp_path / "calls.jsonl"
    habits: dict[str, Any] = {"habit": "refuses_schema", "refuses": {"max_tokens"}}
    with LoopbackLLM(**habits) as server:
        client, _, journal = journalled(server, path, client_of, max_tokens=99)
        a_verdict(client), a_verdict(client, "2")
        journal.close()
        hits = server.state().hits
        client, _, journal = journalled(server, path, client_of, max_tokens=99)
        a_verdict(client, "2")
        assert server.state().hits == hits
        journal.close()


def test_a_call_that_failed_is_asked_again_on_resume(
    tmp_path: Path, client_of: Clients
) -> None:
    path = tmp_path / "calls.jsonl"
    with LoopbackLLM(faults=Faults(script=["refusal"])) as server:
        client, _, journal = journalled(server, path, client_of)
        with pytest.raises(ItemRejected):
            a_text(client)
        journal.close()
        client, _, journal = journalled(server, path, client_of)
        assert a_text(client).text
        assert server.state().hits == 2
        journal.close()


def test_a_cut_off_text_that_was_used_is_replayed_as_such(
    tmp_path: Path, client_of: Clients
) -> None:
    path = tmp_path / "calls.jsonl"
    with LoopbackLLM(faults=Faults(script=["length"])) as server:
        client, _, journal = journalled(server, path, client_of)
        before = a_text(client)
        assert before.is_cut_off
        journal.close()
        client, _, journal = journalled(server, path, client_of)
        assert a_text(client) == before
        assert server.state().hits == 1
        journal.close()


@pytest.mark.parametrize("reason", ["eos", "end_turn"])
def test_an_answer_with_any_reason_is_replayed(
    tmp_path: Path, client_of: Clients, reason: str
) -> None:
    path = tmp_path / "calls.jsonl"
    with LoopbackLLM(finish_reason=reason) as server:
        for _ in range(2):
            client, _, journal = journalled(server, path, client_of)
            assert not a_text(client).is_cut_off
            journal.close()
        assert server.state().hits == 1


def test_how_long_a_text_may_be_is_no_part_of_its_key(
    tmp_path: Path, client_of: Clients
) -> None:
    path = tmp_path / "calls.jsonl"
    with LoopbackLLM() as server:
        for words in (None, 60):
            client, _, journal = journalled(server, path, client_of)
            a_text(client, words=words)
            journal.close()
        assert server.state().hits == 1


def test_a_run_does_not_answer_itself(tmp_path: Path, client_of: Clients) -> None:
    with LoopbackLLM() as server:
        client, _, journal = journalled(server, tmp_path / "calls.jsonl", client_of)
        assert a_text(client) == a_text(client)
        assert server.state().hits == 2
        journal.close()


def test_an_answer_that_no_longer_fits_its_form_is_asked_anew(
    tmp_path: Path, client_of: Clients
) -> None:
    path = tmp_path / "calls.jsonl"
    answers = Counter[str]()

    def answer(_request: ChatRequest) -> dict[str, Any]:
        answers["given"] += 1
        return {"word": "old" if answers["given"] == 1 else "new", "mark": 3}

    class Newer(Verdict):
        @field_validator("word")
        @classmethod
        def is_new(cls, word: str) -> str:
            if word != "new":
                raise ValueError("must be new")
            return word

    Newer.__name__ = "Verdict"
    with LoopbackLLM(answer=answer) as server:
        client, _, journal = journalled(server, path, client_of)
        a_verdict(client)
        journal.close()
        client, _, journal = journalled(server, path, client_of)
        schema = strict_schema(Verdict)
        found = client.complete_as(
            Newer,
            asking("Judge 1."),
            stage="score",
            item_id="1",
            options=CallOptions(schema=schema),
        )
        assert found.word == "new"
        journal.close()


def test_a_key_reaches_no_file(tmp_path: Path, client_of: Clients) -> None:
    path = tmp_path / "calls.jsonl"
    with LoopbackLLM(api_key="another") as server:
        client, _, journal = journalled(server, path, client_of)
        with pytest.raises(EndpointRejected):
            a_text(client)
        journal.close()
    assert b"[redacted]" in path.read_bytes()
    assert b"sk-test" not in path.read_bytes()


@pytest.mark.parametrize(("asked", "requests"), [(None, 2), (0, 1), (2, 3)])
def test_a_call_that_states_no_reasks_has_those_of_the_run(
    client_of: Clients, asked: int | None, requests: int
) -> None:
    with LoopbackLLM(answer=lambda _request: "no JSON here") as server:
        client = client_of(server, policy=RetryPolicy(reasks=1))
        with pytest.raises(UnreadableReply):
            a_verdict(client, reasks=asked)
        assert server.state().hits == requests
