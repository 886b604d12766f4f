"""
One short chat call, made by the program's client, by its scheduler, or by the SDK.

All send the same request; they differ in what stands around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from parallel.scheduler import Scheduler, Task
from pipeline.llm.call import CallOptions, derived_seed
from pipeline.prompts.templates import Message
from tests.benchmarks.setting import MODEL, Engine, Tuning, engine

Call = Callable[[int], object]
STAGE = "generate"
WORDS = 250  # of each answer: the server reads it from the prompt
SPARE_CONNECTIONS = 8


@contextmanager
def through_client(base_url: str, tuning: Tuning) -> Iterator[Call]:
    """`ChatClient.complete` with limiter, retry, journal and metrics."""
    with engine(base_url, tuning) as made:
        yield partial(complete, made)


def complete(made: Engine, number: int) -> object:
    """Call number so-and-so of a run."""
    return made.client.complete(
        _messages(number),
        stage=STAGE,
        item_id=str(number),
        options=CallOptions(temperature=0.9),
    )


@contextmanager
def plain_client(base_url: str, in_flight: int) -> Iterator[Call]:
    """`create` of one shared client of the SDK, with room for all connections."""
    import httpx2
    import openai

    room = in_flight + SPARE_CONNECTIONS
    http_client = openai.DefaultHttpxClient(
        limits=httpx2.Limits(max_connections=room, max_keepalive_connections=room),
        trust_env=False,
    )
    with openai.OpenAI(
        base_url=base_url, api_key="none", max_retries=0, http_client=http_client
    ) as sdk:

        def call(number: int) -> object:
            reply = sdk.chat.completions.create(
                model=MODEL,
                messages=_messages(number),  # type: ignore[arg-type]  # plain dicts
                temperature=0.9,
                # As the program's: the server draws times from it.
                seed=derived_seed(0, STAGE, number, 0, 0),
            )
            return reply.choices[0].message.content

        yield call


def run_calls(call: Call, number: int, *, in_flight: int) -> None:
    """So many calls by a plain pool of threads; the first error is raised."""
    with ThreadPoolExecutor(in_flight) as pool:
        for _ in pool.map(call, range(number)):
            pass


def run_tasks(made: Engine, number: int) -> None:
    """So many calls by the program's own scheduler, under the same limiter."""
    endpoint = made.client.endpoint()
    scheduler = Scheduler(limiter=made.limiter, is_fatal=lambda _error: True)
    tasks = (
        Task(
            key=n,
            rank=(n,),
            stage=STAGE,
            endpoint=endpoint,
            run=partial(complete, made, n),
        )
        for n in range(number)
    )
    scheduler.run(tasks)


def _messages(number: int) -> list[Message]:
    text = f"Write article {number} of {WORDS} words on promises that are kept."
    return [
        {"role": "system", "content": "You write plain and exact articles."},
        {"role": "user", "content": text},
    ]
