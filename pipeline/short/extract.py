"""
EXTRACT for a small model: everything chosen by number or from a closed list.

Points are taken one from each quarter of the article, which keeps them apart. What a
small model cannot say in its own words, code reads off the text: headline, sections,
sentences with figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

from pydantic import ValidationInfo, model_validator

from pipeline.llm.call import CallOptions, Reply
from pipeline.llm.client import ChatClient
from pipeline.prompts.templates import fill
from pipeline.records import ArticleCandidate, ArticleCard, Evidence
from pipeline.short.forms import check_choices, form, one_of, shape
from pipeline.text.article import Unit, figures, title, word_count
from pipeline.text.safety import fenced

STAGE = "extract"
TEMPERATURE = 0.7
MAX_TOKENS = 140
MOST_SENTENCES = 60  # of 4,096 tokens, with room for the answer
LONGEST_SENTENCE = 300
_HOOKS = 3
_QUARTERS = 4

STRUCTURES = {
    "problem_solution": "problem, then solution",
    "how_to": "steps in order",
    "argument": "claim and reasons",
    "story": "a story and what it shows",
    "comparison": "two ways compared",
    "list": "a list of points",
}
KINDS = ("none", "example", "anecdote", "data", "quotation", "reasoning")
TONES = ("practical", "persuasive", "conversational", "formal", "urgent")
WEAKNESSES = {
    "repetitive": "It repeats itself.",
    "vague": "It stays vague.",
    "no_evidence": "It gives no evidence.",
    "weak_ending": "The ending is weak.",
    "off_topic": "It leaves the topic.",
    "too_short": "It is too short.",
}


class ShortArticleCardReply(Reply):
    """A card by numbers; an article of fewer than four sentences has fewer points."""

    hook: int
    argument: int
    phrase: int
    structure: str
    evidence: str
    tone: str
    weakness: str
    point_1: int
    point_2: int | None = None
    point_3: int | None = None
    point_4: int | None = None

    @model_validator(mode="after")
    def _choices_exist(self, info: ValidationInfo) -> Self:
        check_choices(self.model_dump(), (info.context or {})["schema"])
        return self

    def points(self) -> list[int]:
        """The numbers of the points, each once, in order."""
        given = (self.point_1, self.point_2, self.point_3, self.point_4)
        return list(dict.fromkeys(number for number in given if number is not None))


def quarters(count: int) -> list[list[int]]:
    """The numbers 1 to `count` in at most four runs of near equal length."""
    parts = min(_QUARTERS, count)
    edges = [count * part // parts for part in range(parts + 1)]
    return [list(range(start + 1, end + 1)) for start, end in pairwise(edges)]


def short_card_schema(count: int) -> dict[str, Any]:
    """The form for an article of `count` sentences."""
    numbers = list(range(1, count + 1))
    points = {
        f"point_{part}": one_of(run) for part, run in enumerate(quarters(count), 1)
    }
    return form(
        {
            "hook": one_of(numbers[:_HOOKS]),
            "argument": one_of(numbers),
            "phrase": one_of(numbers),
            **points,
            "structure": one_of(list(STRUCTURES)),
            "evidence": one_of(list(KINDS)),
            "tone": one_of(list(TONES)),
            "weakness": one_of(list(WEAKNESSES)),
        }
    )


def short_card(
    candidate: ArticleCandidate,
    lines: Sequence[Unit],
    *,
    reasks: int | None,
    client: ChatClient,
) -> ArticleCard:
    """The card of one draft; `lines` are its headings and sentences."""
    sentences = [unit.text for unit in lines if not unit.is_heading]
    sentences = (sentences or [unit.text for unit in lines])[:MOST_SENTENCES]
    schema = short_card_schema(len(sentences))
    reply = client.complete_as(
        ShortArticleCardReply,
        fill("extract", _values(sentences, schema), short=True),
        stage=STAGE,
        item_id=str(candidate.article_id),
        options=CallOptions(
            temperature=TEMPERATURE,
            max_tokens=MAX_TOKENS,
            reasks=reasks,
            schema=schema,
            context={"schema": schema},
        ),
    )
    return _card(candidate, lines, sentences=sentences, reply=reply)


def _values(sentences: Sequence[str], schema: Mapping[str, Any]) -> dict[str, str]:
    numbered = "\n".join(
        f"{number}. {sentence[:LONGEST_SENTENCE]}"
        for number, sentence in enumerate(sentences, start=1)
    )
    points = " ".join(
        f"point_{part}: the most useful of {run[0]} to {run[-1]}."
        for part, run in enumerate(quarters(len(sentences)), 1)
    )
    return {
        "article": fenced("article", numbered),
        "points": points,
        "shape": shape(schema),
    }


def _card(
    candidate: ArticleCandidate,
    lines: Sequence[Unit],
    *,
    sentences: Sequence[str],
    reply: ShortArticleCardReply,
) -> ArticleCard:
    return ArticleCard(
        article_id=candidate.article_id,
        headline_candidates=(title(candidate.text),),
        opening_hook=sentences[reply.hook - 1],
        core_argument=sentences[reply.argument - 1],
        key_points=tuple(sentences[number - 1] for number in reply.points()),
        evidence=tuple(
            Evidence(sentence=sentence, kind=reply.evidence, figures=tuple(found))
            for sentence in sentences
            if (found := figures(sentence))
        ),
        structure=STRUCTURES[reply.structure],
        sections=tuple(unit.text for unit in lines if unit.is_heading)[1:],
        tone=reply.tone,
        audience="",
        memorable_phrases=(sentences[reply.phrase - 1],),
        weaknesses=(WEAKNESSES[reply.weakness],),
        word_count=word_count(candidate.text),
    )
