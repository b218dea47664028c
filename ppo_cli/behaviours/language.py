"""Which script an answer is written in, and whether that is the prompt's.

Known misses: languages that share a script (an answer in French to an English prompt); translations that were asked
for count as a switch.

Not here: what is said.
"""

from __future__ import annotations

import re
from collections import Counter

VERSION = "language/1"

READ = 4000
"""Characters that are read."""
FOREIGN_SHARE = 0.1
"""So many letters of another script make an answer mixed."""

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
    """Words of each script; a Chinese, Japanese or Korean character counts as a word."""
    text = text[:READ]
    counts = Counter({name: len(found) for name, pattern in _SCRIPTS.items() if (found := pattern.findall(text))})
    if latin := len(_LATIN_WORD.findall(text)):
        counts["latin"] = latin
    if counts["japanese"]:  # Japanese is written with Chinese signs too
        counts["japanese"] += counts.pop("chinese", 0)
    return +counts


def switches(prompt: str, answer: str) -> bool:
    """Whether most of the answer is in another script than most of the prompt."""
    asked, said = script_counts(prompt), script_counts(answer)
    return bool(asked and said) and asked.most_common(1)[0][0] != said.most_common(1)[0][0]


def is_mixed(answer: str) -> bool:
    """Whether a tenth or more of the answer is in another script than the rest."""
    counts = script_counts(answer)
    return bool(counts) and 1 - counts.most_common(1)[0][1] / counts.total() >= FOREIGN_SHARE
