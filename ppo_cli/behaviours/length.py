"""How long an answer is, in words and in sentences.

Known errors: sentences are counted by punctuation, so "e.g." counts as an end and a list without marks as one sentence.

Not here: tokens, which the sampler counts.
"""

from __future__ import annotations

import re

from ppo_cli.text.words import words

VERSION = "length/2"
"""length/2 leaves the tokens of the reasoning out."""

_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$|[\"'”’)])|[。！？]+|\n+")


def word_count(answer: str) -> int:
    """Number of words; each Chinese, Japanese or Korean character counts as one."""
    return len(words(answer))


def sentence_count(answer: str) -> int:
    """Number of sentences or lines that contain a word."""
    return sum(bool(words(part)) for part in _SENTENCE_END.split(answer))
