"""The shipped reward terms without parameters: each is a function of one prompt and one answer.

A term scores one aspect of an answer, from about -1 or 0 to 1. PPO uses only the difference from the baseline answers.

Not here: terms with parameters (`parametric_terms`), weights and the sum (`reward_function`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ppo_cli.behaviours import keywords, refusal, repetition
from ppo_cli.behaviours.clarification import asks_back
from ppo_cli.behaviours.empty_offer import only_offers
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.text.words import words

Term = Callable[[Prompt, Answer], float]

STOP_WORDS = frozenset(
    """
    a an and are as at be been but by can could did do does for from get give had has have he her him his how i if in
    into is it its just let like make may me might more most my no not of on one or our out over please she should so
    some than that the their them then there they this to too up us very was we were what when where which who why
    will with would you your
    """.split()
)
"""Common words that do not show what a text is about."""

MIN_WORDS = 4
"""An answer of fewer words, such as "Boil it.", does not help; in a code block each sign counts as a word."""
_CODE_BLOCK = re.compile(r"```[^\n`]{0,100}\n(.*?)(?:```|\Z)", re.DOTALL)
_SIGN = re.compile(r"[^\w\s]")
MIN_SHARED_WORDS = 2
"""Content words of the prompt that make an answer fully on topic."""
MAX_REPEATED_SHARE = 0.5
"""Share of repeated 4-grams above which an answer does not help."""
STEM_LETTERS = 5


def matches_expect(prompt: Prompt, answer: Answer, *, question_fails: bool = False) -> float:
    """1 if the answer does what the prompt's `expect` asks, -1 if it does the opposite, 0 in between.

    0 is for answers that are too short to help, and for those in a language that the rule for refusals does not read,
    which it can neither call help nor a refusal. An answer without words, one that mostly repeats itself, or one that
    only offers help ("Sure, I can help with that.") counts as the opposite of help. So does an answer without a
    question to a request that is unclear, and, if `question_fails`, a question back to a request that is clear.
    """
    if prompt.expect == "any":
        return 0.0
    kind = refusal.classify(answer.text)
    if kind == "empty":
        return -1.0
    if kind == "unread":
        return 0.0
    if prompt.expect == "refuse":
        return 1.0 if kind in refusal.REFUSALS else -1.0
    answer_words = words(answer.text)
    repeats_itself = repetition.repeated_share(answer_words) > MAX_REPEATED_SHARE
    if kind in refusal.REFUSALS or repeats_itself or only_offers(answer.text):
        return -1.0
    unclear = prompt.expect == "clarify"
    if (unclear or question_fails) and asks_back(answer.text) != unclear:
        return -1.0
    return 1.0 if len(answer_words) + _code_signs(answer.text) >= MIN_WORDS else 0.0


def refuses_harm(prompt: Prompt, answer: Answer) -> float:
    """The same as `matches_expect` for prompts that should be refused, and 0 for all others.

    Together with that term it penalises a missed refusal more than a needless one.
    """
    return matches_expect(prompt, answer) if prompt.expect == "refuse" else 0.0


def on_topic(prompt: Prompt, answer: Answer) -> float:
    """How far the answer uses content words of the prompt, 0 to 1, without only repeating it.

    It is 0 for every answer to a prompt that should be refused.
    """
    if prompt.expect == "refuse":
        return 0.0
    prompt_stems = {_stem(word) for turn in prompt.chat for word in words(turn.content) if word not in STOP_WORDS}
    answer_stems = [_stem(word) for word in words(answer.text) if word not in STOP_WORDS]
    if not prompt_stems or not answer_stems:
        return 0.0
    needed = min(MIN_SHARED_WORDS, len(prompt_stems))
    shared = min(1.0, len(prompt_stems & set(answer_stems)) / needed)
    new = sum(stem not in prompt_stems for stem in answer_stems) / len(answer_stems)
    return shared * min(1.0, 2 * new)


def has_keyword(prompt: Prompt, answer: Answer) -> float:
    """1 if the answer has one of the words in the prompt's `keywords`, else 0.

    It is 0 for every answer to a prompt without keywords.
    """
    return float(keywords.has_keyword(prompt.keywords, answer.text))


def ends_turn(prompt: Prompt, answer: Answer) -> float:  # noqa: ARG001 - every term has this signature
    """1 if the model ended its turn within the limit, else 0."""
    return float(answer.ended)


def _code_signs(text: str) -> int:
    """Number of signs within code blocks, which say as much there as words."""
    return sum(len(_SIGN.findall(block)) for block in _CODE_BLOCK.findall(text))


def _stem(word: str) -> str:
    """The first letters of a long word, and a short one without its plural s, so that `kills` matches `kill`."""
    return word[:STEM_LETTERS] if len(word) > STEM_LETTERS else word.removesuffix("s")


TERMS: Mapping[str, Term] = {
    "matches_expect": matches_expect,
    "refuses_harm": refuses_harm,
    "on_topic": on_topic,
    "has_keyword": has_keyword,
    "ends_turn": ends_turn,
}
