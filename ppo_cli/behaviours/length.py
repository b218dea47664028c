"""How much an answer says: words and sentences.

Known misses: sentences are told by their marks, so that "e.g." counts as an end and a list without marks as one.

Not here: tokens, which the sampler counts.
"""

from __future__ import annotations

import re

from ppo_cli.text.words import words

VERSION = "brevity/1"

_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$|[\"'”’)])|[。！？]+|\n+")


def word_count(answer: str) -> int:
    """Words; each Chinese, Japanese or Korean character counts as one."""
    return len(words(answer))


def sentence_count(answer: str) -> int:
    """Stretches with a word in them between ends of sentences or lines."""
    return sum(bool(words(part)) for part in _SENTENCE_END.split(answer))
