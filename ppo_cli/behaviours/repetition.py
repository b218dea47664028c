"""How much an answer repeats itself.

Known errors: the same meaning repeated in other words is not found.

Not here: how similar the answers to different prompts are (`stats.corpus_metrics`).
"""

from __future__ import annotations

from collections.abc import Sequence

VERSION = "repetition/1"

GRAM_WORDS = 4
RUNAWAY_SHARE = 0.5
"""An answer with a larger share of repeated 4-grams counts as runaway repetition."""


def repeated_share(words: Sequence[str]) -> float:
    """Share of 4-grams that occurred earlier in the answer (seq-rep-4, Welleck et al. 2020); 0 below four words."""
    grams = [tuple(words[start : start + GRAM_WORDS]) for start in range(len(words) - GRAM_WORDS + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
