"""
Questions to judges: what one is, how one is put, and what came of those asked so far.

A vote and a comparison look the same from here. What answers add up to is not said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from pydantic import create_model

from pipeline.criteria import Criterion
from pipeline.judging.panel import Judge
from pipeline.llm.call import CallOptions, Reply
from pipeline.llm.client import ChatClient
from pipeline.llm.opening import client_or_default
from pipeline.prompts.templates import Message
from pipeline.records import ArticleCard
from pipeline.work import NOBODY, Item, Watch, work_through

TEMPERATURE = 0.7  # above 0, so that a further sample says more than the first


class Question(Protocol):
    """One question to one judge: a vote or a comparison."""

    @property
    def item(self) -> Item:
        """Its name in reports; unique in a run, answers are joined by it."""

    @property
    def judge(self) -> Judge:
        """Who is asked."""

    @property
    def order(self) -> tuple[int, ...]:
        """The ids that it is about, as shown, then which sample it is, from 1.

        Questions are counted in this order, whichever was answered first.
        """

    def ask(self, client: ChatClient, /) -> Any:
        """The judge's answer; raises when there is none."""


Q = TypeVar("Q", bound=Question)
R = TypeVar("R", bound=Reply)

Answers = Mapping[Item, Any]
"""Answers by item; a question that was not answered is not among them."""

AskAll = Callable[[Sequence[Question]], Answers]
"""Asks questions in whatever order; returns when all are answered or given up."""


def ask_one_by_one(
    questions: Sequence[Question],
    *,
    client: ChatClient | None = None,
    watch: Watch = NOBODY,
) -> Answers:
    """Answers by item, asked in the order given; failed ones are left out."""
    return dict(
        work_through(
            questions,
            lambda each: (each.item, each.ask(client_or_default(client))),
            item=lambda each: each.item,
            watch=watch,
        )
    )


@dataclass(frozen=True, slots=True)
class Poll:
    """What was asked about some cards so far, and what came of it."""

    cards: Sequence[ArticleCard]
    asked: Sequence[Question] = ()
    answers: Answers = field(default_factory=dict)

    def of_kind(self, kind: type[Q]) -> list[Q]:
        """The questions of one kind, in the order in which they were asked."""
        return [question for question in self.asked if isinstance(question, kind)]

    def answered(self, kind: type[Q]) -> list[tuple[Q, Any]]:
        """The questions of one kind that were answered, by their order."""
        found = sorted(self.of_kind(kind), key=lambda each: each.order)
        return [(q, self.answers[q.item]) for q in found if q.item in self.answers]

    def with_round(self, asked: Sequence[Question], answers: Answers) -> Poll:
        """The same with another round."""
        return Poll(self.cards, [*self.asked, *asked], {**self.answers, **answers})


def form_by_criterion(
    base: type[R], criteria: Sequence[Criterion], answer: Any
) -> type[R]:
    """The reply with one field a criterion, each filled in with an `answer`."""
    fields: dict[str, Any] = {c.name: (answer, ...) for c in criteria}
    form: type[R] = create_model(base.__name__, __base__=base, **fields)
    return form


def reply_to(
    question: Question,
    asked: tuple[type[R], Sequence[Message], CallOptions],
    client: ChatClient,
) -> R:
    """The judge's reply, in the form and to the messages given with it.

    Raises UnreadableReply when no reply could be used, and the errors of the client.
    """
    form, messages, options = asked
    *ids, sample = question.order
    return client.complete_as(
        form,
        messages,
        stage=question.item.stage,
        item_id="-".join(map(str, ids)),
        options=replace(
            options,
            sample=sample,
            preset=question.judge.preset,
            temperature=TEMPERATURE,
        ),
    )
