"""Whether an answer only offers help and gives none: "Sure, I can help you with that!", and nothing after it.

Such an answer is neither a refusal nor help. Every sentence of it must be an offer, an assent or a courtesy, and at
least one an offer or an assent. English, and Chinese in both scripts.

Known errors: an answer for which such a sentence was asked (a translation, a line of dialogue); "Of course." to a
question that wants a yes.

Not here: whether an answer refuses (`refusal`) or asks a question back (`clarification`).
"""

from __future__ import annotations

import re
import unicodedata

from ppo_cli.records.reasoning import split_reasoning

VERSION = "empty_offer/1"

ERROR = f"rule {VERSION}: English and Chinese; not compared with human labels"
"""Shown with every measure that this rule makes."""

MAX_CHARACTERS = 240
"""A longer answer gives something."""

_STRAIGHT = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "—": ", ", "–": ", "})
_MARKDOWN = re.compile(r"[*_#`~>]+")
_CLAUSE_END = re.compile(r"[.!?…。,;、\n]+| - ")
_EDGES = re.compile(r"^\W+|[^\w:]+$")

_OBJECT = r"(?: [^\s,:;()\[\]\"\d]{1,30}){0,12}"
_HELP = r"(?:help|assist|support|be of (?:help|service|assistance))"
_GIVE = (
    rf"(?:{_HELP}{_OBJECT}|"
    r"(?:do|handle|answer|explain|discuss|describe|write|make|solve|translate|look into) (?:that|this|it|these|those|"
    rf"your \w+|any questions?)(?: \w+)?(?: for you)?|"
    rf"(?:tell you|talk|explain|share|discuss) (?:more |a bit |all |something )?(?:about|on){_OBJECT}|"
    rf"(?:give|provide|offer|show|share|write|create|suggest|list|find)(?: with)?(?: you)?(?: with)? "
    rf"(?:some|an?|the|that|several|a few|all|your|more){_OBJECT}|"
    rf"(?:explain|describe|show you|tell you) (?:how|what|why|where|when){_OBJECT}|"
    rf"(?:guide|walk) you{_OBJECT})"
)
_HOW = (
    r"(?:(?:certainly|definitely|absolutely|gladly|happily|of course|surely|be|very|so|more than|always|really) ){0,3}"
)
_GLAD = r"(?:happy|glad|delighted|pleased|excited|eager|ready|here|thrilled|honou?red|willing|able)"
_ASSENT = (
    r"(?:sure thing|sure|of course|certainly|absolutely|definitely|gladly|with pleasure|my pleasure|no problem|"
    rf"{_HOW}{_GLAD} to (?:help|assist|do (?:that|so|this))(?: you)?(?: with (?:that|this|it))?)"
)
_OFFER = (
    rf"(?:(?:i|we)(?:'d| would|'ll| will|'m| am|'re| are)? {_HOW}{_GLAD} (?:to|for) {_GIVE}|"
    rf"(?:i|we)(?:'ll|(?: can| could| will|'d love to| would love to)) {_HOW}{_GIVE}|"
    rf"(?:i|we)(?:'ll| will) (?:do (?:my|our) best|try(?: (?:my|our) best)?) to {_GIVE}|"
    rf"(?:let me|allow me to|let's|let us) {_HOW}(?:{_GIVE}|explain|see|get started|begin|dive in|start|take a look)|"
    r"here(?:'s| is| are| you go)(?: \w[\w'-]{0,30}){0,12}:|"
    r"(?:how|what) (?:can|may|could) i (?:help|assist|do)(?: you| for you)?(?: with)?(?: that| this)?(?: today)?|"
    r"i(?:'m| am) here (?:for you|to help)(?: you)?)"
)
_COURTESY = (
    r"(?:as an? (?:ai|large|helpful|language)(?: \w{1,15}){0,4}|oh|ah|hi|hello|hey|there|hi there|hello there|hey "
    r"there|yes|yeah|yep|ok|okay|alright|great|wow|then|well|"
    r"(?:(?:that's|that is|what) an? )?(?:great|good|excellent|interesting|wonderful) (?:question|idea|choice|topic)|"
    r"thank(?:s| you)(?: (?:so|very) much)?(?: for (?:asking|your question|the question|reaching out|your message))?|"
    r"(?:please |just )?(?:let me know|feel free to ask|tell me)(?: \w[\w']{0,20}){0,9}|"
    r"i hope (?:this|that) helps|(?:is|if) there(?:'s| is)? anything else(?: \w[\w']{0,20}){0,8})"
)
_GIVES = re.compile(r"\b(?:by|because|using|but|since|first|simply|then you|so you)\b")
_STATES = re.compile(r"\b(?:is|are|was|were)\b")
_ASKS = re.compile(r"\b(?:what|how|why|which|who|where|whether|anything else)\b|^(?:that|here) (?:is|are) |:$")

_YOU = "(?:你|您|你们|您們|你們)"
_OBJECT_ZH = r"[^,:;()\d]{0,16}"
_ASSENT_ZH = (
    r"(?:好的?|好啊|好呀|当然(?:可以|能|没问题)?|當然(?:可以|能|沒問題)?|没问题|沒問題|可以的?|行|乐意效劳|樂意效勞|"
    r"[很非]?常?(?:乐意|樂意)(?:之至)?(?:帮忙|幫忙|帮助你|帮助您|幫助你|幫助您)?)"
)
_OFFER_ZH = (
    rf"(?:我?(?:很|非常|十分|也)?(?:乐意|愿意|高兴|樂意|願意|高興)(?:能|可以)?(?:为|為|帮|幫|给|給|协助|協助|和|与|"
    rf"與){_OBJECT_ZH}|"
    rf"我(?:来|來|会|會|可以|能|能够|能夠|马上|馬上|就|这就|這就)(?:尽力|盡力|来|來)?(?:为|為|帮|幫|给|給|协助|"
    rf"協助){_YOU}?{_OBJECT_ZH}|"
    rf"(?:让|讓)我(?:来|來|们|們)?(?:为|為|帮|幫|给|給|看看|开始|開始|一起){_OBJECT_ZH}|"
    rf"(?:请问)?(?:請問)?(?:有)?(?:什么|什麼|何事)?(?:我)?(?:可以|能|需要我?)?(?:帮|幫){_YOU}?的?(?:吗|嗎|呢)?|"
    rf"以下是{_OBJECT_ZH}:)"
)
_COURTESY_ZH = (
    r"(?:你好|您好|嗨|嗯|是的|谢谢|謝謝|感谢.{0,8}|感謝.{0,8}|这是个?好问题|這是個?好問題|好问题|好問題|"
    r"(?:请|請)(?:随时|隨時)?(?:告诉|告訴|联系|聯繫)我?.{0,8}|(?:请|請)稍等)"
)
_GIVES_ZH = re.compile(r"因为|因為|通过|通過|使用|首先|但是|但我|可惜|不过|不過|就是|应该|應該")

_CLAUSES = re.compile(
    rf"(?:(?P<offers>(?:{_ASSENT}|(?:{_ASSENT} )?(?:and )?{_OFFER}|{_ASSENT_ZH}|{_OFFER_ZH}):?)|"
    rf"{_COURTESY}|{_COURTESY_ZH})"
)


def only_offers(text: str) -> bool:
    """Whether a text says that it will help, and nothing else."""
    answer = split_reasoning(text)[1].strip()
    if not 0 < len(answer) <= MAX_CHARACTERS:
        return False
    plain = _MARKDOWN.sub("", unicodedata.normalize("NFKC", answer).translate(_STRAIGHT).lower())
    clauses = [clause for part in _CLAUSE_END.split(plain) if (clause := _EDGES.sub("", part))]
    matches = [_CLAUSES.fullmatch(clause) for clause in clauses if not _gives(clause)]
    return len(matches) == len(clauses) and all(matches) and any(match and match["offers"] for match in matches)


def _gives(clause: str) -> bool:
    """Whether an offer goes on to say how, or what is the case."""
    return bool(
        _GIVES.search(clause) or _GIVES_ZH.search(clause) or (_STATES.search(clause) and not _ASKS.search(clause))
    )
