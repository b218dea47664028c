"""Counts of a user's prompt file that was split into training and evaluation prompts.

Not here: splitting (`setup.user_dataset`), the prompts themselves (`answers`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StratumCount:
    """Training and evaluation prompts of one category."""

    category: str
    expect: str
    train: int
    evaluation: int


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """How a file of prompts was split."""

    source: str
    format: str
    rows: int
    """Rows that were read."""
    dropped: tuple[tuple[str, int], ...]
    """(reason, number of rows) of the rows that were not used."""
    train: int
    evaluation: int
    strata: tuple[StratumCount, ...]
    """The largest first."""
    largest_group: int
    """Prompts of the largest group of near-duplicates and pairs; a group is kept on one side."""
