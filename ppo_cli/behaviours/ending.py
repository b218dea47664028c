"""Whether the text of an answer is complete at its end.

Known errors: titles, names and verses end without a punctuation mark although they are complete.

Not here: whether the model ended its turn (the label `ended`, from the sampler).
"""

from __future__ import annotations

import re

from ppo_cli.text.lists import is_list_item

VERSION = "ending/1"

MAX_CHARACTERS = 2000
"""Characters at the end of an answer that are read."""

_COMPLETE = re.compile(r"(?:[.!?…。！？:：;；]|```|\|)[\"'”’)\]*_」』]*$")


def is_complete_sentence(answer: str) -> bool:
    """Whether the last line ends with a punctuation mark, closes code or a table, or is a list item."""
    text = answer[-MAX_CHARACTERS:].rstrip()
    return bool(text) and bool(_COMPLETE.search(text) or is_list_item(text.rsplit("\n", 1)[-1]))
