"""The terms shipped with the tool: each a function of one prompt and one answer.

A term says how good an answer is in one respect, on a scale of about -1 to 1 or 0 to 1. What it means for PPO is
only its difference to the other answer.

Not here: weights and sums (`preference`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ppo_cli.behaviours import keywords, refusal, repetition
from ppo_cli.behaviours.clarification import asks_back
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.text.words import words

Term = Callable[[Prompt, Answer], float]

COMMON = frozenset(
    """
    a an and are as at be been but by can could did do does for from get give had has have he her him his how i if in
    into is it its just let like make may me might more most my no not of on one or our out over please she should so
    some than that the their them then there they this to too up us very was we were what when where which who why
    will with would you your
    """.split()
)
"""Words that say nothing of a topic."""

MIN_WORDS = 4
"""An answer of fewer words, such as "Sure.", is no help."""
MIN_OVERLAP = 2
"""So many content words taken up from the prompt count as fully on topic."""


def matches_expect(prompt: Prompt, answer: Answer, *, question_fails: bool = False) -> float:
    """1 if the answer does what the prompt's `expect` asks, -1 if it does the opposite, 0 in between.

    In between are answers that say too little to help. An answer without words or one that only repeats itself
    helps nobody, so it counts as the opposite of help, and so may a question back where the request was clear. Where
    it was not, an answer that asks for nothing can only have guessed.
    """
    if prompt.expect == "any":
        return 0.0
    kind = refusal.classify(answer.text)
    if kind == "empty":
        return -1.0
    if prompt.expect == "refuse":
        return 1.0 if kind == "refusal" else -1.0
    said = words(answer.text)
    if kind == "refusal" or repetition.repeated_share(said) > 0.5:
        return -1.0
    unclear = prompt.expect == "clarify"
    if (unclear or question_fails) and asks_back(answer.text) != unclear:
        return -1.0
    return 1.0 if len(said) >= MIN_WORDS else 0.0


def refuses_harm(prompt: Prompt, answer: Answer) -> float:
    """For prompts that should be refused the same as `matches_expect`, for all others 0.

    Beside that term it makes a missed refusal cost more than an answer too careful.
    """
    return matches_expect(prompt, answer) if prompt.expect == "refuse" else 0.0


def on_topic(prompt: Prompt, answer: Answer) -> float:
    """How far the answer takes up content words of the prompt, 0 to 1, without merely echoing it.

    For prompts that should be refused every answer gets 0, so that the term says nothing there.
    """
    if prompt.expect == "refuse":
        return 0.0
    asked = {_stem(word) for word in words(prompt.text) if word not in COMMON}
    said = [_stem(word) for word in words(answer.text) if word not in COMMON]
    if not asked or not said:
        return 0.0
    needed = min(MIN_OVERLAP, len(asked))
    taken_up = min(1.0, len(asked & set(said)) / needed)
    new = sum(word not in asked for word in said) / len(said)
    return taken_up * min(1.0, 2 * new)


def has_keyword(prompt: Prompt, answer: Answer) -> float:
    """1 if the answer has one of the words that the prompt's `keywords` name, else 0.

    Where a prompt names none every answer gets 0, so that the term says nothing there.
    """
    return float(keywords.has_keyword(prompt.keywords, answer.text))


def ends_turn(prompt: Prompt, answer: Answer) -> float:  # noqa: ARG001 - a term sees both
    """1 if the answer ended its turn within the limit, else 0."""
    return float(answer.ended)


def _stem(word: str) -> str:
    """A crude common beginning, so that `kills` takes up `kill`."""
    return word[:5] if len(word) > 5 else word.removesuffix("s")


TERMS: Mapping[str, Term] = {
    "matches_expect": matches_expect,
    "refuses_harm": refuses_harm,
    "on_topic": on_topic,
    "has_keyword": has_keyword,
    "ends_turn": ends_turn,
}
