"""The style of an answer: lists, markdown, apologies, self-reference.

Known errors: an apology of a quoted person counts; lists that are not written as lines and models that call themselves
by name are missed.

Not here: whether an apology leads to a refusal (`refusal`).
"""

from __future__ import annotations

import re

from ppo_cli.text.lists import count_list_items

VERSION = "style/1"

WORDING_ERROR = "by wording: wordings that the rule does not list are missed; precision read, recall not measured"
"""Shown with the measures made from a list of wordings."""

MAX_CHARACTERS = 4000
"""Characters of an answer that are read."""
MIN_LIST_ITEMS = 2

_MARKDOWN = re.compile(r"(?m)^#{1,6} \S|\*\*[^*\n]{1,200}\*\*|^```|`[^`\n]{1,200}`|^\|.{1,200}\|\s*$")
_APOLOGY = re.compile(
    r"\b(?:i|we)(?:'m| am|'re| are)? (?:\w+ ){0,2}?(?:sorry|apologi[sz]e)\b(?! (?:to hear|for your|about your|"
    r"you(?:'re| are)))"
    r"|^(?:oh,? )?(?:(?:so |very )?sorry\b(?! (?:to hear|for your|about your))|(?:my )?apologies\b)|抱歉|对不起|"
    r"不好意思"
)
_SELF = re.compile(
    r"\b(?:as|i'm|i am|being)(?: just| only)?(?: an?| the)? (?:\w+ ){0,2}?(?:ai|a\.i\.|language model|"
    r"artificial intelligence|"
    r"chat ?bot|virtual assistant|digital assistant)\b|\bmy (?:training|programming|knowledge cutoff)\b|"
    r"(?:作为|身为|我是)[^。！？]{0,10}(?:人工智能|AI|语言模型|智能助手)",
    re.IGNORECASE,
)


def has_list(answer: str) -> bool:
    """Whether at least two lines are list items."""
    return count_list_items(answer[:MAX_CHARACTERS]) >= MIN_LIST_ITEMS


def has_markdown(answer: str) -> bool:
    """Whether there is a heading, bold text, code or a table."""
    return bool(_MARKDOWN.search(answer[:MAX_CHARACTERS]))


def apologises(answer: str) -> bool:
    """Whether the model apologises for itself; "sorry to hear that" is sympathy and does not count."""
    return bool(_APOLOGY.search(_plain(answer)))


def speaks_of_itself(answer: str) -> bool:
    """Whether the answer calls its speaker a model, an AI or an assistant."""
    return bool(_SELF.search(_plain(answer)))


def _plain(answer: str) -> str:
    return re.sub(r"[*_#>`]+", "", answer[:MAX_CHARACTERS]).replace("\u2019", "'").strip().lower()
