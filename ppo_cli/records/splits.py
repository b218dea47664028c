"""A user's own prompts, split into training and evaluation.

Not here: the prompts themselves (`answers`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StratumCount:
    """How many prompts of a category went where."""

    category: str
    expect: str
    train: int
    evaluation: int


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """What became of a file of prompts."""

    source: str
    format: str
    rows: int
    """Rows that were read."""
    dropped: tuple[tuple[str, int], ...]
    """(why, how many) of the rows that were not used."""
    train: int
    evaluation: int
    strata: tuple[StratumCount, ...]
    """The largest first."""
    largest_group: int
    """Prompts of the largest group of near-duplicates and pairs, which had to stay on one side."""
