"""What is in a file of prompts: what was read, left out, repeated, shared with other sets, and what it is about.

Not here: working it out (`preflight.describe_prompts`), showing it (`reports.screens.prompts`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ppo_cli.records.short_repr import short_repr


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Words per prompt; a Chinese, Japanese or Korean character counts as one."""

    shortest: int
    median: float
    nine_in_ten: int
    """Nine in ten prompts have at most so many."""
    longest: int
    longest_id: str
    longest_tokens: int
    """Of the longest prompt with its chat template, guessed without a tokenizer."""


@dataclass(frozen=True, kw_only=True)
class AlikePrompts:
    """How many prompts are alike, and the ids of two of them."""

    count: int
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Leak:
    """Prompts that another set has too."""

    against: str
    """The file, after the config's key where it has one."""
    prompts: int
    """Prompts of that set."""
    shared: AlikePrompts
    """In the same words, or of the same pair."""
    near: AlikePrompts
    """Near-duplicates."""


@dataclass(frozen=True, kw_only=True)
class KindCount:
    """Prompts of one category that expect one behaviour."""

    category: str
    expect: str
    count: int


@short_repr("source", "format", "rows", "prompts")
@dataclass(frozen=True, kw_only=True)
class PromptReport:
    """What is in a file of prompts."""

    source: str
    format: str
    """Name of the format, such as XSTest; `own` for the columns of a prompt file, `pairs` for preference pairs."""
    rows: int
    prompts: int
    """Rows that have a prompt."""
    left_out: tuple[tuple[str, int], ...]
    """(reason, number of rows)."""
    notices: tuple[str, ...]
    """What the reader took for what, and what it did not read."""
    parts: tuple[tuple[str, int], ...]
    """(what, number of prompts that have it): conversations, system turns, written answers, keywords, pairs."""
    languages: tuple[tuple[str, int], ...]
    """(language, number of prompts), the most frequent first."""
    lengths: Lengths
    repeated: AlikePrompts
    """Prompts that repeat another in the same words."""
    near_duplicates: AlikePrompts
    """Pairs of prompts of nearly the same words, repeated ones left out."""
    topics: int
    """Groups of prompts with words in common."""
    kinds: tuple[KindCount, ...]
    """The largest first."""
    common_words: tuple[tuple[str, int], ...]
    """(word, number of prompts that have it), the most frequent first; without words of grammar."""
    leaks: tuple[Leak, ...]
    """One per other set."""
