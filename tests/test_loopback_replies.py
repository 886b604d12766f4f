"""What the simulated server answers: schemas filled in, articles, ordered articles."""

import json
import random
import re
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tests.loopback_ask import chat_body, schema_format
from tests.loopback_prose import coined_name
from tests.loopback_replies import (
    blueprint_of,
    content_for,
    sayings_in,
    words_asked,
    wrapped,
)
from tests.loopback_request import (
    BadRequestError,
    ChatRequest,
    parse_chat_request,
    split_schema_line,
)
from tests.loopback_schema import SchemaFiller

NO_DEADLINE = settings(deadline=None)  # the machine may be busy
SEEDS = st.integers(0, 2**64 - 1)
CRITERIA = ("hook", "clarity", "evidence")


class Evidence(BaseModel):
    sentence: int = Field(ge=1, le=40)
    figure: str | None = Field(default=None, max_length=12)


class Mark(BaseModel):
    criterion: Literal["hook", "clarity", "evidence"]
    score: int = Field(ge=1, le=10)
    weight: float = Field(gt=0, lt=1)


class Branch(BaseModel):
    label: str
    branches: list["Branch"] = []
    twin: "Branch | None" = None


class Everything(BaseModel):
    kind: Literal["everything"]
    tone: Literal["dry", "warm"]
    title: Annotated[str, Field(min_length=60, max_length=80)]
    short: Annotated[str, Field(max_length=3)]
    is_true: bool
    evidence: list[Evidence] = Field(min_length=2, max_length=5)
    marks: list[Mark] = Field(min_length=3, max_length=3)
    sentences: list[Annotated[int, Field(ge=1, le=4)]] = Field(min_length=4)
    picked: set[Literal["a", "b", "c"]] = Field(min_length=2)
    truths: set[bool] = Field(max_length=3)
    pair: tuple[int, str]
    free: dict[Literal["x", "y"], Mark]
    either: int | str
    tree: Branch


def request_for(text: str, **fields: Any) -> ChatRequest:
    return parse_chat_request(json.dumps(chat_body(text, **fields)).encode())


def filled(model: type[BaseModel], seed: int, *, favourable: bool = False) -> Any:
    schema = model.model_json_schema()
    rng = random.Random(seed)
    return SchemaFiller(
        root=schema, rng=rng, name="Tarvel", favourable=favourable
    ).fill()


@NO_DEADLINE
@given(SEEDS, st.booleans())
def test_a_filled_schema_is_valid(seed: int, favourable: bool) -> None:
    Everything.model_validate(filled(Everything, seed, favourable=favourable))


@NO_DEADLINE
@given(SEEDS)
def test_rows_and_numbers_that_can_differ_do(seed: int) -> None:
    record = Everything.model_validate(filled(Everything, seed))
    assert {mark.criterion for mark in record.marks} == set(CRITERIA)
    assert sorted(record.sentences) == [1, 2, 3, 4]


@NO_DEADLINE
@given(SEEDS)
def test_the_items_of_a_set_differ(seed: int) -> None:
    truths = filled(Everything, seed)["truths"]
    assert len(truths) == len(set(truths))


def test_a_schema_that_only_refers_to_itself_is_refused() -> None:
    filler = SchemaFiller(root={"$ref": "#"}, rng=random.Random(1), name="Tarvel")
    with pytest.raises(ValueError, match="nowhere"):
        filler.fill()


def test_a_validator_is_satisfied() -> None:
    class ValidationResult(BaseModel):
        passed: bool
        verdict: Literal["fail", "pass"]
        findings: list[str]
        quality: int = Field(ge=1, le=10)

    asked = schema_format("validation_result", ValidationResult.model_json_schema())
    reply = content_for(request_for("Check this.", response_format=asked))
    assert json.loads(reply) == {
        "passed": True,
        "verdict": "pass",
        "findings": [],
        "quality": 10,
    }


@pytest.mark.parametrize("words", [150, 220, 300, 900, 1500])
def test_an_article_has_about_the_words_asked_for(words: int) -> None:
    for topic in ("tea", "rail", "bread"):
        text = content_for(request_for(f"Write {words} words about {topic}."))
        assert abs(len(text.split()) - words) <= max(20, words * 0.05)


def test_an_article_looks_like_one() -> None:
    text = content_for(request_for("Write about tea."))
    lines = text.splitlines()
    assert lines[0].startswith("# ")
    assert sum(line.startswith("## ") for line in lines) == 3
    assert re.search(r"\d", text)
    assert '"' in text
    sentences = re.findall(r"[A-Z][^.]*\.", text)
    assert len(set(sentences)) == len(sentences)


def test_an_answer_carries_the_name_of_its_item() -> None:
    free = request_for("Write about tea.")
    card = request_for(
        "Card.",
        response_format=schema_format(
            "article_card",
            {"type": "object", "properties": {"claim": {"type": "string"}}},
        ),
    )
    for request in (free, card):
        assert coined_name(request.item) in content_for(request)
    assert coined_name(free.item) != coined_name(card.item)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("about 1,500 words", 1500),
        ("between 400 and 600 words", 500),
        ("a 220-word text", 220),
        ("sentences of 20 words, in all 700 words", 700),
        ("<draft-1>of 900 words</draft-1> now 400 words", 400),
        ("<topic>in 250 words</topic>", 250),
        ("no length", 300),
    ],
)
def test_the_length_is_found_in_the_prompt(prompt: str, words: int) -> None:
    assert words_asked(prompt) == words


BLUEPRINT = {
    "headline": {"text": "Tea keeps time", "source_id": 2, "reason": "headline of 9"},
    "opening_hook": "Nobody waits well",
    "preserved_phrases": [
        {"text": "a kettle is a clock", "why": "a phrase in 7 of 9 drafts"},
        "Steam has no manager.",
    ],
    "structure": ["one", "two"],
}


@pytest.mark.parametrize(
    "block",
    [
        f"<blueprint-3f>\n{json.dumps(BLUEPRINT)}\n</blueprint-3f>",
        f"<BLUEPRINT>{json.dumps(BLUEPRINT, indent=1)}</BLUEPRINT>",
        f"BLUEPRINT:\n{json.dumps(BLUEPRINT)}\nEnd.",
        "BLUEPRINT\nHeadline: Tea keeps time\nOpening: Nobody waits well\n"
        "Preserved phrases:\n- a kettle is a clock\n- Steam has no manager.\n",
    ],
)
def test_the_writer_obeys_the_blueprint(block: str) -> None:
    request = request_for(f"Write 300 words.\n\n{block}\n")
    assert request.stage == "synthesize"
    text = content_for(request)
    lines = text.splitlines()
    assert lines[0] == "# Tea keeps time"
    assert lines[2].startswith("Nobody waits well.")
    assert "a kettle is a clock." in text
    assert "Steam has no manager." in text
    assert not re.search(r"\d", text)
    assert '"' not in text


def test_an_unreadable_blueprint_orders_nothing() -> None:
    assert blueprint_of("BLUEPRINT {{{ broken").phrases == ()


def test_a_selection_is_made_from_what_the_cards_say() -> None:
    cards = [{"id": 1, "memorable_phrases": ["a kettle is a clock"]}]
    schema = {
        "type": "object",
        "properties": {"phrases": {"type": "array", "items": {"type": "string"}}},
    }
    asked = schema_format("synthesis_blueprint", schema)
    request = request_for(f"CARDS {json.dumps(cards)}", response_format=asked)
    assert set(json.loads(content_for(request))["phrases"]) == {"a kettle is a clock"}


@NO_DEADLINE
@given(st.text(alphabet='{}[]":,\\ abc\n', max_size=200))
def test_hostile_text_is_read_without_harm(text: str) -> None:
    sayings_in(text)
    split_schema_line(text)


def test_a_wrapped_answer_hides_its_object_in_prose() -> None:
    text = wrapped('{"a": 1}', is_json=True)
    assert text.startswith("<think>")
    assert '```json\n{"a": 1}\n```' in text
    assert not text.endswith("```")


SCHEMA: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}}
APPENDED = (
    f"Judge.\n\nIn JSON.\nJSON schema article_score:\n{json.dumps(SCHEMA, indent=1)}"
)


@pytest.mark.parametrize(
    ("text", "fields", "stage"),
    [
        ("Write.", {}, "generate"),
        ("<Blueprint-1>", {}, "synthesize"),
        ("Judge.", {"response_format": schema_format("article_score", {})}, "score"),
        (APPENDED, {}, "score"),
        (APPENDED, {"response_format": {"type": "json_object"}}, "score"),
        ("Say JSON schema article_card: inline", {}, "generate"),
        ("?", {"response_format": schema_format("own_record", {})}, "own_record"),
    ],
)
def test_the_stage_is_read_from_the_request(
    text: str, fields: dict[str, Any], stage: str
) -> None:
    assert request_for(text, **fields).stage == stage


def test_a_stepped_down_request_is_the_same_work() -> None:
    asked = request_for(
        "Judge.", response_format=schema_format("article_score", SCHEMA), seed=4
    )
    told = request_for(APPENDED, seed=4, temperature=0.3)
    assert told.item == asked.item
    assert told.schema == asked.schema
    assert content_for(told) == content_for(asked)


def test_another_seed_or_text_is_other_work() -> None:
    items = {
        request_for("Judge.", seed=4).item,
        request_for("Judge.", seed=5).item,
        request_for("Judge it.", seed=4).item,
    }
    assert len(items) == 3


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"[" * 100_000, b'{"model": "m"}', b'{"messages": [{}]}']
    + [json.dumps({"model": "m", "messages": bad}).encode() for bad in ([], 7, [3])],
)
def test_a_body_that_is_no_chat_request_is_told_so(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        parse_chat_request(body)
