"""The form of an answer, apart from what it says: how much it repeats itself.

Known misses: repetition of meaning in other words.
"""

from __future__ import annotations

from collections.abc import Sequence

VERSION = "form/1"

REPEATED_GRAM = 4
RUNAWAY_SHARE = 0.5
"""An answer that repeats itself more than this has run away."""


def repeated_share(tokens: Sequence[str]) -> float:
    """Share of 4-grams in one answer that occurred in it before (seq-rep-4, Welleck et al. 2020); 0 if too short."""
    grams = [tuple(tokens[i : i + REPEATED_GRAM]) for i in range(len(tokens) - REPEATED_GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
