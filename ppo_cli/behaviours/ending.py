"""How an answer ends, apart from whether the model ended its turn.

Known misses: titles, names and verses end without a mark although they are whole.

Not here: end-of-turn tokens, which the sampler sees.
"""

from __future__ import annotations

import re

VERSION = "ending/1"

_WHOLE = re.compile(r"(?:[.!?…。！？:：;；]|```|\|)[\"'”’)\]*_」』]*$")
_LAST_ITEM = re.compile(r"^[ \t]*(?:[-*•+]|\d{1,3}[.)、])[ \t]+\S.*$")


def is_complete_sentence(answer: str) -> bool:
    """Whether the last line ends with a mark, closes code or a table, or is an item of a list."""
    text = answer[-2000:].rstrip()
    return bool(text) and bool(_WHOLE.search(text) or _LAST_ITEM.match(text.rsplit("\n", 1)[-1]))
