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
