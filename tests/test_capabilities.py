"""What an endpoint turns out not to take, as it is remembered."""

from pipeline.llm.capabilities import OBJECT, PROMPT, SCHEMA, Capabilities, form_for


def test_stepping_down_goes_form_by_form() -> None:
    refused: set[str] = set()
    assert form_for("card", refused) == SCHEMA
    assert form_for("card", {f"{SCHEMA}:card"}) == OBJECT
    assert form_for("score", {f"{SCHEMA}:card", OBJECT}) == SCHEMA
    assert form_for("card", {f"{SCHEMA}:card", OBJECT}) == PROMPT
    assert form_for("card", {SCHEMA}) == OBJECT


def test_a_thing_is_said_once_however_many_calls_learn_it() -> None:
    capabilities = Capabilities()
    assert len(capabilities.learn({"seed", SCHEMA})) == 2
    assert capabilities.learn({"seed", SCHEMA}) == []
    assert capabilities.learn({"max_tokens"}) == []  # it goes under its other name
    assert capabilities.refused == {"seed", SCHEMA, "max_tokens"}


def test_two_schemas_refused_and_none_filled_in_are_no_matter_of_a_schema() -> None:
    capabilities = Capabilities()
    card, score = f"{SCHEMA}:card", f"{SCHEMA}:score"
    capabilities.learn({card})
    assert form_for("vote", capabilities.refused) == SCHEMA
    capabilities.learn({score})
    assert form_for("vote", capabilities.refused) == OBJECT
    other = Capabilities()
    other.learn(set(), proven="vote")
    for word in (card, score):
        other.learn({word})
    assert form_for("vote", other.refused) == SCHEMA


def test_a_server_that_reads_the_end_of_prompts_is_told_by_its_count() -> None:
    capabilities = Capabilities()
    sizes = [(900, 3600), (1024, 4400), (1024, 4400), (1024, 5000), (1024, 9000)]
    told = [capabilities.is_cut_at(read, size) for read, size in sizes]
    assert told == [False, False, False, False, True]
    assert not capabilities.is_cut_at(1024, 12_000)  # it was said
    alike = [capabilities.is_cut_at(2048, 8000 + number) for number in range(9)]
    assert not any(alike)
    assert not any(capabilities.is_cut_at(100, 400 * n) for n in range(9))
