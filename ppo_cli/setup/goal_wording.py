"""Phrase a goal as one plain sentence that names the situation and the behaviour, and hint at what is missing.

Not here: asking the two questions (`cli.init`), judging whether the goal is a good one.
"""

from __future__ import annotations

import re

MAX_GOAL_CHARACTERS = 200
"""A longer sentence does not fit at the head of a screen."""
CJK = re.compile(r"[\u3400-\u9fff]")
SITUATION = re.compile(
    r"\b(when|whenever|if|where|wherever|while|unless|before|after|during|asked|given|whatever|however|once|faced with"
    r"|in case|(on|to|for) requests?|requests? (that|to|for|about)|prompts? that|questions? (that|about))\b"
    r"|[当若]|如果|遇到|面对|的时候|时[，,]|凡是|无论",
    re.IGNORECASE,
)
CONNECTED = re.compile(r"^(when(ever)?|if|in case|as soon as|当|如果|若)\s*", re.IGNORECASE)
SUBJECT = re.compile(
    r"^(then\s+)?((it|the (model|assistant|policy|answer))\s+)?(should|must|has to|ought to|needs? to|to)\s+|^then\s+",
    re.IGNORECASE,
)


def phrase(situation: str, behaviour: str) -> str:
    """One sentence from the answers to two questions: in which situation, and what should happen then.

    Args:
        situation: with or without a "when"; empty for any situation.
        behaviour: as an imperative, or with an "it should".
    """
    where, does = _bare(CONNECTED.sub("", _bare(situation))), _bare(SUBJECT.sub("", _bare(behaviour)))
    if CJK.search(where + does):
        return f"当{where.removesuffix('时').removesuffix('的时候')}时，{does}。" if where else f"{does}。"
    if not where:
        return f"{does[:1].upper()}{does[1:]}."
    return f"When {_inside(where)}, {_inside(does)}."


def hints(goal: str) -> list[str]:
    """Sentences on what may be missing from a goal; none if it looks complete."""
    sentences = []
    if not SITUATION.search(goal):
        sentences.append(
            "The goal names no situation. One that does is easier to test: "
            f'"{"当……时，" if CJK.search(goal) else "When …, "}{_inside(_bare(goal))}".'
        )
    if len(goal) > MAX_GOAL_CHARACTERS:
        sentences.append(
            f"The goal has {len(goal)} characters and is printed on every screen; one short sentence reads better."
        )
    return sentences


def _bare(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".。!！,，;；:：").strip()


def _inside(text: str) -> str:
    """With a small first letter, unless the text starts with a name, an abbreviation or "I"."""
    first = text.split(" ", 1)[0]
    keeps = first in ("I", "I'm", "I'd", "I've") or (len(first) > 1 and not first[1:].islower() and "'" not in first)
    return text if keeps else f"{text[:1].lower()}{text[1:]}"
