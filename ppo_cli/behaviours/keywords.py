"""Whether an answer contains one of the words that the prompt's author expects in a helpful answer.

A prompt lists them in `keywords`; one of them is enough. Prompts without keywords are not measured.

Known errors: a right answer in words that the author did not think of is missed; a wrong answer with one of the words
counts.

Not here: whether an answer shares words with its prompt (the reward term `on_topic`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.text.openings import opening
from ppo_cli.text.words import words

VERSION = "topic/1"

ERROR = "a lower bound: a right answer in other words is missed; not compared with human labels"
"""Shown with every measure that this rule makes."""

ANY_ENDING = "*"
"""At the end of a keyword it matches any ending of the word."""
EARLY_WORDS = 16
"""Words at the start of an answer, about one sentence; the measures of diversity read as many."""


def has_keyword(keywords: Sequence[str], answer: str) -> bool:
    """Whether the answer contains at least one of the keywords; a keyword of several words must occur as it is."""
    text = _joined(answer)
    return any(
        f" {_joined(word)}" in f" {text}" if word.endswith(ANY_ENDING) else f" {_joined(word)} " in f" {text} "
        for word in keywords
    )


def has_keyword_early(keywords: Sequence[str], answer: str) -> bool:
    """The same within the first `EARLY_WORDS` words, so that a long answer has no more chances than a short one."""
    return has_keyword(keywords, " ".join(opening(answer, EARLY_WORDS)))


def _joined(text: str) -> str:
    return " ".join(words(text.replace("\u2019", "'")))
