"""Whether an answer asks the user a question back, for something that the request left open.

A question counts if it asks the user about the request, early in the answer and not as an item of a list of advice.
Offers ("anything else?"), questions that check ("does that help?") and rhetorical questions do not count.

Known errors: questions in a text that was asked for (a quiz, an interview) count; a guess that is stated and not asked
does not count.

Not here: whether asking was right (the prompt's `expect`).
"""

from __future__ import annotations

import re

from ppo_cli.text.lists import without_list_items

VERSION = "clarification/1"

ERROR = (
    f"rule {VERSION}: right on the 48 answers written with it, half of them questions back; flags 5 of 1350 answers to "
    "clear requests; not compared with human labels"
)
"""Shown with every measure that this rule makes."""

EARLY_CHARACTERS = 400
"""Characters at the start of an answer within which the question begins."""
SHORT_QUESTION_CHARACTERS = 60
"""A whole answer of at most this length that ends with a question mark asks back, whoever it addresses."""

_QUOTED = re.compile(r'"[^"\n]{1,300}"|“[^”\n]{1,300}”|「[^」\n]{1,300}」|```.{0,2000}?```', re.DOTALL)
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
    text = without_list_items(_QUOTED.sub(" ", answer[: 4 * EARLY_CHARACTERS]).replace("\u2019", "'")).strip()
    early = text[:EARLY_CHARACTERS].lower()
    if _ASKS.search(_without_offers(early)):
        return True
    if len(text) <= SHORT_QUESTION_CHARACTERS and text.endswith(("?", "？")):
        return not _OFFERS.search(early)
    questions = [match[0].strip() for match in _QUESTION.finditer(text.lower()) if match.start() < EARLY_CHARACTERS]
    return any(_ADDRESSES.search(question) and not _OFFERS.search(question) for question in questions)


def _without_offers(text: str) -> str:
    return _QUESTION.sub(lambda match: " " if _OFFERS.search(match[0]) else match[0], text)
