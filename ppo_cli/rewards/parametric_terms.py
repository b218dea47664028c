"""The shipped terms that a config gives parameters to: length, repetition, form, phrases.

Not here: terms without parameters (`terms`), the parameters' types and ranges (`experiment.term_kinds`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ppo_cli.behaviours.repetition import repeated_share as repeated_share
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.builtin_terms import Term, matches_expect, on_topic
from ppo_cli.text.words import words

_ITEM = re.compile(r"(?m)^\s{0,8}(?:[-*•+]|\d{1,3}[.)、])\s+\S")
MIN_ITEMS = 2


def length_band(values: Mapping[str, Any]) -> Term:
    """1 from `least` to `most`, falling linearly to 0 over `margin` outside."""
    least, most, margin, in_tokens = values["least"], values["most"], values["margin"], values["unit"] == "tokens"

    def term(_prompt: Prompt, answer: Answer) -> float:
        count = answer.token_count if in_tokens else len(words(answer.text))
        outside = max(least - count, count - most, 0)
        return max(0.0, 1.0 - outside / margin) if margin else float(outside == 0)

    return term


def on_topic_length(values: Mapping[str, Any]) -> Term:
    """The length band of an answer that is on topic; 0 for one that is not, however short it is."""
    band = length_band(values)
    return lambda prompt, answer: on_topic(prompt, answer) * band(prompt, answer)


def repetition(values: Mapping[str, Any]) -> Term:
    """Minus the share of repeated 4-grams, counted from what is tolerated."""
    tolerated: float = values["tolerated"]

    def term(_prompt: Prompt, answer: Answer) -> float:
        return -max(0.0, repeated_share(words(answer.text)) - tolerated) / (1.0 - tolerated)

    return term


def has_form(values: Mapping[str, Any]) -> Term:
    """1 if the answer has the form, else 0."""
    pattern = re.compile(values["pattern"]) if values["form"] == "regex" else None

    def term(_prompt: Prompt, answer: Answer) -> float:
        if pattern is not None:
            return float(pattern.search(answer.text) is not None)
        return float(_FORMS[values["form"]](answer.text))

    return term


def required_phrases(values: Mapping[str, Any]) -> Term:
    """The share of the phrases that the answer contains."""
    phrases = values["phrases"]
    return lambda _prompt, answer: sum(_contains(answer.text, phrase) for phrase in phrases) / len(phrases)


def forbidden_phrases(values: Mapping[str, Any]) -> Term:
    """-1 if the answer contains one of the phrases, else 0."""
    phrases = values["phrases"]
    return lambda _prompt, answer: -float(any(_contains(answer.text, phrase) for phrase in phrases))


def _contains(text: str, phrase: str) -> bool:
    """Whether the words of a phrase stand in a text one after the other; one without words must stand as it is."""
    wanted = words(phrase)
    if not wanted:
        return phrase in text
    said = words(text)
    return any(said[place : place + len(wanted)] == wanted for place in range(len(said) - len(wanted) + 1))


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

PARAMETRIC_TERMS: Mapping[str, Callable[[Mapping[str, Any]], Term]] = {
    "keeps_to_goal": lambda values: partial(matches_expect, question_fails=values["question"] == "fails"),
    "length_band": length_band,
    "answers_briefly": on_topic_length,
    "repetition": repetition,
    "format": has_form,
    "required_phrases": required_phrases,
    "forbidden_phrases": forbidden_phrases,
}
