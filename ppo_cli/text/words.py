"""The words of a text: one definition for every measure that counts them.

Not here: tokens, which depend on a model's tokenizer.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’][^\W_]+)*")


def words(text: str) -> list[str]:
    """Lower-case words; each Chinese, Japanese or Korean character counts as a word."""
    return _WORD.findall(text.lower())
