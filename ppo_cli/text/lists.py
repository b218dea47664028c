"""Items of a list that is written as lines of text: bullets and numbers.

Not here: whether an answer counts as a list (`behaviours.style`, `rewards.parametric_terms`).
"""

from __future__ import annotations

import re

LIST_MARKER = r"(?:[-*•+]|\d{1,3}[.)、])"
"""Regular expression of a bullet or a number, without the blanks around it."""

_ITEM = re.compile(rf"(?m)^[ \t]{{0,8}}{LIST_MARKER}[ \t]+\S.*$")
_ITEM_OF_ANY_INDENT = re.compile(rf"[ \t]*{LIST_MARKER}[ \t]+\S")


def count_list_items(text: str) -> int:
    """Lines that are list items, indented by at most 8 blanks."""
    return len(_ITEM.findall(text))


def without_list_items(text: str) -> str:
    """The text with a blank in place of each list item."""
    return _ITEM.sub(" ", text)


def is_list_item(line: str) -> bool:
    """Whether one line is a list item, however far it is indented."""
    return _ITEM_OF_ANY_INDENT.match(line) is not None
