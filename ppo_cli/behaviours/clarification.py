"""Whether an answer asks back for what it needs to know.

A question counts that asks the user about the request, early in the answer and not as an item of a list of advice.
Offers ("anything else?"), questions to
check ("does that help?") and rhetorical ones ask for nothing.

Known misses: questions in a text that was asked for (a quiz, an interview); a guess that is stated and not asked.

Not here: whether asking was right (that is the prompt's `expect`).
"""

from __future__ import annotations

import re

VERSION = "clarification/1"

EARLY = 400
"""Characters within which a question for something missing begins."""
SHORT_QUESTION = 60
"""A whole answer that is no longer and ends as a question asks, whoever is addressed."""

_QUOTED = re.compile(r'"[^"\n]{1,300}"|“[^”\n]{1,300}”|「[^」\n]{1,300}」|```.{0,2000}?```', re.DOTALL)
_ITEM = re.compile(r"(?m)^[ \t]{0,8}(?:[-*•+]|\d{1,3}[.)、])[ \t]+\S.*$")
_QUESTION = re.compile(r"[^.!?。！？\n]{2,300}[?？]")
_OFFERS = re.compile(
    r"\b(?:anything else|something else|any(?: \w+)? questions|would you like (?:me|to know|to hear|more|some|help|"
    r"another)|"
    r"want me to|(?:can|may|could|shall|should) i (?:help|assist|suggest|offer|interest|get)|how (?:can|"
    r"may) i (?:help|assist)|"
    r"(?:does|did|do) (?:that|this|it) (?:help|make sense|sound|work|answer)|is (?:that|this) (?:ok|okay|clear|"
    r"helpful)|"
    r"did you know|have you ever|ever wondered|why (?:not|don't you|would)|how about|what about trying|what if|"
    r"who knows|"
    r"who (?:doesn't|wouldn't)|isn't it|aren't they|right|you know|ready to)\b|(?:还有|其他)(?:什么|别的)?|需要我|"
    r"好吗|对吧|是吧"
)
_ADDRESSES = re.compile(
    r"\b(?:you|your|you're|yours)\b|^\W*(?:which|what|where|when|who|whose|how (?:many|much|old|long|big|large|far|"
    r"often|soon))\b"
    r"|你|您|哪|请问|什么|多少|几"
)
_ASKS = re.compile(
    r"\b(?:(?:could|can|would|will) you (?:\w+ )?|please |i(?:'d| would)? need (?:you )?to |kindly )"
    r"(?:provide|share|give me|specify|clarify|tell me|describe|elaborate|explain what you mean|be more specific|"
    r"rephrase|"
    r"let me know)\b(?! if)|"
    r"\b(?:i|we)(?:'ll|'d| would| will)? need (?:\w+ ){0,3}?(?:information|details?|context|to know)\b|"
    r"\blet me know (?:what|which|where|when|who|how|your|more|the)\b|\b(?:do|did) you mean\b|\bit(?:'s|"
    r" is) (?:not clear|unclear) "
    r"(?:what|which|to me)|请(?:您|你)?(?:提供|说明|告诉我|补充|具体)|(?:能|可以|能否|可否)(?:请)?(?:您|"
    r"你)?(?:再)?(?:提供|说明|告诉我|说得?|具体)|"
    r"(?:您|你)(?:是)?(?:指|想问)的?(?:是)?"
)


def asks_back(answer: str) -> bool:
    """Whether the answer asks the user for something that the request left open."""
    text = _ITEM.sub(" ", _QUOTED.sub(" ", answer[: 4 * EARLY]).replace("\u2019", "'")).strip()
    early = text[:EARLY].lower()
    if _ASKS.search(_without_offers(early)):
        return True
    if len(text) <= SHORT_QUESTION and text.endswith(("?", "？")):
        return not _OFFERS.search(early)
    questions = [found[0].strip() for found in _QUESTION.finditer(text.lower()) if found.start() < EARLY]
    return any(_ADDRESSES.search(question) and not _OFFERS.search(question) for question in questions)


def _without_offers(text: str) -> str:
    return _QUESTION.sub(lambda found: " " if _OFFERS.search(found[0]) else found[0], text)
