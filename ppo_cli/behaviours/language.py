"""Which script an answer is written in, and whether it is the prompt's script.

Known errors: languages that share a script are not told apart (an answer in French to an English prompt); a translation
that was asked for counts as a switch.

Not here: what an answer says (`refusal`, `keywords`).
"""

from __future__ import annotations

import re
from collections import Counter

VERSION = "language/1"

ERROR = "exact by script; languages that share a script are not told apart"
"""Shown with every measure that this rule makes."""

MAX_CHARACTERS = 4000
"""Characters of a text that are read."""
MIN_MIXED_SHARE = 0.1
"""Share of words in another script from which an answer counts as mixed."""

_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_SCRIPTS = {
    "chinese": re.compile(r"[\u3400-\u9fff]"),
    "japanese": re.compile(r"[\u3040-\u30ff]"),
    "korean": re.compile(r"[\uac00-\ud7af]"),
    "cyrillic": re.compile(r"[\u0400-\u04ff]+"),
    "greek": re.compile(r"[\u0370-\u03ff]+"),
    "arabic": re.compile(r"[\u0600-\u06ff]+"),
    "hebrew": re.compile(r"[\u0590-\u05ff]+"),
    "devanagari": re.compile(r"[\u0900-\u097f]+"),
    "thai": re.compile(r"[\u0e00-\u0e7f]+"),
}


def script_counts(text: str) -> Counter[str]:
    """Number of words of each script; a Chinese, Japanese or Korean character counts as a word."""
    text = text[:MAX_CHARACTERS]
    counts = Counter({name: len(matches) for name, pattern in _SCRIPTS.items() if (matches := pattern.findall(text))})
    if latin := len(_LATIN_WORD.findall(text)):
        counts["latin"] = latin
    if counts["japanese"]:  # Japanese is written with Chinese characters too
        counts["japanese"] += counts.pop("chinese", 0)
    return +counts


def switches(prompt: str, answer: str) -> bool:
    """Whether most of the answer is in another script than most of the prompt."""
    asked, answered = script_counts(prompt), script_counts(answer)
    return bool(asked and answered) and asked.most_common(1)[0][0] != answered.most_common(1)[0][0]


def is_mixed(answer: str) -> bool:
    """Whether a tenth or more of the answer is in another script than the rest."""
    counts = script_counts(answer)
    return bool(counts) and 1 - counts.most_common(1)[0][1] / counts.total() >= MIN_MIXED_SHARE
