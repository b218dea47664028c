"""Whether an answer says something of what was asked: the words that the prompt's author expects of one that helps.

A prompt names them in `mentions`; one of them is enough. Prompts that name none are not measured.

Known misses: a right answer in words that the author did not think of; a wrong one that happens to use them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.text.words import words

VERSION = "topic/1"

STEM_LETTERS = "*"
"""At the end of a word it stands for any ending."""
EARLY_WORDS = 16
"""Words of a sentence or so, as in the measures of diversity."""


def has_keyword(expected: Sequence[str], answer: str) -> bool:
    """Whether the answer has at least one of the expected words, or of the expected runs of words."""
    said = _joined(answer)
    return any(
        f" {_joined(word)}" in f" {said}" if word.endswith(STEM_LETTERS) else f" {_joined(word)} " in f" {said} "
        for word in expected
    )


def has_keyword_early(expected: Sequence[str], answer: str) -> bool:
    """The same within the first words, where an answer that runs on has no more chances than a short one."""
    return has_keyword(expected, " ".join(words(answer)[:EARLY_WORDS]))


def _joined(text: str) -> str:
    return " ".join(words(text.replace("\u2019", "'")))
