"""The shipped reward terms with parameters: length, repetition, form, phrases.

Not here: terms without parameters (`builtin_terms`), the parameters' types and ranges (`experiment.term_types`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ppo_cli.behaviours.repetition import repeated_share
from ppo_cli.experiment.term_types import (
    ForbiddenPhrases,
    Format,
    LengthBand,
    OnTopicLength,
    Repetition,
    RequiredPhrases,
)
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.builtin_terms import Term, matches_expect, on_topic
from ppo_cli.rewards.pattern_search import is_found
from ppo_cli.text.lists import LIST_MARKER
from ppo_cli.text.words import words

_ITEM = re.compile(rf"(?m)^\s{{0,8}}{LIST_MARKER}\s+\S")
MIN_ITEMS = 2
"""Items that make a list."""


def length_band(settings: LengthBand | OnTopicLength) -> Term:
    """1 from `min` to `max`, falling linearly to 0 over `margin` outside."""
    shortest, longest, margin, in_tokens = settings.min, settings.max, settings.margin, settings.unit == "tokens"

    def term(_prompt: Prompt, answer: Answer) -> float:
        count = answer.answer_tokens if in_tokens else len(words(answer.text))
        outside = max(shortest - count, count - longest, 0)
        return max(0.0, 1.0 - outside / margin) if margin else float(outside == 0)

    return term


def on_topic_length(settings: OnTopicLength) -> Term:
    """The length band times `on_topic`: 0 for an answer off topic, however short it is."""
    band = length_band(settings)
    return lambda prompt, answer: on_topic(prompt, answer) * band(prompt, answer)


def repetition(settings: Repetition) -> Term:
    """Minus the share of repeated 4-grams above the tolerated share, rescaled to -1 to 0."""
    tolerated = settings.tolerated

    def term(_prompt: Prompt, answer: Answer) -> float:
        return -max(0.0, repeated_share(words(answer.text)) - tolerated) / (1.0 - tolerated)

    return term


def has_form(settings: Format) -> Term:
    """1 if the answer has the form, else 0."""
    pattern = re.compile(settings.pattern) if settings.pattern is not None else None

    def term(_prompt: Prompt, answer: Answer) -> float:
        if pattern is not None:
            return float(is_found(pattern, answer.text))
        return float(_FORMS[settings.form](answer.text))

    return term


def required_phrases(settings: RequiredPhrases) -> Term:
    """The share of the phrases that the answer contains."""
    phrases = settings.phrases
    return lambda _prompt, answer: sum(_contains(answer.text, phrase) for phrase in phrases) / len(phrases)


def forbidden_phrases(settings: ForbiddenPhrases) -> Term:
    """-1 if the answer contains one of the phrases, else 0."""
    phrases = settings.phrases
    return lambda _prompt, answer: -float(any(_contains(answer.text, phrase) for phrase in phrases))


def _contains(text: str, phrase: str) -> bool:
    """Whether a text has the words of a phrase in sequence; a phrase without words must occur literally."""
    phrase_words = words(phrase)
    if not phrase_words:
        return phrase in text
    text_words, length = words(text), len(phrase_words)
    return any(text_words[start : start + length] == phrase_words for start in range(len(text_words) - length + 1))


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


_FORMS: Mapping[str, Callable[[str], bool]] = {
    "json": _is_json,
    "list": lambda text: len(_ITEM.findall(text)) >= MIN_ITEMS,
    "question": lambda text: text.rstrip().endswith(("?", "？")),
}

PARAMETRIC_TERMS: Mapping[str, Callable[[Any], Term]] = {
    "matches_expect": lambda term: partial(matches_expect, question_fails=term.clarifying_question == "penalised"),
    "length_band": length_band,
    "on_topic_length": on_topic_length,
    "repetition": repetition,
    "format": has_form,
    "required_phrases": required_phrases,
    "forbidden_phrases": forbidden_phrases,
}
"""By type of reward, what makes a term of the config a function that scores."""
