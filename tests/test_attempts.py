"""SYNTHESIZE and VALIDATE in turn: the best attempt, and what is on disk when."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import EndpointRejected, ItemRejected, LLMError
from pipeline.grounding.provenance import ungrounded
from pipeline.grounding.sources import Sources
from pipeline.synthesize import Fused, fuse
from pipeline.work import Watch
from tests.stage_fakes import BRIEF, Asked, Stand, blueprint, stand

SOURCES = Sources(brief=replace(BRIEF, words=20), drafts={1: "Each took 3 calls."})
GOOD = (
    "# Logs win\n\nNobody remembers last May. Write one line today, and old arguments"
    " end before they start again in your team."
)
ONE_WRONG = GOOD.replace("# Logs win", "# Logs lose")
TWO_WRONG = ONE_WRONG.replace("in your team", "in 77 teams")
FINE = {
    "follows_brief": True,
    "keeps_one_argument": True,
    "is_supported": True,
    "reads_as_one": True,
    "findings": [],
}


class Desk:
    """A writer with prepared attempts and a reader with prepared verdicts."""

    def __init__(
        self,
        attempts: Sequence[str | LLMError],
        verdicts: Mapping[int, Any] | None = None,
    ) -> None:
        self.attempts, self.verdicts = attempts, verdicts or {}
        self.events: list[str] = []
        self.stand: Stand = stand(self._answer)

    def _answer(self, asked: Asked) -> Any:
        self.events.append(f"{asked.stage} {asked.attempt}")
        if asked.stage == "synthesize":
            return self.attempts[asked.attempt - 1]
        return self.verdicts.get(asked.attempt, FINE)

    def fuse(self, retries: int = 3, watch: Watch | None = None) -> Fused:
        return fuse(
            blueprint(),
            SOURCES,
            retries=retries,
            on_article=lambda text: self.events.append(f"kept {text[:11]!r}"),
            client=self.stand.client,
            watch=watch or Watch(),
        )


def test_an_article_that_passes_is_the_only_attempt() -> None:
    desk = Desk([GOOD])
    fused = desk.fuse()
    assert (fused.article, fused.validation.passed) == (GOOD, True)
    assert desk.events == ["synthesize 1", "kept '# Logs win\\n'", "validate 1"]


def test_the_article_is_on_disk_before_it_is_validated() -> None:
    desk = Desk([GOOD], {1: EndpointRejected("gone")})
    with pytest.raises(EndpointRejected):
        desk.fuse()
    assert desk.events == ["synthesize 1", "kept '# Logs win\\n'", "validate 1"]


def test_a_failed_attempt_is_followed_by_one_with_its_findings() -> None:
    desk = Desk([ONE_WRONG, GOOD])
    fused = desk.fuse()
    assert (fused.article, fused.validation.attempt) == (GOOD, 2)
    second = next(
        a for a in desk.stand.asked if a.key[0] == "synthesize" and a.attempt == 2
    )
    assert "# Logs lose" in second.user
    assert "The headline is not: Logs win" in second.user


def test_the_best_attempt_is_kept_and_not_the_last() -> None:
    desk = Desk([TWO_WRONG, ONE_WRONG, TWO_WRONG])
    fused = desk.fuse(retries=2)
    assert fused.article == ONE_WRONG
    assert (fused.validation.attempt, fused.validation.passed) == (2, False)


def test_the_earlier_of_two_equal_attempts_is_kept() -> None:
    other = ONE_WRONG.replace("old arguments", "new arguments")
    assert Desk([ONE_WRONG, other]).fuse(retries=1).article == ONE_WRONG


def test_each_further_attempt_starts_from_the_best_so_far() -> None:
    desk = Desk([ONE_WRONG, TWO_WRONG, GOOD])
    desk.fuse(retries=2)
    third = next(
        a for a in desk.stand.asked if a.stage == "synthesize" and a.attempt == 3
    )
    assert "in your team" in third.user
    assert "in 77 teams" not in third.user


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_there_are_so_many_attempts_and_no_more(retries: int) -> None:
    desk = Desk([ONE_WRONG] * 9)
    desk.fuse(retries=retries)
    assert desk.events.count("validate 1") == 1
    assert sum(e.startswith("synthesize") for e in desk.events) == 1 + retries


def test_a_first_attempt_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(ItemRejected):
        Desk([ItemRejected("no")]).fuse()


def test_a_later_attempt_that_cannot_be_had_leaves_the_best_and_is_reported() -> None:
    failed: list[str] = []
    watch = Watch(on_failed=lambda stage, name, _e: failed.append(f"{stage} {name}"))
    desk = Desk([ONE_WRONG, ItemRejected("no"), GOOD])
    assert desk.fuse(watch=watch).article == ONE_WRONG
    assert failed == ["synthesize attempt 2"]


def test_a_verdict_that_cannot_be_had_leaves_the_article() -> None:
    desk = Desk([GOOD], {1: ItemRejected("too long")})
    fused = desk.fuse()
    assert fused.article == GOOD
    assert fused.validation.passed


def test_what_ends_the_run_is_raised_also_from_a_later_attempt() -> None:
    with pytest.raises(EndpointRejected):
        Desk([ONE_WRONG, EndpointRejected("quota")]).fuse()


DRAFTS = {
    1: "# Logs win\n\nEach answer took 3 calls. Nobody remembers last May.",
    2: "“We stopped guessing and started to listen,” said Ann. Write one line today.",
}
INVENTED = (
    "# Logs win\n\nNobody remembers last May. It cost 4,700 hours and took 3 calls."
    " “We quit guessing and began to listen,” said Ann of 18 teams, and a “warm” team"
    " agreed. Write one line today."
)


def mended(prompt: str) -> str:
    """The earlier article of the prompt with what the findings name, mended."""
    (article,) = re.findall(r"<(article-\w+)>\n(.*?)\n</\1>", prompt, re.DOTALL)
    (findings,) = re.findall(r"<(findings-\w+)>\n(.*?)\n</\1>", prompt, re.DOTALL)
    text = str(article[1])
    for finding in findings[1].splitlines():
        if figure := re.search(r"The figure (\S+) is in no draft", finding):
            text = text.replace(figure[1], "many")
        elif altered := re.search(r'"(.+)" is altered.* says: “(.+?)”', finding):
            text = text.replace(altered[1], altered[2])
        elif scare := re.search(r'Nobody says "(.+)" in', finding):
            text = text.replace(f"“{scare[1]}”", scare[1])
    return text


class ObedientWriter(Desk):
    """Invents at first, and then mends what it is told of and nothing else."""

    def __init__(self) -> None:
        super().__init__([INVENTED])
        self.told: list[str] = []

    def _answer(self, asked: Asked) -> Any:
        if asked.stage == "synthesize" and asked.attempt > 1:
            self.told = re.findall(r"^- (.*)$", asked.user, re.MULTILINE)
            return mended(asked.user)
        return super()._answer(asked)

    def fuse(self, retries: int = 3, watch: Watch | None = None) -> Fused:
        return fuse(
            blueprint(),
            Sources(brief=replace(BRIEF, words=36), drafts=DRAFTS),
            retries=retries,
            on_article=self.events.append,
            client=self.stand.client,
            watch=watch or Watch(),
        )


def test_what_is_invented_is_found_and_gone_after_an_obedient_writer_s_next_try() -> (
    None
):
    first = ObedientWriter().fuse(retries=0)
    wrong = [(t.kind, t.text, t.found) for t in ungrounded(first.traces)]
    assert wrong == [
        ("figure", "4,700", "nowhere"),
        ("quotation", "We quit guessing and began to listen,", "altered"),
        ("figure", "18", "nowhere"),
        ("quotation", "warm", "nowhere"),
    ]
    assert not first.validation.passed
    desk = ObedientWriter()
    fused = desk.fuse()
    assert len(desk.told) == 4
    assert fused.validation.attempt == 2
    assert (fused.validation.passed, fused.validation.findings) == (True, ())
    assert ungrounded(fused.traces) == []
    assert "“We stopped guessing and started to listen,” said Ann" in fused.article


def test_the_traces_are_those_of_the_article_that_is_kept() -> None:
    fused = Desk([TWO_WRONG, ONE_WRONG, TWO_WRONG]).fuse(retries=2)
    assert "77" not in [trace.text for trace in fused.traces]
    assert fused.traces[0].text == "Logs lose"


def test_every_attempt_is_shown_the_passages_that_the_blueprint_names() -> None:
    desk = ObedientWriter()
    desk.fuse()
    prompts = [asked.user for asked in desk.stand.asked if asked.stage == "synthesize"]
    assert len(prompts) == 2
    for prompt in prompts:
        assert "Draft 1: Each answer took 3 calls. Nobody remembers last May." in prompt
