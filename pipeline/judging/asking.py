"""
One call that asks a judge about every criterion, for models that fill in long forms.

A vote and a comparison differ in what is filled in for a criterion, not in the asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import create_model

from pipeline.criteria import Criterion
from pipeline.items import Question
from pipeline.llm.call import CallOptions, Reply, strict_schema
from pipeline.llm.client import ChatClient
from pipeline.prompting import Message

TEMPERATURE = 0.7  # above 0, so that a further sample says more than the first
A = TypeVar("A", bound=Reply)


@dataclass(frozen=True, slots=True)
class Form(Generic[A]):
    """What is filled in: a reply of that name, with one field a criterion."""

    reply: type[Reply]
    of_criterion: type[A]

    def filled_in(
        self,
        messages: Sequence[Message],
        criteria: Sequence[Criterion],
        question: Question,
        *,
        client: ChatClient,
    ) -> dict[str, A]:
        """What the judge says on each criterion, by its name.

        Raises UnreadableReply when no reply could be used, and the errors of the client.
        """
        record, schema = _with_fields(self, tuple(criteria))
        reply = client.complete_as(
            record,
            messages,
            stage=question.stage,
            item_id=question.item_id,
            options=CallOptions(
                sample=question.sample,
                temperature=TEMPERATURE,
                schema=schema,
                preset=question.preset,
            ),
        )
        return {c.name: getattr(reply, c.name) for c in criteria}


@lru_cache(maxsize=16)
def _with_fields(
    form: Form[Any], criteria: tuple[Criterion, ...]
) -> tuple[type[Reply], Mapping[str, Any]]:
    fields: dict[str, Any] = {c.name: (form.of_criterion, ...) for c in criteria}
    record: type[Reply] = create_model(
        form.reply.__name__, __base__=form.reply, **fields
    )
    return record, strict_schema(record)
