"""
EXTRACT: the card of one draft.

The draft is shown as numbered lines, and wherever the card must hold the author's own
words the model answers with numbers, so that they are verbatim by construction. The
card's id is the draft's; what a reply says of ids is never read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipeline.errors import ItemRejected
from pipeline.llm.call import CallOptions, Reply, strict_schema
from pipeline.llm.client import ChatClient
from pipeline.llm.opening import client_or_default
from pipeline.prompts.documents import numbered_block
from pipeline.prompts.templates import fill
from pipeline.records import ArticleCandidate, ArticleCard, Evidence
from pipeline.short.extract import short_card
from pipeline.text.article import Unit, figures, units, word_count
from pipeline.work import NOBODY, Watch, card_item, work_through

STAGE = "extract"
TEMPERATURE = 0.2
LONGEST_ARTICLE_UNITS = 400
KINDS = ("example", "case", "statistic", "study", "quotation", "mechanism", "anecdote")


class EvidenceReply(Reply):
    """A line that backs a claim."""

    sentence: int
    kind: Literal[KINDS]  # type: ignore[valid-type]  # a tuple of literals
    supports: str


class ArticleCardReply(Reply):
    """A card as the model fills it in: numbers where words must be the author's."""

    headline_candidates: tuple[int, ...] = Field(min_length=1, max_length=3)
    opening_hook: tuple[int, ...] = Field(min_length=1, max_length=2)
    core_argument: str = Field(min_length=1)
    key_points: tuple[str, ...] = Field(min_length=1, max_length=7)
    evidence: tuple[EvidenceReply, ...] = Field(max_length=8)
    structure: str
    tone: str
    audience: str
    memorable_phrases: tuple[int, ...] = Field(max_length=4)
    weaknesses: tuple[str, ...] = Field(max_length=5)

    @field_validator("headline_candidates", "opening_hook", "memorable_phrases")
    @classmethod
    def _are_lines(
        cls, lines: tuple[int, ...], info: ValidationInfo
    ) -> tuple[int, ...]:
        _check_lines(lines, info)
        return tuple(dict.fromkeys(lines))

    @field_validator("evidence")
    @classmethod
    def _have_lines(
        cls, found: tuple[EvidenceReply, ...], info: ValidationInfo
    ) -> tuple[EvidenceReply, ...]:
        _check_lines([each.sentence for each in found], info)
        return tuple({each.sentence: each for each in reversed(found)}.values())[::-1]


def _check_lines(lines: Sequence[int], info: ValidationInfo) -> None:
    last = (info.context or {}).get("last")
    wrong = [line for line in lines if not 1 <= line <= (last or line)]
    if wrong:
        message = f"{wrong[0]} is no line of the draft; its lines are 1 to {last}"
        raise ValueError(message)


def card_schema(last: int) -> dict[str, Any]:
    """The reply's schema for a draft of `last` lines: no list asks for more."""
    schema = strict_schema(ArticleCardReply)
    line = {"type": "integer", "minimum": 1, "maximum": last}
    fields = schema["properties"]
    for name in ("headline_candidates", "opening_hook", "memorable_phrases"):
        fields[name]["items"] = line
        fields[name]["maxItems"] = min(fields[name]["maxItems"], last)
    fields["evidence"]["maxItems"] = min(fields["evidence"]["maxItems"], last)
    schema["$defs"]["EvidenceReply"]["properties"]["sentence"] = line
    return schema


def extract_article_card(
    candidate: ArticleCandidate,
    retry_count: int | None = 3,
    *,
    client: ChatClient | None = None,
) -> ArticleCard:
    """The card of one draft; an unusable reply is asked for again `retry_count` times.

    None is as often as the client asks for any reply.
    Raises ItemRejected for a draft without text, UnreadableReply when no reply could
    be used, and the errors of the client.
    """
    lines = units(candidate.text)[:LONGEST_ARTICLE_UNITS]
    if not lines:
        message = "the draft holds no text"
        raise ItemRejected(message)
    client = client_or_default(client)
    if client.preset().is_short:
        return short_card(candidate, lines, reasks=retry_count, client=client)
    reply = client.complete_as(
        ArticleCardReply,
        fill(
            "extract",
            {"article": numbered_block(lines), "last": len(lines)},
            short=False,
        ),
        stage=STAGE,
        item_id=str(candidate.article_id),
        options=CallOptions(
            temperature=TEMPERATURE,
            reasks=retry_count,
            schema=card_schema(len(lines)),
            context={"last": len(lines)},
        ),
    )
    return _card(candidate, lines, reply)


def _card(
    candidate: ArticleCandidate, lines: Sequence[Unit], reply: ArticleCardReply
) -> ArticleCard:
    def words(numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(lines[number - 1].text for number in numbers)

    return ArticleCard(
        article_id=candidate.article_id,
        headline_candidates=words(reply.headline_candidates),
        opening_hook=" ".join(words(sorted(reply.opening_hook))),
        core_argument=reply.core_argument,
        key_points=tuple(dict.fromkeys(reply.key_points)),
        evidence=tuple(
            Evidence(
                sentence=lines[each.sentence - 1].text,
                kind=each.kind,
                figures=tuple(figures(lines[each.sentence - 1].text)),
            )
            for each in reply.evidence
        ),
        structure=reply.structure,
        sections=tuple(unit.text for unit in lines if unit.is_heading),
        tone=reply.tone,
        audience=reply.audience,
        memorable_phrases=words(reply.memorable_phrases),
        weaknesses=reply.weaknesses,
        word_count=word_count(candidate.text),
    )


def extract_all_article_cards(
    candidates: Sequence[ArticleCandidate],
    retry_count: int | None = 3,
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> list[ArticleCard]:
    """Cards in candidate order, one at a time; a failed candidate is left out."""
    return work_through(
        candidates,
        lambda candidate: extract_article_card(candidate, retry_count, client=client),
        item=lambda candidate: card_item(candidate.article_id),
        watch=watch,
    )
