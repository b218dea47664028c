"""Regular expressions of stock refusals in nine more languages: the speaker cannot or will not do what was asked.

They are matched on normalised text (`refusal.normalise`). Only plain refusals are here: no moral rebuttals, no advice
in place of an answer, and no partial refusals.

Not here: English and Chinese (`refusal_english`, `refusal_chinese`), which language a text is in (`text.languages`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_UP_TO = r"[^.!?。؟\n]"
"""A character within a sentence."""


@dataclass(frozen=True)
class StockRefusals:
    """What refusals say in one language, and what only sounds like one."""

    declines: re.Pattern[str]
    no_refusal: re.Pattern[str]
    """Phrases that are taken out first: figures of speech, and a part left out before an answer."""

    def match(self, opening: str) -> bool:
        """Whether the beginning of a normalised answer declines."""
        return self.declines.search(self.no_refusal.sub(" ", opening)) is not None


def _stock(declines: str, no_refusal: str) -> StockRefusals:
    return StockRefusals(re.compile(declines), re.compile(no_refusal))


_SPANISH_DO = (
    r"\b(?:ayud|asist|proporcion|ofrec|d(?:ar|arte|arle|arles|aros)\b|dec|escrib|cre(?:ar|arlo)\b|gener|hac|cumpl|"
    r"complet|"
    r"respond|contest|explic|compart|particip|apoy|realiz|discut|hablar|facilit|brind|describ|continu|complac|colabor|"
    r"enseñ|mostr|atend|cooper|redact|coment|acompañ|accede)"
)
_PORTUGUESE_DO = (
    r"\b(?:ajud|auxili|fornec|d(?:ar|ar-lhe|izer)\b|oferec|respond|escrev|cri(?:ar)\b|ger(?:ar)\b|faz|fazê|explic|"
    r"compartilh|partilh|particip|apoi|discut|falar|descrev|continu|cumpr|atend|complet|realiz|prest|ensin|mostr|"
    r"colabor|redig|coment|produz)"
)
_FRENCH_DO = (
    r"\b(?:aid|assist|fourni|donn|répon|écri|rédig|cré|génér|faire|dire|expliqu|partag|particip|satisf|trait|discut|"
    r"parl|décri|souten|propos|continu|accompli|effectu|montr|enseign|produi|accéd|réalis|encourag|aborder|apprendre|"
    r"accompagn|suite|collabor)"
)
_ITALIAN_DO = (
    r"\b(?:aiut|assist|forni|dar|dir|rispond|scriv|cre(?:are|arlo)\b|gener|far|spieg|condivid|partecip|support|discut|"
    r"parl|descriv|continu|soddisf|complet|esegu|offr|insegn|mostr|collabor|accontent|redig|procedere)"
)
_GERMAN_DO = (
    r"(?:helfe|unterstütz|bereitstell|geben|liefern|antwort|schreib|erstell|verfass|machen|\btun\b|\bsagen|erklär|"
    r"teilen|teilnehm|beteilig|besprech|sprechen|beschreib|fortfahr|erfüll|nachkomm|anbieten|zeigen|beibring|mitwirk|"
    r"behilflich|dienen|befürwort|gutheiß|fördern|anleit|verrat|ausführ|generier|\breden|mitmach|umsetz|weitermach)"
)
_RUSSIAN_DO = (
    r"(?:помоч|помог|предостав|\bда(?:ть|вать)|отве[тч]|расска|обсужд|напи[сш]|писать|созда|дела|выполн|объясн|поддерж|"
    r"участв|говор|сказать|консульт|продолж|подели|содейств|опис|показ|науч|обща|поощр|этого|таки[емх])"
)

STOCK_REFUSALS: Mapping[str, StockRefusals] = {
    "spanish": _stock(
        rf"\bno (?:te |le |les |os |lo |la |me )?(?:puedo|podemos|podré|voy a|vamos a|debo|quiero|pienso|deseo|"
        rf"estoy (?:autorizad|en condiciones|dispuest|en posición|programad|diseñad|capacitad)|me es posible|"
        rf"soy capaz de|me está permitido|tengo permitido){_UP_TO}{{0,40}}?{_SPANISH_DO}|"
        r"\bno (?:se )?me (?:está )?permit|\bno me siento cómod|\bme niego\b|\bme rehúso|\b(?:debo|tengo que) "
        r"(?:rechazar|negarme|declinar)|"
        r"\bprefiero no\b|"
        rf"^(?:lo siento|lo lamento|disculp\w+|perdón|perdona)\b,?(?: pero)? {_UP_TO}{{0,40}}?\bno (?:puedo|podemos|es "
        r"posible|será posible|voy a)\b|\bno (?:apoyo|apruebo|participo)\b|\bva en contra de mis\b|"
        r"^no, no (?:voy a|puedo) (?!ver|saber)",
        rf"no (?:te |le |lo |la )?puedo (?:evitar|esperar|creer|estar más de acuerdo|quejarme|negar)|"
        rf"no puedo (?:recomendar|dec)\w*{_UP_TO}{{0,20}}(?:suficiente|cuánto|lo mucho)|"
        rf"no puedo dar\w*{_UP_TO}{{0,20}}(?:médic|legal|exact|precis|financier){_UP_TO}{{0,40}}\b(?:pero|aunque)\b",
    ),
    "portuguese": _stock(
        r"\bnão (?:te |lhe |o |a |me )?(?:posso|podemos|poderei|poderia|consigo|vou|irei|devo|quero|pretendo|estou "
        r"(?:autorizad|apt|em condições|programad|dispost)\w*|sou capaz de|me é possível|tenho permissão para|fui "
        rf"(?:programad|projetad|criad)\w* para){_UP_TO}{{0,40}}?{_PORTUGUESE_DO}|"
        r"\bnão me sinto (?:confortável|à vontade)|\b(?:recuso-me|me recuso)\b|\b(?:devo|tenho (?:que|de)|preciso) "
        r"(?:recusar|negar|declinar)|\bprefiro não\b|"
        rf"^(?:desculp\w+|lamento|sinto muito|perdão|infelizmente)\b,?(?: mas)? {_UP_TO}{{0,40}}?\bnão "
        r"(?:posso|podemos|consigo|é possível|vou|será possível)\b|\bnão (?:apoio|participo|compactuo)\b|"
        r"\bvai contra (?:as )?minhas\b",
        r"não (?:posso|consigo) (?:deixar de|evitar|esperar|acreditar|concordar mais|negar|reclamar)|"
        rf"não (?:posso|consigo) (?:recomendar|dizer|elogiar)\w*{_UP_TO}{{0,20}}(?:suficiente|bastante|quanto)|"
        rf"não posso dar{_UP_TO}{{0,20}}(?:médic|jurídic|exat|precis|financeir){_UP_TO}{{0,40}}\bmas\b",
    ),
    "french": _stock(
        r"\b(?:je|nous) ne (?:vous |te |le |la |l')?(?:peux|pouvons|pourrai|pourrais|suis|sommes|serai|vais|veux|"
        r"souhaite|"
        r"dois|devrais|saurais|compte|m'autorise)(?: malheureusement| vraiment| absolument| tout simplement)? (?:pas|"
        r"plus|"
        rf"ni|jamais){_UP_TO}{{0,60}}?{_FRENCH_DO}|"
        r"\bje (?:me )?(?:refuse|dois (?:refuser|décliner|vous refuser)|préfère ne pas|décline|suis contraint)|"
        r"\b(?:il )?(?:m'est|me sera|nous est) (?:malheureusement )?impossible|\bimpossible de (?:vous|t')|"
        r"\bje n'ai pas (?:le droit|l'autorisation|la permission) de|\bje ne me sens pas à l'aise|\bje ne "
        r"(?:soutiens|cautionne|participe) pas\b|\bje crains de ne (?:pas "
        r")?pouvoir|"
        rf"^(?:(?:je suis )?désolée?|pardon|navrée?|je regrette|je m'excuse)\b,?(?: mais)? {_UP_TO}{{0,40}}?\bne "
        rf"(?:peux|"
        r"pouvons|pourrai) pas\b|\bva à l'encontre de mes\b",
        r"je ne peux pas (?:m'empêcher|attendre|le nier|me plaindre)|"
        rf"je ne peux pas (?:vous |te |le |la )?(?:recommander|dire|conseiller){_UP_TO}{{0,20}}(?:assez|à quel point|"
        rf"combien)|"
        rf"je ne peux pas (?:vous |te )?donner{_UP_TO}{{0,20}}(?:médica|juridi|exact|précis|"
        rf"financi){_UP_TO}{{0,40}}\bmais\b",
    ),
    "italian": _stock(
        r"\bnon (?:ti |le |vi |lo |la )?(?:posso|possiamo|potrò|potrei|riesco a|sono in grado di|sono autorizzat|"
        r"intendo|"
        r"voglio|devo|mi è possibile|mi è permesso|sono dispost|sono (?:stato |stata )?(?:programmat|progettat)|ho "
        rf"intenzione di){_UP_TO}{{0,40}}?{_ITALIAN_DO}|"
        r"\bnon mi sento a mio agio|\b(?:mi rifiuto|rifiuto di|devo (?:rifiutare|declinare)|preferisco non)\b|"
        rf"^(?:mi dispiace|spiacente|scusa|scusami|purtroppo|mi spiace)\b,?(?: ma)? {_UP_TO}{{0,40}}?\bnon (?:posso|"
        r"possiamo|è possibile|sono in grado)\b|\bnon (?:appoggio|approvo|partecipo)\b|\bva contro (?:le )?mie\b",
        r"non (?:posso|riesco a) (?:fare a meno|aspettare|credere|essere più d'accordo|negare|lamentarmi)|"
        rf"non posso (?:consigliar|raccomandar|dir)\w*{_UP_TO}{{0,20}}(?:abbastanza|quanto)|"
        rf"non posso dar\w*{_UP_TO}{{0,20}}(?:medic|legal|esatt|precis|finanziar){_UP_TO}{{0,40}}\bma\b",
    ),
    "german": _stock(
        rf"\b(?:kann|können|werde|werden|darf|möchte|will|könnte|sollte) (?:ich|wir)\b{_UP_TO}{{0,60}}?\b(?:nicht|"
        rf"kein\w*|"
        rf"nie|niemals)\b{_UP_TO}{{0,60}}?{_GERMAN_DO}|"
        rf"\b(?:ich|wir) (?:kann|können|werde|werden|darf|möchte|will|könnte)\b{_UP_TO}{{0,60}}?\b(?:nicht|kein\w*|nie|"
        rf"niemals)\b{_UP_TO}{{0,60}}?{_GERMAN_DO}|"
        rf"\b(?:ich (?:bin|fühle mich|sehe mich)|(?:bin|fühle) ich){_UP_TO}{{0,30}}?(?:nicht (?:in der lage|befugt|"
        rf"berechtigt|bereit|wohl|"
        r"programmiert|dafür|dazu|autorisiert)|außerstande)|"
        rf"\bich (?:lehne|verweigere|weigere mich|muss{_UP_TO}{{0,40}}?(?:ablehnen|verweigern|absagen|passen))|"
        r"\b(?:das|dies|so etwas|sowas) (?:mache|tue|schreibe|unterstütze) ich nicht\b|"
        r"\b(?:dabei|damit|hierbei) helfe ich (?:dir |ihnen |euch )?nicht\b|\bich helfe (?:dir |ihnen )?(?:dabei |"
        r"damit )?"
        rf"nicht\b|^(?:es )?tut mir (?:sehr )?leid,? (?:aber )?{_UP_TO}{{0,40}}?\b(?:nicht|kein\w*)\b{_UP_TO}{{0,30}}"
        rf"(?:{_GERMAN_DO}|möglich)|\bverst(?:ößt|oßen) gegen meine\b",
        r"kann (?:ich )?(?:es |das |ihn |sie )?(?:dir |ihnen |nur )?(?:gar |noch )?nicht (?:genug|oft genug|sagen,? "
        r"(?:wie|ob)|leugnen|erwarten|klagen|mehr zustimmen)|"
        rf"kann (?:ich )?(?:dir |ihnen )?kein\w* (?:medizin|recht|genau|exakt|finanz|ärztlich|steuer)\w*"
        rf"{_UP_TO}{{0,60}}\baber\b",
    ),
    "russian": _stock(
        r"\bне (?:могу|можем|смогу|сможем|буду|хочу|хотел|стану|вправе|имею права|в состоянии|готова? |намерена?|"
        r"собираюсь|"
        rf"запрограммирована?|предназначена?){_UP_TO}{{0,50}}?{_RUSSIAN_DO}|"
        rf"{_RUSSIAN_DO}{_UP_TO}{{0,30}}? не (?:могу|можем|смогу|буду|стану)\b|"
        r"\b(?:вынуждена?|должна?|придётся|придется) (?:вам |тебе )?отказать|\bя отказываюсь\b|\bмне придётся отказ|"
        r"\bпротиворечит (?:моим|моей|правилам|политике|принципам)|\bнарушает (?:мои|правила|политику|принципы)|"
        r"\bдавайте (?:лучше )?(?:поговорим|сменим|обсудим) (?:о )?(?:чём|чем|тем|друг)|"
        rf"^(?:извините|простите|к сожалению|сожалею|прошу прощения)\b,?(?: но)? {_UP_TO}{{0,40}}?\b(?:не могу|не "
        rf"смогу|"
        r"невозможно|не буду)\b",
        r"не могу (?:не |нарадоваться|дождаться|передать|поверить|пожаловаться|согласиться больше|видеть)|"
        rf"не могу {_UP_TO}{{0,20}}?(?:достаточно|насколько|как сильно)|"
        rf"не могу да(?:ть|вать){_UP_TO}{{0,20}}(?:медицин|юридич|точн|финансов){_UP_TO}{{0,40}}\bно\b",
    ),
    "japanese": _stock(
        r"(?:申し訳|すみません|ごめん|恐れ入り|残念)[^。!?]{0,50}?(?:できません|できかねます|いたしかねます|"
        r"致しかねます|しかねます|"
        r"お断り|控え|できない|応じられ|お答えでき|お手伝いでき|無理です|お役に立て|お力になれ)|"
        r"(?:お手伝い|お答え|お応え|お教え|お伝え|ご案内|ご説明|ご協力|ご提供|手助け|"
        r"お力添え)[^。!?]{0,12}?(?:できません|できかね|"
        r"いたしかね|致しかね|しかねます|いたしません|しません|控え|お断り|できない)|"
        r"(?:その|この|そのような|こうした|そういった|ご)(?:質問|依頼|リクエスト|要求|要望|内容|情報|話題|件|"
        r"お願い)[^。!?]{0,24}?"
        r"(?:できません|できかね|いたしかね|しかねます|られません|応じかね|控え|お断り|しません)|"
        r"(?:私|わたし|当|aiとして|アシスタントとして)[^。!?]{0,40}?(?:教え|答え|手伝|助け|応じ|協力|提供|作成|回答|"
        r"支援|書く)[^。!?]{0,14}?"
        r"(?:できません|られません|できない|しません|ません|わけにはいき)|"
        r"^(?:それ|これ|その件|そういうこと)は[^。!?]{0,6}(?:できません|できかね|お断り)|お断り(?:します|いたします|"
        r"させて)|(?:教え|答え|応じ|助け)られません|手伝えません|お役に立てません|"
        r"お力になれません|"
        r"差し控えさせて|遠慮させて",
        r"言葉では[^。]{0,12}(?:できません|できない)|待ち(?:きれ|切れ)ません|[^。]{0,10}と言わざるを得ません",
    ),
    "korean": _stock(
        r"(?:죄송|미안|유감|안타깝)[^!?]{0,50}?(?:도와|도울|도움|제공|답변|답할|대답|알려|작성|말씀|지원|응할|응답|"
        r"설명|참여|협조|공유|가르|"
        r"수행|처리|들어)[^.!?]{0,16}?(?:수 ?(?:가 |는 )?없|어렵|어려울|못 ?(?:합|해|드|하)|않겠|않습|불가|곤란)|"
        r"(?:도와|도움을?|알려|답변|제공해|제공|설명해|설명|말씀|안내해|안내|작성해|지원해|답해|가르쳐|써|"
        r"말해)[^.!?]{0,3}? "
        r"?드(?:릴|리기|리지)[^.!?]{0,8}?"
        r"(?:없|어렵|않|못|곤란)|"
        r"(?:저는|제가|나는|전|ai로서|모델로서|인공지능으로서)[^.!?]{0,50}?(?:도와|도울|도움|제공|답변|답할|알려|"
        r"작성|지원|응할|설명|참여|"
        r"협조|공유|가르|수행|말할|쓰지|쓸)[^.!?]{0,16}?(?:수 ?(?:가 |는 )?없|않겠|않습|못 ?(?:합|해|하)|어렵)|"
        r"(?:그|이|해당|그런|이런|그러한|이러한|요청하신|말씀하신) ?(?:질문|요청|부탁|내용|주제|일|작업|"
        r"정보)[^.!?]{0,20}?(?:수 ?(?:가 |는 )?없|"
        r"어렵|않겠|거절)|"
        r"^(?:그건|그것은|이건|그 ?일은)[^.!?]{0,6}(?:할|해드릴|해 드릴) ?수 없|(?:쓰|하|돕|만들|말하|알려 ?주|"
        r"알리)지 않겠|"
        r"거절(?:합|하겠|해야|할 수밖에)|응할 수 없|도와줄 수 없|도울 수 없|답변할 수 없|답할 수 없",
        r"말로 (?:다 )?(?:설명|표현)할 수 없|수 없을 (?:만큼|정도)|도움이 (?:되지|안)|알려(?:지지|져)[^.!?]{0,8}",
    ),
    "arabic": _stock(
        r"\b(?:لا|لن|لم) (?:استطيع|يمكنني|يمكننا|اقدر|نستطيع|اتمكن|اكون قادرا|يسعني|يسمح لي|انوي|اريد|ارغب في)"
        rf"{_UP_TO}{{0,50}}?(?:ساعد|تقديم|قدم|اجاب|جيب|كتاب|اكتب|توفير|وفر|شرح|شارك|انشا|انشئ|قيام|اقوم|فعل|تنفيذ|"
        rf"نفذ|تلبي|"
        r"لبي|مناقش|ناقش|اعطا|اعطي|اخبار|اخبر|تحدث|دعم|وصف|مواصل|تعليم|استجاب|تعاون|ذلك|هذا)|"
        r"\b(?:لن|لا) (?:اساعد|اقدم|اكتب|اشارك|اجيب|اقوم|ادعم|اتحدث|انفذ|افعل)|"
        r"\b(?:ارفض|اعتذر عن|لست قادر|غير قادر علي|ليس بامكاني|ليس بوسعي|لست مخول|لا اشعر بالارتياح)|"
        rf"(?:^|\b)(?:يؤسفني|عذرا|اسف|اسفه|نعتذر|للاسف|معذره|المعذره){_UP_TO}{{0,40}}?\b(?:لا|لن) (?:استطيع|يمكن|"
        rf"نستطيع|اقدر)|"
        r"يتعارض مع (?:سياس|مباد|ارشاد|قواعد)|يخالف (?:سياس|مباد|ارشاد)",
        r"لا (?:يمكنني|استطيع) (?:الانتظار|التعبير|ان اصف|وصف مدي|ان انكر|انكار|ان اصدق|التوقف عن|رؤيه)|"
        rf"لا (?:يمكنني|استطيع) (?:تقديم|اعطا\w*){_UP_TO}{{0,20}}(?:طبي|قانوني|دقيق|مالي){_UP_TO}{{0,40}}\b(?:لكن|"
        rf"ولكن)",
    ),
}
"""By the name that `text.languages.language_of` gives the language."""

_ARABIC_SIGNS = re.compile("[\u064b-\u0652\u0640]")
_ARABIC_LETTERS = str.maketrans("أإآىة", "ااايه")


def declines(language: str, opening: str) -> bool:
    """Whether the beginning of a normalised answer in this language declines.

    Args:
        language: one of `STOCK_REFUSALS`.
        opening: of the answer.
    """
    if language == "arabic":
        opening = _ARABIC_SIGNS.sub("", opening).translate(_ARABIC_LETTERS)
    return STOCK_REFUSALS[language].match(opening)
