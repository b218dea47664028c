"""Helping to phrase a goal: one plain sentence that names the situation and the behaviour.

Not here: asking (the command line does), judging whether the goal is a good one.
"""

from __future__ import annotations

import re

LONGEST = 200
"""Letters of a sentence that still heads a screen."""
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
    """One sentence from the answers to two questions: in which situation, what then.

    Args:
        situation: with or without a "when"; empty where it is any.
        behaviour: as an order, or with an "it should".
    """
    where, does = _bare(CONNECTED.sub("", _bare(situation))), _bare(SUBJECT.sub("", _bare(behaviour)))
    if CJK.search(where + does):
        return f"当{where.removesuffix('时').removesuffix('的时候')}时，{does}。" if where else f"{does}。"
    if not where:
        return f"{does[:1].upper()}{does[1:]}."
    return f"When {_inside(where)}, {_inside(does)}."


def hints(goal: str) -> list[str]:
    """What might be missing from a goal, said gently; nothing where it looks whole."""
    found = []
    if not SITUATION.search(goal):
        found.append(
            "The goal names no situation. One that does is easier to test: "
            f'"{"当……时，" if CJK.search(goal) else "When …, "}{_inside(_bare(goal))}".'
        )
    if len(goal) > LONGEST:
        found.append(f"The goal has {len(goal)} letters and heads every screen; one short sentence is read more often.")
    return found


def _bare(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".。!！,，;；:：").strip()


def _inside(text: str) -> str:
    """For the middle of a sentence: a small letter, unless it begins a name, an abbreviation or an "I"."""
    first = text.split(" ", 1)[0]
    keeps = first in ("I", "I'm", "I'd", "I've") or (len(first) > 1 and not first[1:].islower() and "'" not in first)
    return text if keeps else f"{text[:1].lower()}{text[1:]}"
