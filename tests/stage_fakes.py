"""An endpoint without a network, and records to hand to the stages.

The double stands where a connection stands, so that the real client (retries, asking
again, reading of replies) is between it and the stage. It sleeps nowhere.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from pipeline.criteria import CRITERIA
from pipeline.errors import EndpointRejected, ItemRejected, LLMError
from pipeline.llm.call import Request
from pipeline.llm.client import ChatClient
from pipeline.llm.connection import Attempt, Connection
from pipeline.llm.ledger import Ledger
from pipeline.llm.limiting import OneAtATime
from pipeline.llm.outcome import Kind, Outcome
from pipeline.llm.prompts_read import PromptsRead
from pipeline.metrics import Arrivals, PipelineMetrics, estimated_usage
from pipeline.models.presets import Preset
from pipeline.records import (
    ArticleCandidate,
    ArticleCard,
    ArticleScore,
    BlueprintSection,
    Brief,
    CriterionScore,
    Evidence,
    Passage,
    SynthesisBlueprint,
)
from tests.loopback_replies import content_for
from tests.loopback_request import ChatRequest, parse_chat_request

FAILSAFE_S = 5.0  # reached only by a failing test
NOT_THIS = "m at http://127.0.0.1:9/v1: not this one"  # as it is told
CRITERIA_NAMES = [criterion.name for criterion in CRITERIA]
BRIEF = Brief(topic="Why small teams keep a log", words=150)
FULL = Preset(name="full", base_url="http://127.0.0.1:9/v1", model="m")
SHORT = Preset(name="short", base_url="http://127.0.0.1:9/v1", model="s", context=4096)
DRAFT = """# Logs win

Nobody remembers last May. We lost 12 days to one old argument!

## What it costs

- The team asked Ann, and Ann had left.
- Each answer took 3 calls.

## What to do

Write one line today. It takes a minute.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it reached the double."""

    stage: str
    item_id: str
    sample: int
    attempt: int
    request: ChatRequest

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.stage, self.item_id, self.sample)

    @property
    def body(self) -> Mapping[str, Any]:
        return self.request.body

    @property
    def system(self) -> str:
        return str(self.body["messages"][0]["content"])

    @property
    def user(self) -> str:
        return str(self.body["messages"][-1]["content"])


Answer = Callable[[Asked], str | Mapping[str, Any] | LLMError | None]


def usual(_asked: Asked) -> None:
    """The answer that the simulated server would give."""


class Scripted(Connection):
    """Answers on the caller's thread; what an answer returns decides what comes of it.

    None is the simulated server's usual answer, an object is sent as JSON, an error is
    what the call fails with.
    """

    def __init__(self, answer: Answer = usual, *, preset: Preset = FULL) -> None:
        self.preset = preset
        self.model = preset.model or ""
        self.limit = OneAtATime(nap=lambda _s: None)
        self.arrivals = Arrivals()
        self.prompts = PromptsRead()
        self._answer = answer
        self._list_lock = threading.Lock()  # guards _requests
        self._requests: list[Asked] = []

    @property
    def asked(self) -> list[Asked]:
        with self._list_lock:
            return list(self._requests)

    def close(self) -> None:
        """Nothing is open."""

    def learn(self, request: Request, *, is_whole: bool) -> None:
        """It takes everything."""

    @contextmanager
    def attempt(self, request: Request) -> Iterator[Attempt]:
        call = request.call
        asked = Asked(
            call.stage,
            call.item_id,
            call.options.sample,
            call.options.attempt,
            parse_chat_request(json.dumps(_body(request)).encode()),
        )
        with self._list_lock:
            self._requests.append(asked)
        yield Attempt(outcome=self._outcome(asked))

    def _outcome(self, asked: Asked) -> Outcome:
        said = self._answer(asked)
        if isinstance(said, LLMError):
            is_end = isinstance(said, EndpointRejected)
            kind = Kind.FATAL_RUN if is_end else Kind.FATAL_ITEM
            return Outcome(kind=kind, error=said)
        if said is None:
            said = content_for(asked.request)
        text = said if isinstance(said, str) else json.dumps(said)
        usage = estimated_usage(f"{asked.system} {asked.user}", text)
        return Outcome(kind=Kind.OK, text=text, finish_reason="stop", usage=usage)


def _body(request: Request) -> dict[str, Any]:
    schema = request.call.schema
    described = {"name": request.call.record_name, "schema": schema}
    body: dict[str, Any] = {
        "model": "m",
        "messages": request.messages(schema_in_prompt=False),
        "seed": request.request_seed(),
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        **request.extra_body,
    }
    if schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": described}
    return body


@dataclass(slots=True)
class Stand:
    """A client and the connections behind it."""

    connection: Scripted
    client: ChatClient
    metrics: PipelineMetrics

    @property
    def asked(self) -> list[Asked]:
        return self.connection.asked


def stand(
    answer: Answer = usual,
    *,
    preset: Preset = FULL,
    run_seed: int = 0,
    others: Mapping[str, Connection] | None = None,
) -> Stand:
    """A client whose main endpoint answers as told."""
    metrics = PipelineMetrics()
    connection = Scripted(answer, preset=preset)
    client = ChatClient(
        {preset.name: connection, **(others or {})},
        ledger=Ledger(metrics=metrics),
        run_seed=run_seed,
    )
    return Stand(connection, client, metrics)


def refuse(*keys: tuple[object, ...]) -> Answer:
    """Refuses calls whose stage, item and sample begin so; answers the others."""

    def answer(asked: Asked) -> LLMError | None:
        for key in keys:
            if asked.key[: len(key)] == key:
                return ItemRejected("not this one")
        return None

    return answer


def candidate(article_id: int = 1, text: str = DRAFT) -> ArticleCandidate:
    return ArticleCandidate(article_id=article_id, preset="p", model="m", text=text)


def card(article_id: int = 1, **changes: Any) -> ArticleCard:
    n = article_id
    return ArticleCard(
        **{
            "article_id": n,
            "headline_candidates": (f"Headline {n}",),
            "opening_hook": f"Hook {n}.",
            "core_argument": f"Argument {n}.",
            "key_points": (f"Point {n}a.", f"Point {n}b."),
            "evidence": (Evidence(sentence=f"Fact {n}.", kind="case"),),
            "structure": f"structure {n}",
            "sections": (f"Section {n}",),
            "tone": f"tone {n}",
            "audience": f"audience {n}",
            "memorable_phrases": (f"Phrase {n}.",),
            "weaknesses": (f"Weakness {n}.",),
            "word_count": 100 + n,
            **changes,
        }
    )


def score(article_id: int, overall: float, *, votes: int = 3) -> ArticleScore:
    mark = CriterionScore(mean=overall, spread=0.5, votes=votes)
    return ArticleScore(
        article_id=article_id,
        criteria=dict.fromkeys(CRITERIA_NAMES, mark),
        overall=overall,
        votes=votes,
    )


def blueprint(**changes: Any) -> SynthesisBlueprint:
    def passage(text: str, article_id: int = 1) -> Passage:
        return Passage(article_id=article_id, text=text)

    return SynthesisBlueprint(
        **{
            "headline": passage("Logs win"),
            "opening_hook": passage("Nobody remembers last May."),
            "core_argument": passage("A log pays.", 2),
            "structure": passage("problem, remedy", 2),
            "tone": "dry",
            "audience": "teams",
            "sections": (
                BlueprintSection(
                    heading="Cost",
                    points=(passage("Old arguments return."),),
                    evidence=(passage("Each answer took 3 calls."),),
                ),
            ),
            "preserved_phrases": (passage("Write one line today."),),
            "avoid": ("Do not preach.",),
            "rationale": "because",
            "considered": (1, 2),
            **changes,
        }
    )


@dataclass(slots=True)
class Kept:
    """What a run wrote, in order and by name; it stands where a run folder stands."""

    events: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    drafts: dict[int, str] = field(default_factory=dict)

    def write_candidate(self, article_id: int, _preset: str, text: str, /) -> None:
        self.events.append(f"candidate {article_id}")
        self.drafts[article_id] = text

    def write_article(self, text: str, /) -> None:
        self.events.append("article")
        self.files["FINAL.md"] = text

    def write_runner_up(self, text: str, /) -> None:
        self.events.append("runner-up")
        self.files["RUNNER_UP.md"] = text

    def write_json(self, kind: str, data: Any, /) -> None:
        self.events.append(kind)
        self.files[kind] = json.dumps(data, indent=2, ensure_ascii=False)


# Texts of every kind, with what Markdown is made of close at hand.
_SNIPPETS = st.sampled_from(
    ["# ", "## ", "\n", "\n\n", "- ", "> ", ". ", "! ", "“", "**", "`", "1. ", " 42% "]
)
TEXTS = st.lists(_SNIPPETS | st.text(max_size=12), max_size=30).map("".join)
ARTICLES = TEXTS.filter(lambda text: bool(text.strip()))
SEEDS = st.integers(0, 2**32)
