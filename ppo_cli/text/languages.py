"""The language of a text, by its script, by letters that only one language has, and by stop words.

Known errors: languages that are written alike (Danish and Norwegian, Malay and Indonesian) have one name; a text of a
few words without a stop word counts as English.

Not here: which languages a rule reads (`behaviours.refusal`), whether an answer is in the prompt's script
(`behaviours.language`).
"""

from __future__ import annotations

import re
from collections import Counter

OTHER = "other"
"""The language of a text whose script or words are in none of the tables."""

MAX_CHARACTERS = 1500
"""Characters of a text that are read."""
MIN_STOP_WORDS = 3
"""Stop words from which a text in Latin letters is in another language than English."""
MIN_STOP_WORDS_OF_SHORT = 2
"""The same for a text of at most `SHORT_WORDS` words."""
SHORT_WORDS = 8
MIN_UNKNOWN_WORDS = 20
"""Words from which a text in Latin letters without any stop word is in a language that no table has."""
MIN_WORDS_PER_MARK = 3
"""Words per punctuation mark, sign and line end of a text; with fewer it is a list of names, or code."""

_SCRIPTS = {
    "latin": r"[a-z\u00df-\u024f\u1e00-\u1eff]+(?:'[a-z\u00df-\u024f]+)*",
    "chinese": r"[\u3400-\u9fff]",
    "japanese": r"[\u3040-\u30ff]",
    "korean": r"[\uac00-\ud7af]",
    "cyrillic": r"[\u0400-\u04ff]+",
    "arabic": r"[\u0600-\u06ff]+",
    "greek": r"[\u0370-\u03ff]+",
    "hebrew": r"[\u0590-\u05ff]+",
    OTHER: r"[^\W\d_\u0000-\u06ff\u1e00-\u1fff\u3040-\u9fff\uac00-\ud7af\uff00-\uffef]+",
}
_WORD = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _SCRIPTS.items()))
_MARK = re.compile(r"[^\w\s'.-]|\n|_")

STOP_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "english": "a the and of to is are was were it that this you your i in for on with as be not have has can "
        "will from or an by at they we he she his her their my what how if do does which there would should about "
        "into it's i'm don't can't you're isn't some more than its when who most",
        "spanish": "a el los las del de que y en un una unos unas es son por para con no se su sus lo como más "
        "pero este esta esto muy también puedo puede está están ser hay le te me mi al o cuando donde porque desde "
        "hasta sin sobre ese eso siento tiene tengo qué cómo usted tu estoy esa así algo pregunta bien buen",
        "portuguese": "a o os as do da de dos das que e em um uma é são por para com não se seu sua seus como mais "
        "mas este esta isso isto muito também posso pode está estão ser há lhe ao à você no na nos nas quando "
        "porque até sem sobre pelo pela tem tenho eu sinto me dessas desse nessa às pode-se bem",
        "french": "le la les de des du que et en un une est sont par pour avec ne pas se son sa ses ce cette comme "
        "plus mais je vous nous il elle ils au aux dans qui sur être très aussi peux peut si où votre vos mon ma "
        "leur ou cela j'ai c'est n'est d'une d'un suis voici bien avant chose ces",
        "italian": "a la il lo gli i le del della dei delle che e in un una è sono per con non si suo sua come più "
        "ma questo questa molto anche posso può essere nel nella al alla di da ho ha mi ti ci quando perché sul "
        "dal mio tuo dell dall cosa dispiace sei ecco alle prima fare",
        "german": "darf keine über darüber der die das den dem des und in ein eine einen einem ist sind nicht ich "
        "sie es mit für auf von zu im auch als wie oder aber kann können wird werden bei nach aus an dass wenn nur "
        "noch sich du ihr ihnen mir dir haben hat tut leid leider dabei diese dieser dieses zum zur",
        "dutch": "het een van niet ik dat zijn voor met maar ook je wordt geen kan naar deze dit om te op aan bij "
        "en de uit als u wel hebt heeft worden mijn uw er nog kunt",
        "swedish": "och att det som en är på av för med inte jag den till har de om ett du kan vi från men så när "
        "eller också mycket din ditt hur vad skulle",
        "danish or norwegian": "og at det som en er på av af for med ikke jeg den til har de om et du kan vi fra "
        "men så når eller også meget mye din hvordan hva hvad skal",
        "polish": "i w na z się nie to jest że do jak po ale o od za dla przez czy są może tego jego ich być "
        "jestem mogę oraz lub które który przy tak",
        "turkish": "ve bir bu için ile da de çok ne daha gibi olarak var değil ama en ben sen o olan kadar sonra "
        "veya nasıl bunu size yardımcı",
        "vietnamese": "và là của có không được cho một các những với này trong tôi bạn thể để khi người đã về đến "
        "như nhiều cũng rất hoặc từ nếu",
        "indonesian or malay": "dan yang di untuk dengan tidak ini itu dari saya anda dapat bisa ke pada adalah "
        "akan atau juga kami karena lebih dalam oleh ada boleh seperti",
        "romanian": "și în nu este un o la cu de pe care că pentru mai sunt din ce să se sau dar poate acest "
        "această foarte când dacă îmi",
        "czech or slovak": "a je v na se že to s z do by jak pro ale o i k jsem jsou nebo také může není která "
        "který při když si som sú aby",
        "hungarian": "a az és nem hogy egy is van ez de meg csak mint már azt ha vagy lehet én nagyon kell ezt "
        "sajnálom után",
        "finnish": "ja on ei se että hän en oli kun mutta tai myös ovat voi ole minä sinä jos niin kuin tämä sen "
        "olla joka voit",
        "tagalog": "ang ng sa na mga ay at hindi ko ako ka ito para kung may isang ikaw po lang",
        "swahili": "na ya wa ni kwa katika la za hii kuwa si sana lakini au hiyo yako kama mimi wewe ili",
        "catalan": "el els les amb que i en un una és són per no es seu com més però aquest aquesta molt també puc "
        "pot del dels al ho hi ha sóc",
    }.items()
}
_LANGUAGES_OF: dict[str, list[str]] = {
    word: [language for language, stops in STOP_WORDS.items() if word in stops]
    for word in frozenset[str]().union(*STOP_WORDS.values())
}
_CYRILLIC_ELSEWHERE = re.compile("[іїєґўђјљњћџѓќѕәғқңөұүһөӣӯҳҷ]", re.IGNORECASE)
_RUSSIAN = re.compile(r"[ыэё]|\b(?:что|это|как|для|или|но|его|также|если|могу|можно|я|вы|не могу|нужно|есть|по)\b")
_BULGARIAN = re.compile(r"\b(?:е|са|ще|това|който|която|съм|че|със|във|от|се|може|мога|за да|много)\b")
_ARABIC_ELSEWHERE = re.compile("[\u067e\u0686\u0698\u06af\u06a9\u06cc\u0679\u0688\u0691\u06ba\u06d2\u06c1\u06be]")


def language_of(text: str) -> str:
    """The English name of the language that most of a text is in, in lower case; `OTHER` if no table has it."""
    start = text[:MAX_CHARACTERS].lower().replace("\u2019", "'")
    if start.isascii():
        return _latin_language([match[0] for match in _WORD.finditer(start)], start)
    words: list[str] = []
    counts: Counter[str] = Counter()
    for match in _WORD.finditer(start):
        script = match.lastgroup or OTHER
        counts[script] += 1
        if script == "latin":
            words.append(match[0])
    if not counts:
        return "english"
    if counts["japanese"] * 10 >= counts["chinese"]:  # Japanese is written with Chinese characters too
        counts["japanese"] += counts.pop("chinese", 0)
    script = counts.most_common(1)[0][0]
    if script == "latin":
        return _latin_language(words, start)
    if script == "cyrillic":
        return _cyrillic_language(start)
    if script == "arabic":
        return OTHER if _is_frequent(_ARABIC_ELSEWHERE, start) else "arabic"
    return script


def _latin_language(words: list[str], text: str) -> str:
    """The language with the most stop words among the words; English unless another one has clearly more."""
    counts = dict.fromkeys(STOP_WORDS, 0)
    for word in words:
        for language in _LANGUAGES_OF.get(word, ()):
            counts[language] += 1
    best = max(counts, key=lambda language: counts[language])
    least = MIN_STOP_WORDS_OF_SHORT if len(words) <= SHORT_WORDS else MIN_STOP_WORDS
    if counts[best] >= least and counts[best] > counts["english"]:
        return best
    if any(counts.values()) or len(words) < MIN_UNKNOWN_WORDS:
        return "english"
    return OTHER if len(_MARK.findall(text)) * MIN_WORDS_PER_MARK <= len(words) else "english"


def _cyrillic_language(text: str) -> str:
    if _is_frequent(_CYRILLIC_ELSEWHERE, text):
        return OTHER
    return "russian" if len(_RUSSIAN.findall(text)) >= len(_BULGARIAN.findall(text)) else "bulgarian"


def _is_frequent(letters: re.Pattern[str], text: str) -> bool:
    """Whether one character in 60 or more is one of these letters."""
    return len(letters.findall(text)) * 60 >= len(text)
