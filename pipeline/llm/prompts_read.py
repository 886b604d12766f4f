"""
Whether an endpoint reads the whole of what it is asked.

It goes by the server's own count of tokens, beside the lengths of the prompts; it knows no
tokenizer and decides nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from math import inf

from pipeline.metrics import Usage
from pipeline.store.journal_file import CallRecord

_LEAST_CUT, _ALIKE, _WIDER, _SPARSER = 512, 3, 1.1, 0.5
_LEAST_TOLD = 100  # tokens; in fewer, what stands around every prompt counts too much


class PromptsRead:
    """What an endpoint counted of the prompts it was sent; for many threads.

    Some servers read the end of a prompt that is too long for them, and say so by their
    count alone.
    """

    def __init__(self) -> None:
        """Nothing was counted."""
        # Guards all below.
        self._lock = threading.Lock()
        self._lengths: dict[int, set[int]] = {}  # in characters, by the tokens counted
        self._densest, self._sparsest = (
            0.0,
            inf,
        )  # told ones, long ones: tokens a character
        self._is_told = False

    def note(self, usage: Usage | None, characters: int) -> int | None:
        """The tokens at which prompts are cut, once, when that comes to light.

        `usage` is that of one request; one that is estimated, or leaves out what was
        cached, tells nothing.
        """
        if usage is None or usage.is_estimate or usage.cached_tokens:
            return None
        with self._lock:
            may_be_cut = self._keep(usage.prompt_tokens, characters)
            if self._is_told or not may_be_cut:
                return None
        cut = self.cut_at()
        with self._lock:
            self._is_told = self._is_told or cut is not None
        return cut

    def _keep(self, tokens: int, characters: int) -> bool:
        """Whether it is worth looking through all: where `cut_at` has an answer, it is."""
        known = self._lengths.setdefault(tokens, set())
        if len(known) >= _ALIKE:  # the ends and one between them tell as much
            known |= {characters}
            known -= {sorted(known)[1]}
        else:
            known.add(characters)
        density = tokens / max(1, characters)
        if tokens >= _LEAST_TOLD:
            self._densest = max(self._densest, density)
        if tokens >= _LEAST_CUT:
            self._sparsest = min(self._sparsest, density)
        return _is_same(known) or self._sparsest < _SPARSER * self._densest

    def note_replayed(self, record: CallRecord, characters: int) -> None:
        """The same of an answer of before, where that took one request."""
        if record.requests == 1:
            self.note(record.usage, characters)

    def cut_at(self) -> int | None:
        """The tokens at which prompts are cut; None where nothing speaks for it.

        Three prompts of lengths that differ by a tenth count the same, or a prompt has
        less than half the tokens for its length that every shorter one has.
        """
        with self._lock:
            lengths = [
                (max(known), n, set(known)) for n, known in self._lengths.items()
            ]
        sparsest = inf
        for longest, tokens, known in sorted(lengths, key=lambda each: each[0]):
            density = tokens / max(1, longest)
            is_sparse = density < _SPARSER * sparsest < inf
            if tokens >= _LEAST_CUT and (_is_same(known) or is_sparse):
                return tokens
            if tokens >= _LEAST_TOLD:
                sparsest = min(sparsest, density)
        return None


def _is_same(known: Collection[int]) -> bool:
    """Whether prompts of such lengths cannot have the same number of tokens."""
    return len(known) >= _ALIKE and max(known) > _WIDER * min(known)


LARGER_CONTEXT = "give it a larger context (num_ctx, OLLAMA_CONTEXT_LENGTH)"


def cut_prompts(tokens: int) -> str:
    """What is wrong, after the endpoint's name, and what to do."""
    return f"reads only {tokens} tokens of longer prompts: {LARGER_CONTEXT}"
