"""Separates what a model thinks aloud, between tags such as <think> and </think>, from its answer.

This is done once, where an answer is made or read, so that rules, rewards and people judge the same text.

Not here: how long the reasoning is (the measure length.reasoning), the record (`answers`).
"""

from __future__ import annotations

import re

_NAMES = "think|thinking|thought|thoughts|reasoning|reason|reflection|scratchpad"
_OPENS = re.compile(rf"(?<!`)(?:<(?:{_NAMES})>|\[think\]|◁think▷|<\|begin_of_thought\|>)", re.IGNORECASE)
_CLOSES = re.compile(rf"(?<!`)(?:</(?:{_NAMES})>|\[/think\]|◁/think▷|<\|end_of_thought\|>)", re.IGNORECASE)


def split_reasoning(text: str, *, opened: bool = False) -> tuple[str, str]:
    """Separates the reasoning of an answer from the answer itself.

    A closed block is reasoning wherever it stands. A closing tag without an opening one ends reasoning that the chat
    template opened. A block that is never closed, because the answer was cut, is reasoning to the end. A tag between
    backticks is text.

    Args:
        text: as sampled, without special tokens.
        opened: whether the chat template writes an opening tag before the answer.

    Returns:
        (reasoning without its tags, answer), both without outer blanks; a text without tags comes back as it is.
    """
    reasoning: list[str] = []
    answer: list[str] = []
    position = 0
    if opened and not _OPENS.match(text.lstrip()):
        end = _CLOSES.search(text)
        reasoning.append(text[: end.start()] if end else text)
        position = end.end() if end else len(text)
    elif not ("<" in text or "[" in text or "◁" in text):
        return "", text
    while start := _OPENS.search(text, position):
        end = _CLOSES.search(text, start.end())
        if end is None and text[position : start.start()].rpartition("\n")[2].strip():
            break  # the tag is named within a sentence
        answer.append(text[position : start.start()])
        reasoning.append(text[start.end() : end.start() if end else len(text)])
        position = end.end() if end else len(text)
    answer.append(text[position:])
    if not reasoning:
        end = _CLOSES.search(text)
        if end is None:
            return "", text
        reasoning, answer = [text[: end.start()]], [text[end.end() :]]
    return "\n".join(part.strip() for part in reasoning).strip(), "".join(answer).strip()


def is_tag(token: str) -> bool:
    """Whether a token is a tag that begins or ends reasoning."""
    return bool(_OPENS.fullmatch(token) or _CLOSES.fullmatch(token))


def after_reasoning(words: float, text: str) -> str:
    """An answer as examples show it: what was thought before it is not shown, and its length is said.

    Args:
        words: of the reasoning.
        text: of the answer.
    """
    return f"[after {words:.0f} words of reasoning] {text}".rstrip() if words else text


def ends_in_reasoning(rendered: str) -> bool:
    """Whether a rendered prompt ends with an opening tag, so that the answer begins with reasoning."""
    openings = list(_OPENS.finditer(rendered))
    return bool(openings) and not rendered[openings[-1].end() :].strip()
