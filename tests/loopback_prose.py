"""
The words of the simulated server: coined names, sentences, whole articles.

All of it follows from the generator handed in. It imitates the shape of an article
(headline, sections, figures, a quotation), not its sense.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

_SYLLABLES = (  # of three letters each, 32 of them
    "balborcaldardeldorfalgarhaljorkalkorlanlormalmernalnor"
    "palperralrinsalsentaltorvalvenwalwenzalzor"
)

_SUBJECTS = (
    "The quiet team",
    "A patient editor",
    "Every small workshop",
    "The night shift",
    "One stubborn manager",
    "A careful reader",
    "The older method",
    "Each new apprentice",
    "The shared calendar",
    "A written checklist",
    "The first customer",
    "An honest estimate",
    "The weekly review",
    "A shorter meeting",
    "The second draft",
    "A plain question",
)
_VERBS = (
    "protects",
    "reveals",
    "replaces",
    "rewards",
    "exposes",
    "outlasts",
    "simplifies",
    "questions",
    "carries",
    "sharpens",
    "interrupts",
    "restores",
    "measures",
    "repays",
)
_OBJECTS = (
    "the work nobody schedules",
    "a habit worth keeping",
    "the cost of waiting",
    "what the numbers hide",
    "the promise behind the product",
    "a decision made too early",
    "the attention of a whole room",
    "the silence after a mistake",
    "an argument about taste",
    "the distance between plan and result",
    "a rule that everyone skips",
    "the trust of a first buyer",
    "the hour before the deadline",
    "a craft learned by hand",
    "the price of a vague brief",
    "the reason people stay",
)
_TAILS = (
    "before anyone asks for it",
    "without a single new tool",
    "long after the launch is forgotten",
    "because somebody wrote it down",
    "even when the budget is thin",
    "as soon as the door is closed",
    "while the rest of the market hurries",
    "and few people notice at first",
    "in the week that matters most",
    "although it looks slow from outside",
    "once the excuses run out",
    "where habit used to decide",
)
_FIGURES = (
    "In {year}, {name} counted {number} cases in which waiting paid for itself.",
    "A survey by {name} found that {percent} percent of teams changed their plan.",
    "Costs fell by {percent} percent within {number} weeks, {name} reported in {year}.",
    "Of {number} projects that {name} followed, {percent} percent ended early.",
)
_QUOTES = (
    '"We stopped guessing and started to listen," said {name}, who leads the trial.',
    '"The cheapest hour is the one you never spend twice," {name} told the board.',
    '"Nobody thanks you for the meeting you cancel," {name} wrote to colleagues.',
)
_HEADINGS = (
    "What changes",
    "Why it holds",
    "Where to begin",
    "What it costs",
    "Who pays first",
    "How it spreads",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What a writer was told to use word for word; empty for a free article."""

    headline: str = ""
    hooks: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


def coined_name(item: str) -> str:
    """A name that in practice no other work item has."""
    number = int(item, 16)
    starts = [3 * (number >> shift & 31) for shift in (0, 5, 10, 15, 20)]
    return "".join(_SYLLABLES[at : at + 3] for at in starts).capitalize()


def sentence(rng: random.Random) -> str:
    """One plain sentence of 8 to 17 words, without figures."""
    parts = [rng.choice(bank) for bank in (_SUBJECTS, _VERBS, _OBJECTS, _TAILS)]
    return " ".join(parts) + "."


def short_text(rng: random.Random, *, name: str) -> str:
    """A phrase or sentence that carries the name."""
    start = rng.choice(_SUBJECTS)
    return f"{start} at {name} {rng.choice(_VERBS)} {rng.choice(_OBJECTS)}"


def article(
    rng: random.Random, *, name: str, words: int, ordered: Ordered | None = None
) -> str:
    """
    A markdown article of about so many words: headline and three sections.

    With `ordered` it uses those words verbatim and adds no figure or quotation.
    """
    headline = ordered.headline if ordered is not None else ""
    if not headline:
        headline = f"{rng.choice(_SUBJECTS)} and {rng.choice(_OBJECTS)} of {name}"
    told = [] if ordered is None else [*ordered.hooks, *ordered.phrases]
    body = [_as_sentence(text) for text in told]
    if ordered is None:
        body = [_figure(rng, name), rng.choice(_QUOTES).format(name=name)]
        body += [_figure(rng, name) for _ in range(words // 150)]
    opens = body[:1] if told else []
    wanted = words - len(headline.split()) - 6
    rest = _fill_up(rng, body[len(opens) :], words=wanted - _count(opens))
    return _laid_out(rng, headline, [*opens, *rest])


def _figure(rng: random.Random, name: str) -> str:
    return rng.choice(_FIGURES).format(
        name=name,
        year=rng.randint(1998, 2024),
        number=rng.randint(11, 480),
        percent=rng.randint(3, 96),
    )


def _fill_up(rng: random.Random, given: Sequence[str], *, words: int) -> list[str]:
    """The given sentences among plain ones, all different, at least four."""
    wanted = dict.fromkeys(given)
    plain: dict[str, None] = {}
    count = _count(wanted)
    while count < words - 6 or len(plain) + len(wanted) < 4:
        new = sentence(rng)
        if new not in plain:
            plain[new] = None
            count += new.count(" ") + 1
    body = list(plain)
    for text in wanted:
        body.insert(rng.randint(min(1, len(body)), len(body)), text)
    return body


def _laid_out(rng: random.Random, headline: str, body: Sequence[str]) -> str:
    """An opening paragraph, then three sections of short paragraphs."""
    quarter = max(1, len(body) // 4)
    cuts = (0, quarter, 2 * quarter, 3 * quarter, len(body))
    blocks = [f"# {headline}"]
    for number, heading in enumerate(["", *rng.sample(_HEADINGS, 3)]):
        if heading:
            blocks.append(f"## {heading}")
        own = body[cuts[number] : cuts[number + 1]]
        blocks += [" ".join(own[start : start + 4]) for start in range(0, len(own), 4)]
    return "\n\n".join(blocks) + "\n"


def _as_sentence(text: str) -> str:
    text = text.strip()
    return text if text[-1:] in set('.!?"”…') else f"{text}."


def _count(texts: Sequence[str] | dict[str, None]) -> int:
    return sum(len(text.split()) for text in texts)
