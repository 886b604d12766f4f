"""VALIDATE: what code finds, what the model finds, and who has the last word."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import EndpointRejected, ItemRejected, LLMError
from pipeline.grounding.sources import Sources
from pipeline.records import Finding
from pipeline.validate import code_findings, validate_article
from tests.stage_fakes import BRIEF, FULL, SHORT, Answer, blueprint, stand

DRAFTS = {
    1: "# Logs win\n\nEach answer took 3 calls.",
    2: "In 2019 it cost 1,500 hours.",
}
SOURCES = Sources(brief=replace(BRIEF, words=20), drafts=DRAFTS)
BODY = (
    "Nobody remembers last May. Write one line today, and old arguments end before"
    " they start again in your team."
)
GOOD = f"# Logs win\n\n{BODY}"
FINE = {
    "follows_brief": True,
    "keeps_one_argument": True,
    "is_supported": True,
    "reads_as_one": True,
    "findings": [],
}


def checks(article: str, *, words: int = 20, **changes: Any) -> list[str]:
    found = code_findings(article, blueprint(**changes), SOURCES, words=words)
    assert all((f.source, f.severity) == ("code", "major") for f in found)
    return [finding.check for finding in found]


def test_an_article_that_keeps_the_blueprint_has_no_findings() -> None:
    assert checks(GOOD) == []


@pytest.mark.parametrize(
    "headline", ["# **Logs win**", "# “Logs win”", "# LOGS WIN.", "## Logs  win ##"]
)
def test_a_headline_may_differ_in_marks_alone(headline: str) -> None:
    quoted = "“" in headline
    found = checks(f"{headline}\n\n{BODY}")
    assert found == (["headline"] if quoted else [])


@pytest.mark.parametrize("headline", ["# Logs always win", "", "# Win logs"])
def test_another_headline_is_a_finding(headline: str) -> None:
    assert "headline" in checks(f"{headline}\n\n{BODY}")


def test_a_phrase_must_stand_word_for_word() -> None:
    assert checks(GOOD.replace("Write one line", "Write a line")) == ["phrases"]
    assert checks(GOOD.replace("Write one line", "*Write* one\nline")) == []


@pytest.mark.parametrize(
    ("words", "is_found"),
    [(15, True), (16, False), (24, False), (25, True)],
)
def test_the_length_may_be_off_by_a_fifth_and_not_by_a_word_more(
    words: int, is_found: bool
) -> None:
    article = "# Logs win\n\nWrite one line today" + " and" * (words - 6)
    assert checks(article) == (["length"] if is_found else [])


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("3 calls", False),
        ("1500 hours", False),
        ("1.500 hours", False),
        ("4 calls", True),
        ("15 hours", True),
        ("1. one\n2. two", False),
    ],
)
def test_a_number_must_stand_in_a_draft_or_in_the_brief(
    text: str, is_found: bool
) -> None:
    article = GOOD.replace("in your team.", f"\n\n{text}")
    assert checks(article) == (["figures"] if is_found else [])


def quotation_findings(text: str) -> list[Finding]:
    article = GOOD.replace("in your team.", f"\n\n{text}")
    found = code_findings(article, blueprint(), SOURCES, words=20)
    return [finding for finding in found if finding.check == "quotations"]


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ('"each answer took"', None),
        ("“Each answer took 3 calls,” he said.", None),
        ('"each answer takes"', "major"),
        ("«nobody ever asks»", "major"),
        ("“Ann” said so.", "major"),
        ('a "good enough" log', "minor"),
        ('a "pull" too', "minor"),
    ],
)
def test_a_quotation_without_a_source_is_as_grave_as_it_is_long_or_a_name(
    text: str, severity: str | None
) -> None:
    found = [finding.severity for finding in quotation_findings(text)]
    assert found == ([severity] if severity else [])


def test_an_altered_quotation_is_told_what_the_source_says() -> None:
    (finding,) = quotation_findings("“Each answer takes calls,” he said.")
    assert '"Each answer takes calls,"' in finding.detail
    assert "Draft 1 says: Each answer took 3 calls." in finding.detail


def test_an_invented_quotation_is_to_be_taken_out() -> None:
    (finding,) = quotation_findings("“Giraffes seldom keep notebooks,” he said.")
    assert "Giraffes seldom keep notebooks" in finding.detail
    assert "take it out" in finding.detail


def test_what_stands_twice_without_a_source_is_one_finding() -> None:
    assert len(quotation_findings("“Ann” said so.\n\nTo “Ann” it is.")) == 1


def test_a_long_text_between_two_marks_makes_a_short_finding() -> None:
    (finding,) = quotation_findings(f'"{"giraffe " * 9_000}end"')
    assert len(finding.detail) < 1_000


def test_quotations_of_brief_and_background_are_known() -> None:
    brief = replace(BRIEF, topic="Why “done” lies", context=("Say «ship it now».",))
    sources = Sources(brief=brief, drafts={})
    article = GOOD.replace("in your team", '"done" and "Ship it now."')
    assert code_findings(article, blueprint(), sources, words=20) == []


def test_a_phrase_that_only_the_blueprint_knows_is_no_finding() -> None:
    sources = Sources(brief=BRIEF, drafts={})
    assert code_findings(GOOD, blueprint(), sources, words=20) == []


def test_the_reader_sees_the_passages_and_the_small_one_does_not() -> None:
    for preset, is_shown in ((FULL, True), (SHORT, False)):
        one = stand(preset=preset)
        validate_article(GOOD, blueprint(), SOURCES, client=one.client)
        assert ("Draft 1: Each answer took 3 calls." in one.asked[0].user) is is_shown


def test_numbers_of_brief_and_background_are_known() -> None:
    brief = replace(BRIEF, topic="In 1999", context=("and 47 teams",))
    sources = Sources(brief=brief, drafts={})
    article = GOOD.replace("in your team", "in 1999 and 47")
    assert code_findings(article, blueprint(), sources, words=20) == []


def test_code_findings_are_the_same_every_time() -> None:
    bad = "# No\n\nWord 77 and 78 and 77."
    assert (
        checks(bad)
        == checks(bad)
        == [
            "headline",
            "length",
            "phrases",
            "figures",
            "figures",
        ]
    )


def verdict(answer: Answer, article: str = GOOD, **how: Any) -> Any:
    one = stand(answer, **how)
    return validate_article(article, blueprint(), SOURCES, attempt=2, client=one.client)


def test_a_satisfied_reader_and_no_finding_of_code_is_a_pass() -> None:
    result = verdict(lambda _asked: FINE)
    assert (result.passed, result.findings, result.attempt) == (True, (), 2)
    assert (result.word_count, result.target_word_count) == (21, 20)


def test_a_reader_never_overrules_what_code_found() -> None:
    result = verdict(lambda _asked: FINE, article="# Wrong\n\nShort.")
    assert not result.passed
    assert {f.source for f in result.findings} == {"code"}


@pytest.mark.parametrize(("severity", "passes"), [("major", False), ("minor", True)])
def test_only_a_major_finding_fails_an_article(severity: str, passes: bool) -> None:
    finding = {"severity": severity, "problem": "A seam."}
    result = verdict(lambda _asked: {**FINE, "findings": [finding]})
    assert result.passed is passes
    assert [(f.source, f.severity, f.detail) for f in result.findings] == [
        ("model", severity, "A seam.")
    ]


def test_a_check_that_is_false_without_a_reason_is_a_major_finding() -> None:
    result = verdict(lambda _asked: {**FINE, "is_supported": False})
    assert not result.passed
    assert "is_supported" in result.findings[0].detail


@pytest.mark.parametrize(
    "answer",
    [
        lambda _asked: "I would rather not say.",
        lambda _asked: {**FINE, "reads_as_one": "certainly not"},
        lambda _asked: ItemRejected("too long"),
    ],
    ids=["prose", "no boolean", "refused"],
)
def test_a_model_without_a_verdict_is_a_minor_finding(answer: Answer) -> None:
    result = verdict(answer)
    assert result.passed
    (finding,) = result.findings
    assert (finding.source, finding.severity) == ("model", "minor")
    assert "no verdict" in finding.detail


def test_what_ends_the_run_is_no_finding() -> None:
    def answer(_asked: object) -> LLMError:
        return EndpointRejected("quota")

    with pytest.raises(EndpointRejected):
        verdict(answer)


def test_a_small_model_s_doubts_are_passed_on_and_stop_nothing() -> None:
    result = verdict(
        lambda _asked: {"on_topic": False, "reads_well": True}, preset=SHORT
    )
    assert result.passed
    assert result.findings == (
        Finding(
            check="model",
            source="model",
            severity="minor",
            detail="The small model denies on_topic.",
        ),
    )
