"""The manner of an answer: lists, markdown, apologies, talk of itself, its first words.

Known misses: an apology that a quoted person makes; lists that are not written as lines; models that name themselves.

Not here: whether an apology leads to a refusal (`refusal`).
"""

from __future__ import annotations

import re

from ppo_cli.text.words import words

VERSION = "style/1"

OPENING_WORDS = 4
READ = 4000
"""Characters that are read of an answer."""

_ITEM = re.compile(r"(?m)^[ \t]{0,8}(?:[-*•+]|\d{1,3}[.)、])[ \t]+\S")
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
    """Whether two lines or more are items of a list."""
    return len(_ITEM.findall(answer[:READ])) >= 2


def has_markdown(answer: str) -> bool:
    """Whether there is a heading, bold text, code or a table."""
    return bool(_MARKDOWN.search(answer[:READ]))


def apologises(answer: str) -> bool:
    """Whether the speaker says sorry for itself; `sorry to hear that` is sympathy."""
    return bool(_APOLOGY.search(_plain(answer)))


def speaks_of_itself(answer: str) -> bool:
    """Whether it calls itself a model, an AI or an assistant."""
    return bool(_SELF.search(_plain(answer)))


def opening(answer: str) -> tuple[str, ...]:
    """The first words; of an answer with fewer, all of them."""
    return tuple(words(answer[:READ])[:OPENING_WORDS])


def _plain(answer: str) -> str:
    return re.sub(r"[*_#>`]+", "", answer[:READ]).replace("\u2019", "'").strip().lower()
