"""The words of some texts that say what they are about: the most frequent ones that are no words of grammar.

Chinese and Japanese texts have no blanks; there two characters that stand together count as a word.

Not here: what a word is elsewhere (`words`), stop words (`languages`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ppo_cli.text.languages import STOP_WORDS
from ppo_cli.text.words import words

MIN_LETTERS = 3
_GRAMMAR = frozenset().union(*STOP_WORDS.values())
_ASKING = frozenset(
    "why please could may might write tell give name explain describe make made get use used way thing things many "
    "much one two good better best out people someone something".split()
)
"""English words of asking that say nothing of the subject."""
_RUN = re.compile(r"[\u4e00-\u9fff]{2,}")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_CHINESE_GRAMMAR = frozenset("的了是在我你他她它们这那有和与就不也都要会能可以吗呢吧什么怎么如何为请一个给")
"""Characters of grammar; a pair with one of them is no content word."""


def content_words(text: str) -> set[str]:
    """The words of a text that are no words of grammar, each once."""
    return set(_content_words(text))


def common_words(texts: Sequence[str], count: int) -> list[tuple[str, int]]:
    """The content words that most texts have, each with the number of its texts; only those of two texts or more."""
    counts = Counter(word for text in texts for word in content_words(text))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(word, texts_with) for word, texts_with in ordered if texts_with > 1][:count]


def _content_words(text: str) -> Iterator[str]:
    for word in words(text):
        is_word = len(word) >= MIN_LETTERS and not word.isdecimal() and not _IDEOGRAPH.match(word)
        if is_word and word not in _GRAMMAR and word not in _ASKING:
            yield word
    for run in _RUN.findall(text):
        for start in range(len(run) - 1):
            pair = run[start : start + 2]
            if not set(pair) & _CHINESE_GRAMMAR:
                yield pair
