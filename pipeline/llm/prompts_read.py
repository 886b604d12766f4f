"""
Whether an endpoint reads the whole of what it is asked.

It goes by the server's own count of tokens, beside the lengths of the prompts; it knows no
tokenizer and decides nothing.
"""

from __future__ import annotations

import threading
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
        # Guards both below.
        self._lock = threading.Lock()
        self._lengths: dict[int, set[int]] = {}  # in characters, by the tokens counted
        self._is_told = False

    def note(self, usage: Usage | None, characters: int) -> int | None:
        """The tokens at which prompts are cut, once, when that comes to light.

        `usage` is that of one request; one that is estimated, or leaves out what was
        cached, tells nothing.
        """
        if usage is None or usage.is_estimate or usage.cached_tokens:
            return None
        tokens = usage.prompt_tokens
        with self._lock:
            known = self._lengths.setdefault(tokens, set())
            if len(known) >= _ALIKE:  # the ends and one between them tell as much
                known |= {characters}
                known -= {sorted(known)[1]}
            else:
                known.add(characters)
            if self._is_told:
                return None
        cut = self.cut_at()
        with self._lock:
            self._is_told = self._is_told or cut is not None
        return cut

    def note_replayed(self, record: CallRecord, characters: int) -> None:
        """The same of an answer of before, where that took one request."""
        if record.requests == 1 and not record.tokens_estimated:
            usage = Usage(
                prompt_tokens=record.prompt_tokens,
                completion_tokens=record.completion_tokens,
                cached_tokens=record.cached_tokens,
            )
            self.note(usage, characters)

    def cut_at(self) -> int | None:
        """The tokens at which prompts are cut; None where nothing speaks for it.

        Three prompts of lengths that differ by a tenth count the same, or a prompt has
        less than half the tokens for its length that every shorter one has.
        """
        with self._lock:
            lengths = {tokens: sorted(known) for tokens, known in self._lengths.items()}
        sparsest = inf
        for tokens, known in sorted(lengths.items(), key=lambda each: each[1][-1]):
            is_same = len(known) >= _ALIKE and known[-1] > _WIDER * known[0]
            density = tokens / max(1, known[-1])
            is_sparse = density < _SPARSER * sparsest < inf
            if tokens >= _LEAST_CUT and (is_same or is_sparse):
                return tokens
            if tokens >= _LEAST_TOLD:
                sparsest = min(sparsest, density)
        return None


def cut_prompts(tokens: int) -> str:
    """What is wrong, after the endpoint's name, and what to do."""
    return (
        f"reads only {tokens} tokens of longer prompts: give it a larger context"
        " (num_ctx, OLLAMA_CONTEXT_LENGTH)"
    )
