"""
What `--check` shows of an endpoint: a table, what to do, what to write into models.yaml.

Plain text made of a probe; it asks nothing itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from pipeline.front.report import money, table
from pipeline.llm.capabilities import OBJECT, PROMPT, SCHEMA
from pipeline.llm.probe import Probe
from pipeline.llm.prompts_read import cut_prompts

_LEAST_GAIN = 1.15  # below it, two calls at once are no faster than one after the other
_FORMS = {
    SCHEMA: "json_schema, held to by the server",
    OBJECT: "json_object; the schema stands in the prompt",
    PROMPT: "by the prompt alone",
}
_MOST_NAMES = 12


def check_table(probe: Probe, *, longest_prompt: int) -> str:
    """What was found out, a line each, under the endpoint's address."""
    preset = probe.preset
    place = "built in" if preset.is_builtin else f"at {preset.base_url}"
    head = f"{preset.model or 'no model'} {place} (preset {preset.name})"
    rows = list(_rows(probe, longest_prompt=longest_prompt))
    return f"{head}\n{table(rows, left=2)}"


def _rows(probe: Probe, *, longest_prompt: int) -> Iterator[tuple[str, str]]:
    if probe.models:
        shown = ", ".join(probe.models[:_MOST_NAMES])
        more = ", ..." if len(probe.models) > _MOST_NAMES else ""
        yield "models", f"{len(probe.models)}: {shown}{more}"
    if not probe.is_answered:
        yield "answers", f"no: {probe.said}"
        if not probe.models and "connection failed" in probe.said:
            yield "", "is the server running, and is this its address and port?"
        return
    yield "answers", "yes"
    yield "streams", _streams(probe)
    yield "forms", _forms(probe)
    for name in ("seed", "temperature"):
        yield name, "not taken" if name in probe.refused else "taken"
    yield "usage", "counted" if probe.counts_tokens else "not counted: it is guessed"
    yield "longest prompt", _room(probe, longest_prompt)
    if probe.times_as_fast:
        yield "speed", f"{probe.tokens_per_s:.0f} tokens a second, of one call alone"
        yield "two at once", _at_once(probe.times_as_fast)
    else:
        yield "two at once", f"not measured: {probe.said}"
    yield "price", _price(probe)


def _forms(probe: Probe) -> str:
    if probe.form:
        return _FORMS[probe.form]
    return f"none could be read: {probe.form_said or probe.said}"


def _streams(probe: Probe) -> str:
    if probe.first_piece_s is None:
        return "no: an answer comes whole, and --timeout bounds it"
    return f"yes, the first piece after {probe.first_piece_s:.1f} s"


def _room(probe: Probe, longest: int) -> str:
    if probe.room_said:
        return f"about {longest:,} tokens: {probe.room_said}"
    if probe.read_to:
        return f"about {longest:,} tokens: it {cut_prompts(probe.read_to)}"
    if probe.said:
        return f"about {longest:,} tokens: not asked"
    if probe.prompt_tokens is None:
        return f"about {longest:,} tokens: taken; whether it is read whole is not said"
    return f"{probe.prompt_tokens:,} tokens, about as long as the run's: read whole"


def _at_once(times: float) -> str:
    if times < _LEAST_GAIN:
        return "no faster than one after the other"
    return f"{times:.1f} times as fast as one after the other"


def _price(probe: Probe) -> str:
    price = probe.preset.price
    if price is None:
        return "unknown"
    paid, got = price.per_million
    if not paid and not got:
        return f"$0.00 ({price.source})"
    return f"{money(paid)} in, {money(got)} out a million tokens ({price.source})"


def models_lines(probe: Probe) -> str:
    """The endpoint as it would stand in models.yaml, with what was found out."""
    preset = probe.preset
    host = urlsplit(preset.base_url).hostname or "mine"
    host = "local" if preset.is_on_this_machine else host
    name = re.sub(r"[^a-z0-9]+", "-", (preset.model or "mine").lower()).strip("-")
    url = json.dumps(preset.base_url, ensure_ascii=False)
    provider = [f"base_url: {url}"]
    if preset.key_env and not preset.is_on_this_machine:
        provider.append(f"key_env: {preset.key_env}")
    if probe.times_as_fast and probe.times_as_fast < _LEAST_GAIN:
        provider.append("max_concurrent: 1")
    model = json.dumps(preset.model, ensure_ascii=False)
    stated = [f"provider: {json.dumps(host)}", f"model: {model}"]
    if context := probe.read_to or preset.context:
        stated.append(f"context: {max(1024, context)}")
    price = "" if preset.price else "  # and price: {input: ..., output: ...}"
    return (
        f"providers:\n  {json.dumps(host)}: {{{', '.join(provider)}}}\n"
        f"presets:\n  {json.dumps(name)}: {{{', '.join(stated)}}}{price}"
    )
