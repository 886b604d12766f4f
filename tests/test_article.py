"""What code reads off an article."""

import pytest
from hypothesis import given

from pipeline.text.article import (
    Unit,
    comparable,
    contains,
    figure_value,
    figures,
    headings,
    paragraphs,
    plain,
    quotations,
    quotations_by_paragraph,
    title,
    units,
    word_count,
    words,
)
from tests.growth import assert_one_pass
from tests.stage_fakes import ARTICLES, DRAFT, TEXTS


def texts_of(article: str) -> list[str]:
    return [unit.text for unit in units(article)]


def test_an_article_is_read_as_headings_and_sentences_in_order() -> None:
    assert units(DRAFT) == [
        Unit("Logs win", is_heading=True),
        Unit("Nobody remembers last May."),
        Unit("We lost 12 days to one old argument!"),
        Unit("What it costs", is_heading=True),
        Unit("The team asked Ann, and Ann had left."),
        Unit("Each answer took 3 calls."),
        Unit("What to do", is_heading=True),
        Unit("Write one line today."),
        Unit("It takes a minute."),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Dr. Lee said so.",
        "He met J. Smith there.",
        "It costs approx. 3 coins.",
        "Use a log, e.g. a file.",
    ],
)
def test_an_abbreviation_ends_no_sentence(line: str) -> None:
    assert texts_of(line) == [line]


def test_a_word_that_only_ends_like_an_abbreviation_ends_its_sentence() -> None:
    assert texts_of("They found it in the casino. Then left.") == [
        "They found it in the casino.",
        "Then left.",
    ]


def test_a_quotation_keeps_its_closing_mark() -> None:
    assert texts_of('"It pays." She left.') == ['"It pays."', "She left."]


def test_sentences_without_spaces_between_them_are_told_apart() -> None:
    assert texts_of("今日は。明日は！") == ["今日は。", "明日は！"]


def test_a_paragraph_over_several_lines_is_one_text() -> None:
    assert texts_of("One sentence over\ntwo lines.") == ["One sentence over two lines."]


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("# About C#", "About C#"),
        ("## Closed ##", "Closed"),
        ("### **Bold** move", "Bold move"),
        ("# [Linked](http://x) words", "Linked words"),
    ],
)
def test_a_heading_loses_its_marks_and_keeps_its_words(line: str, heading: str) -> None:
    assert headings(line) == [heading]


def test_the_title_is_the_first_heading_else_the_first_sentence() -> None:
    assert title("Some words. More.\n\n## Late heading") == "Late heading"
    assert title("Some words. More.") == "Some words."
    assert title(" \n ") == ""


@given(ARTICLES)
def test_text_that_is_not_blank_has_at_least_one_unit(article: str) -> None:
    found = units(article)
    assert found
    assert all(unit.text == unit.text.strip() and unit.text for unit in found)


@given(TEXTS)
def test_a_unit_is_one_line_and_every_word_of_it_stands_in_the_article(
    article: str,
) -> None:
    words = set(plain(" ".join(article.split())).split()) | set(article.split())
    for unit in units(article):
        assert len(unit.text.splitlines()) == 1
        squeezed = plain("".join(article.split()))
        assert plain("".join(unit.text.split())) in squeezed or (
            set(unit.text.split()) <= words
        )


def test_a_passage_is_found_across_quotation_marks_case_and_spaces() -> None:
    article = "He said:  “It **pays**\nto wait”."
    assert contains(article, 'it pays to wait"')
    assert not contains(article, "it paid to wait")
    assert not contains(article, " . ")


@given(TEXTS)
def test_comparable_text_has_single_spaces_and_no_capitals(text: str) -> None:
    once = comparable(text)
    assert once == " ".join(once.split())
    assert once == once.casefold()


def test_words_are_counted_without_marks_of_formatting() -> None:
    assert (
        word_count("# One **two**\n\n- don't stop-gap [five](http://six.example)") == 5
    )
    assert word_count("## \n\n---") == 0


def test_figures_are_numbers_as_written_without_list_numbers_and_repeats() -> None:
    text = "1. It took 1,000 days and 3.5 weeks.\n2. Then 3.5 more, in v2 and 40%."
    assert figures(text) == ["1,000", "3.5", "40"]


def test_a_figure_is_the_same_with_and_without_thousands_separators() -> None:
    assert figure_value("1,000") == figure_value("1000") == figure_value("1.000")
    assert figure_value("2.50") != figure_value("250")


def test_words_differ_neither_in_case_nor_in_marks() -> None:
    assert words("The **Team’s** long–term, *log*.") == [
        "the",
        "team's",
        "long-term",
        "log",
    ]


def test_paragraphs_are_headings_texts_and_items_each_in_one_line() -> None:
    assert paragraphs("# A ##\nOne\ntwo.\n- item\n  more\n\nEnd.") == [
        Unit("A", is_heading=True),
        Unit("One two."),
        Unit("item more"),
        Unit("End."),
    ]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('He said "we stop" and "go on."', ["we stop", "go on."]),
        ("“One,” she said, “and two.”", ["One,", "and two."]),
        ("„Hallo Welt“ und “hi there”", ["Hallo Welt", "hi there"]),
        ("«Oui» et « non », »Ja« und ”jo”", ["Oui", "non", "Ja", "jo"]),
        ("‘Quiet is loud,’ he said.", ["Quiet is loud,"]),
        ("彼は「記録は力だ」と言った", ["記録は力だ"]),
        (
            '**"Bold"** and _"under"_ and "a **big** one"',
            ["Bold", "under", "a big one"],
        ),
        ('The "log first" rule', ["log first"]),
        ('"over\ntwo lines"', ["over two lines"]),
    ],
)
def test_a_quotation_is_what_stands_between_marks_of_any_kind(
    text: str, quoted: list[str]
) -> None:
    assert quotations(text) == quoted


@pytest.mark.parametrize(
    "text",
    [
        "don't say 'x' of the teams’ logs in the ‘90s, it’s Ann’s",
        'a 5" pipe and a 6" pipe',
        'a 5"-pipe and a 6"-pipe',
        '"..." and ""',
        '<a href="http://x.example">x</a>',
        '[a link](http://x.example "Its title")',
        'call `print("hello there")` now',
        'It is\n\n```py\nprint("hello there")\n```\n\nso.',
        '~~~\nsay("one two")\n\n# and\n- say("three four")\n~~~',
        '"One that is never closed',
        '"It ends with its paragraph.\n\nNot here."',
    ],
)
def test_apostrophes_inches_and_code_are_no_quotations(text: str) -> None:
    assert quotations(text) == []


def test_a_quotation_inside_another_is_a_part_of_it() -> None:
    assert quotations('"She said ‘no’ and «non»," he said.') == [
        "She said ‘no’ and «non»,"
    ]


def test_a_mark_that_is_never_closed_takes_no_other_with_it() -> None:
    assert quotations('"never closed then "a real one" here') == ["a real one"]


@given(TEXTS)
def test_quotations_come_by_paragraph_and_are_words_of_it(text: str) -> None:
    found = quotations_by_paragraph(text)
    assert len(found) == len(paragraphs(text))
    assert [each for quoted in found for each in quoted] == quotations(text)
    assert all(any(map(str.isalnum, each)) for each in quotations(text))


def read(text: str) -> None:
    units(text)
    comparable(text)
    word_count(text)
    quotations(text)
    [figure_value(figure) for figure in figures(text)]


@pytest.mark.parametrize(
    ("start", "part", "end"),
    [
        ("# a", " ", "b"),
        ("# ", "#", "b"),
        ("", "A. ", ""),
        ("", "[", ""),
        ("", "[x](", ""),
        ("", ".", ""),
        (".", '"', ""),
        ("", "**", ""),
        ("", "1.000,", ""),
        ("", "x", ""),
        ("", "a-", ""),
        ("", '"', ""),
        ("", '"a ', ""),
        ("", ' "', ""),
        ("", "“", ""),
        ("", "”a", ""),
        ("", "»a", ""),
        ("", "‘a", ""),
        ("", "「", ""),
        ("", "```\n~~~\n", ""),
    ],
    ids=repr,
)
def test_marks_without_end_in_one_line_take_one_pass(
    start: str, part: str, end: str
) -> None:
    assert_one_pass(read, part, start=start, end=end)
