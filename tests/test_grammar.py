"""What the grammars let through, read by a small reader of their notation."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.short.forms import (
    ANGLES,
    WORDS,
    Angle,
    angle_of,
    article_grammar,
    draft_grammar,
    literal,
)

SENTENCE = "You write down what was decided, and why you decided it."
TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\[[^\]]*\]|::=|[a-z]+|\{\d+,\d+\}|[()|?]|\s+')

any_text = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda text: not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
)


def plain(quoted: str) -> str:
    """Return what a literal of the notation matches."""
    marks = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
    return re.sub(r"\\(.)", lambda found: marks[found[1]], quoted[1:-1], flags=re.S)


def rules_of(grammar: str) -> dict[str, list[str]]:
    """Return each rule's tokens; every character of the grammar is accounted for."""
    rules: dict[str, list[str]] = {}
    for line in grammar.split("\n"):
        if not line or line.startswith("#"):
            continue
        tokens = TOKEN.findall(line)
        assert "".join(tokens) == line
        name, arrow, *body = [token for token in tokens if token.strip()]
        assert arrow == "::="
        rules[name] = body
    return rules


def pattern_of(grammar: str) -> re.Pattern[str]:
    """Return the regular expression for a grammar without recursion."""
    rules = rules_of(grammar)

    def expand(tokens: list[str]) -> str:
        return "".join(expand_one(token) for token in tokens)

    def expand_one(token: str) -> str:
        if token.startswith('"'):
            return f"(?:{re.escape(plain(token))})"
        if token in rules:
            return f"(?:{expand(rules[token])})"
        return "(?:" if token.startswith("(") else token

    return re.compile(expand(rules["root"]))


def free_sentences(grammar: str) -> int:
    return rules_of(grammar)["root"].count("sentence")


def article(headline: str, paragraphs: list[list[str]]) -> str:
    """Return the markdown the grammars ask for, with a heading for each section."""
    opening, *sections = [" ".join(sentences) for sentences in paragraphs]
    blocks = [f"# {headline}", opening]
    starts = ("Why", "What", "How to")
    for start, text in zip(starts, sections, strict=False):
        blocks += [f"## {start} go on with a decision log", text]
    return "\n\n".join(blocks)


@given(text=any_text)
def test_a_literal_matches_its_text_and_nothing_else(text: str) -> None:
    assert rules_of(f"root ::= {literal(text)}")["root"] == [literal(text)]
    assert plain(literal(text)) == text


def test_what_no_model_can_write_is_dropped_from_a_literal() -> None:
    assert plain(literal("a\x00b\x1b[31m\rc")) == "ab[31mc"
    assert plain(literal("half of a pair: \ud83d")) == "half of a pair: ?"


@given(headline=any_text, opening=any_text, points=st.lists(any_text, max_size=5))
def test_what_is_given_stands_in_the_grammar_in_its_order(
    headline: str, opening: str, points: list[str]
) -> None:
    grammar = article_grammar(headline=headline, opening=opening, points=points)
    root = rules_of(grammar)["root"]
    given_texts = [headline, opening, *points]
    literals = iter([plain(token) for token in root if token.startswith('"')])
    assert all(text in literals for text in given_texts)


@pytest.mark.parametrize("given_parts", [True, False])
def test_an_article_in_the_form_matches_and_ends_where_it_should(
    given_parts: bool,
) -> None:
    headline = (
        'Why "we agreed\\" is not enough' if given_parts else "Why all teams forget"
    )
    points = ["Naïve teams — 3 of 4 — forget.", "It takes 2 minutes."] * given_parts
    grammar = article_grammar(
        headline=headline if given_parts else None,
        opening="“Who decided this?”" if given_parts else None,
        points=points,
    )
    counts = paragraph_sizes(grammar)
    leads = ["“Who decided this?”", *points] if given_parts else []
    paragraphs = [[SENTENCE] * count for count in counts]
    for sentences, lead in zip(paragraphs, leads, strict=False):
        sentences.insert(0, lead)
    text = article(headline, paragraphs)
    assert pattern_of(grammar).fullmatch(text)
    assert not pattern_of(grammar).fullmatch(text + " " + SENTENCE)


def paragraph_sizes(grammar: str) -> list[int]:
    """Return how many free sentences each paragraph has."""
    body = " ".join(rules_of(grammar)["root"])
    blocks = body.split(r'"\n\n"')
    return [block.count("sentence") for block in blocks if '"#' not in block]


@pytest.mark.parametrize(
    "sentence",
    [
        "In a survey 9 of 10 teams said that they forget what they decide.",
        'They say "we never write a single thing down" and then forget it all.',
        "too small a start for a sentence that should begin with a capital.",
        "You need 3 of them to see what it is that you forget.",
        "It" + " goes" * 35 + ".",
        "Two  spaces are not a way to go from one word to another word.",
        "A heading\n\n## is no part of a sentence that stands in a paragraph.",
    ],
)
def test_a_free_sentence_is_plain_bounded_and_free_of_invented_figures(
    sentence: str,
) -> None:
    rules = draft_grammar(ANGLES[0]).split("\n", 1)[1]
    pattern = pattern_of(f"root ::= sentence\n{rules}")
    assert pattern.fullmatch(SENTENCE)
    assert pattern.fullmatch("It" + " goes" * 34 + ".")
    assert not pattern.fullmatch(sentence)


@pytest.mark.parametrize("angle", ANGLES)
def test_a_draft_leads_each_section_with_the_headings_of_its_angle(
    angle: Angle,
) -> None:
    grammar = draft_grammar(angle)
    literals = [text for text in rules_of(grammar)["root"] if text.startswith('"')]
    places = [literals.index(literal(start)) for start in angle.headings]
    assert places == sorted(places)
    assert len(paragraph_sizes(grammar)) == 4


def test_candidates_go_round_the_angles_from_the_first() -> None:
    numbers = range(1, 2 * len(ANGLES) + 1)
    assert [angle_of(number) for number in numbers] == [*ANGLES, *ANGLES]
    assert len({angle.instruction for angle in ANGLES}) == len(ANGLES)


@given(
    opening=st.integers(1, 25),
    points=st.lists(st.integers(5, 25), min_size=1, max_size=4),
)
def test_sentences_of_the_usual_length_fill_up_to_the_words_asked_for(
    opening: int, points: list[int]
) -> None:
    given_texts = ["word " * (count - 1) + "word." for count in (opening, *points)]
    grammar = article_grammar(
        headline="A headline of six plain words",
        opening=given_texts[0],
        points=given_texts[1:],
    )
    free = ["Seven more and eight that make up fifteen words, as most of them do here."]
    text = " ".join(given_texts + free * free_sentences(grammar))
    in_headings = 6 + 5 * len(points)
    assert abs(len(text.split()) + in_headings - WORDS) <= 15 / 2


@given(words=st.integers(120, 700), with_angle=st.booleans())
def test_what_is_not_given_is_counted_as_the_model_writes_it(
    words: int, with_angle: bool
) -> None:
    grammar = (
        draft_grammar(ANGLES[0], words=words)
        if with_angle
        else article_grammar(headline=None, opening=None, points=(), words=words)
    )
    in_headings = 8 + 3 * 5
    assert abs(15 * free_sentences(grammar) + in_headings - words) <= 15 / 2


@pytest.mark.parametrize("words", [1, 60, 220, 400, 100_000])
def test_every_paragraph_has_a_sentence_and_no_grammar_is_endless(words: int) -> None:
    long_text = "word " * 900
    for grammar in (
        draft_grammar(ANGLES[0], words=words),
        article_grammar(headline=None, opening=None, points=(), words=words),
        article_grammar(headline="A", opening=long_text, points=["b"], words=words),
    ):
        sizes = paragraph_sizes(grammar)
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert sum(sizes) <= 64
