"""
How much two texts are about the same: the words of weight that they share.

A rough measure for choosing between passages; it knows no grammar and no synonyms.
"""

from __future__ import annotations

from pipeline.article_text import words

_SHORTEST = 4  # letters; shorter words join others in every sentence
_STEM = 6  # letters that "decided" and "decision" nearly share


def content_words(text: str) -> frozenset[str]:
    """The beginnings of the words of weight, and every number."""
    return frozenset(
        word[:_STEM]
        for word in words(text)
        if len(word) >= _SHORTEST or word[0].isdigit()
    )


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """From 0 for no word in common to 1 for the same words."""
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0
