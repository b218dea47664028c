"""Whether an answer asks the user a question back, for something that the request left open.

A question counts if it asks the user about the request, early in the answer and not as an item of a list of advice.
After a long text it counts if it says what it is for, and as list items if the answer asks for them. Offers ("anything
else?"), questions that check ("does that help?") and rhetorical questions do not count; an offer that names two things
to choose from does. English, and Chinese in both scripts, there also without a question mark.

Known errors: questions in a text that was asked for (a quiz, an interview) count; a guess that is stated and not asked
does not count; other languages, but for a short answer that ends with a question mark.

Not here: whether asking was right (the prompt's `expect`).
"""

from __future__ import annotations

import re

from ppo_cli.text.chinese import simplified
from ppo_cli.text.lists import LIST_MARKER, is_list_item, without_list_items

VERSION = "clarification/2"

ERROR = (
    f"rule {VERSION}: English and Chinese; right on the 95 answers written with it, 45 of them questions back; not "
    "compared with human labels"
)
"""Shown with every measure that this rule makes."""

EARLY_CHARACTERS = 400
"""Characters at the start of an answer within which the question begins."""
LATE_CHARACTERS = 400
"""Characters at the end of a longer answer within which a question that says what it is for begins."""
SHORT_QUESTION_CHARACTERS = 60
"""A whole answer of at most this length that ends with a question mark asks back, whoever it addresses."""

MAX_CHARACTERS = 1600
"""Characters at the start of an answer that are read for its lists and its early questions."""

_MARKER = re.compile(rf"^{LIST_MARKER}[ \t]+")
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
    r"who (?:doesn't|wouldn't)|isn't it|aren't they|right(?=[?？])|you know(?=[?？])|"
    r"ready to)\b|(?:还有|其他)(?:什么|别的)?|需要我|"
    r"好吗|对吧|是吧"
)
_CHOICE = re.compile(
    r"\bwould you (?:like|prefer|rather)\b[^?？]{1,80}? or (?!not\b|(?:any|some)thing|more\b|another\b)"
)
"""An offer with a choice asks for what the request left open."""
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
    r"^tell me (?:what|which|where|when|who|how|your|more)\b|"
    r"\b(?:i'm|i am) not (?:sure|certain) (?:what|which|who|where|when|how) (?:\w+ ){0,3}?you(?:'re)?\b|"
    r"\blet me know (?:what|which|where|when|who|how|your|more|the)\b"
    r"(?! (?:it|that|this|things|you) (?:go|turn|work|think|like))|\b(?:do|did) you mean\b|\bit(?:'s|"
    r" is) (?:not clear|unclear) "
    r"(?:what|which|to me)|请(?:您|你)?(?:提供|说明|告诉我|补充|具体)|(?:能|可以|能否|可否)(?:请)?(?:您|"
    r"你)?(?:再)?(?:提供|说明|告诉我|说得?|具体)|"
    r"(?:您|你)(?:是)?(?:指|想问)的?(?:是)?"
)


_SAYS_WHAT_FOR = re.compile(
    r"\b(?:before i|to (?:help|answer|give you|be more|narrow|tell you|choose|suggest|advise|make)|so (?:that )?i can|"
    r"in order to|it depends|depends on|it would help|to know|first)\b[^.!?]{0,100}$"
)
"""What comes before a late question that is for the answer and not for the talk."""
_ASKS_LATE = re.compile(
    r"\b(?:could|can|would) you (?:please )?(?:provide|share|specify|clarify|tell me|describe|be more specific)\b(?! "
    r"if)|"
    r"\bplease (?:provide|specify|clarify|tell me|let me know) (?:which|what|your|more|the|whether|where|when)\b"
    r"(?! you think)|\b(?:do|did) you mean\b|\bneed (?:more|further) (?:information|details|context)\b|"
    r"请(?:您|你)?(?:提供|说明|告诉我|补充)|(?:能|可以|能否|可否)(?:请)?(?:您|你)?(?:再)?(?:提供|说明|告诉我)"
)
_LATE_QUESTION = re.compile(
    r"\bwhich (?:of (?:these|those|the|them)|one|\w+) (?:\w+ )?(?:do|are|did|would|have|is) you(?:r|rs)?\b|"
    r"\b(?:do|did) you mean\b|\bare you (?:asking|referring|talking)\b"
)
_ASKS_FOR_ITEMS = re.compile(
    r"\b(?:i(?:'d| would|'ll| will)? (?:need|like|have)|questions? (?:for you|first|before)|few (?:\w+ )?questions|"
    r"could you|can you|please|tell me|let me know|clarify|help me understand)\b"
)
_ADVISES_ITEMS = re.compile(
    r"\b(?:ask (?:yourself|them|him|her|your|the|each|for)|consider|think about|to ask|interview|quiz|survey)\b"
)
_ASKS_IN_CHINESE = re.compile(
    r"请问[^。!?！？\n]{0,30}(?:哪|什么|多少|几|谁|吗|何时|是否|还是)|"
    r"(?:您|你)(?:想要?|是想|指的?是|说的是|需要|打算|用的是|住在|喜欢|要的?是?|问的是|希望)[^。!?！？,，就\n]{0,20}"
    r"(?:哪|什么(?!都|也|[^。]{0,4}就)|多少|几[个人天点岁位种]|谁)[^。!?！？,，就\n]{0,8}(?:呢|[。！\n]|$)|"
    r"(?:您|你)(?:想|要|是|指|需要|喜欢|打算)[^。!?！？,，\n]{1,15}还是[^。!?！？,，\n]{1,15}(?:呢|吗)?(?:[。！\n]|$)|"
    r"(?:不(?:太)?(?:清楚|确定|知道|明白))(?:您|你)[^。!?！？\n]{0,12}(?:哪|什么|多少|谁)"
)


def asks_back(answer: str) -> bool:
    """Whether the answer asks the user for something that the request left open."""
    read = _QUOTED.sub(" ", answer[:MAX_CHARACTERS]).replace("\u2019", "'")
    text = simplified(without_list_items(read)).strip()
    early = text[:EARLY_CHARACTERS].lower()
    if _ASKS.search(_without_offers(early)) or _ASKS_IN_CHINESE.search(early):
        return True
    if len(text) <= SHORT_QUESTION_CHARACTERS and text.endswith(("?", "？")):
        return not _is_offer(early)
    questions = [match[0].strip() for match in _QUESTION.finditer(text.lower()) if match.start() < EARLY_CHARACTERS]
    if any(_ADDRESSES.search(question) and not _is_offer(question) for question in questions):
        return True
    return _asks_in_a_list(read) or _asks_late(answer)


def _asks_late(answer: str) -> bool:
    """Whether a long answer ends with a question that says what it is for."""
    end = (
        without_list_items(_QUOTED.sub(" ", answer[EARLY_CHARACTERS:][-LATE_CHARACTERS:]))
        .replace("\u2019", "'")
        .lower()
    )
    if _ASKS_LATE.search(simplified(_without_offers(end))) or _ASKS_IN_CHINESE.search(simplified(end)):
        return True
    for match in _QUESTION.finditer(end):
        question = match[0]
        purpose = _SAYS_WHAT_FOR.search(end[: match.start()].rstrip(" .!:")) or _SAYS_WHAT_FOR.search(
            question.rstrip("?？")
        )
        if not _is_offer(question) and (_LATE_QUESTION.search(question) or (purpose and _ADDRESSES.search(question))):
            return True
    return False


def _asks_in_a_list(read: str) -> bool:
    """Whether an answer asks for several things as list items, or is nothing but questions in a list."""
    lines = [line.strip().lower() for line in read.split("\n") if line.strip()]
    first = next((index for index, line in enumerate(lines) if is_list_item(line)), None)
    if first is None:
        return False
    items = [line for line in lines[first:] if is_list_item(line)]
    questions = [item for item in items if item.endswith(("?", "？")) and _ADDRESSES.search(_MARKER.sub("", item))]
    if 2 * len(questions) < len(items) or not questions:
        return False
    lead = lines[first - 1] if first else ""
    if _ADVISES_ITEMS.search(lead):
        return False
    return _ASKS_FOR_ITEMS.search(lead) is not None or len(items) == len(lines)


def _is_offer(question: str) -> bool:
    return _OFFERS.search(question) is not None and _CHOICE.search(question) is None


def _without_offers(text: str) -> str:
    return _QUESTION.sub(lambda match: " " if _is_offer(match[0]) else match[0], text)
