"""Is it an SFT model? Told by how it answers, never by its name.

Thresholds lie between what instruct and other models did (docs/sft-check.md).

Not here: sampling, the reward.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ppo_cli.behaviours import refusal, repetition
from ppo_cli.preflight.check_lines import condition_check, share_check
from ppo_cli.records.answers import PromptAnswers
from ppo_cli.records.checks import Check
from ppo_cli.rewards.builtin_terms import COMMON
from ppo_cli.text.words import words

STEM = 5
"""Letters of a word that have to agree for it to be taken up."""
MIN_END_PROBABILITY = 1e-3
"""Chance to end a whole answer, geometric mean over the shipped questions. Measured: 2.1e-2 for the built-in model,
9e-1 after its warm start; 3.6e-6 with untrained turn tokens, as a base model has them, 1.6e-6 after text was learnt
besides, 1.4e-4 with noise on every weight."""
MIN_END_RATIO = 20
"""Times as often as in the middle of one. Measured: a million times, 14 times with noise on every weight."""
MIN_ANSWERS = 12
"""Answers that help, needed to say whether they keep to their prompt."""
_ROLE = re.compile(
    r"(?im)^[\s#*<|\[]{0,6}(?:user|human|assistant|system|instruction|prompter)\b[\s*>|\]]{0,6}(?:[:：]|$)"
    r"|<\|[a-z_]{2,20}\|>|\[/?INST\]"
)


@dataclass(frozen=True)
class ObservedAnswers:
    """What was seen of a start model without any reward."""

    trial: PromptAnswers
    raw: tuple[tuple[str, ...], ...]
    """The same answers with their special tokens written out, but for the one that ended them."""
    ends: tuple[tuple[float, float], ...]
    """Chances to end a turn after a whole answer, and after half of it."""
    limit: int
    """Longest answer, in tokens."""


def instruct_checks(observed: ObservedAnswers, opening: str, *, ended: float) -> list[Check]:
    """All lines.

    Args:
        observed: what was seen.
        opening: what the chat template writes before a user's words.
        ended: share of answers that should end within the limit.
    """
    answers = [answer for row in observed.trial.answers for answer in row]
    raws = [raw for row in observed.raw for raw in row]
    empty = [refusal.classify(answer.text) == "empty" for answer in answers]
    loops = [repetition.repeated_share(words(answer.text)) > repetition.RUNAWAY_SHARE for answer in answers]
    roles = [has_role_markers(raw, opening) for raw in raws]
    go_on = [continues_prompt(prompt.text, answer.text) for prompt, row in observed.trial.rows() for answer in row]
    return [
        _end_of_turn_check(observed.ends),
        share_check(
            f"answers end within {observed.limit} tokens",
            _mean([answer.ended for answer in answers]),
            warn_below=ended,
            stop_below=0.0,
            reason="a cut answer is judged on its beginning only",
            next_step="Raise rollout.max_new_tokens, add a term `ended`, or warm-start on short answers.",
        ),
        share_check(
            "answers are not empty",
            1 - _mean(empty),
            warn_below=0.98,
            stop_below=0.9,
            reason="PPO would amplify silence",
            next_step="Use another start model, or warm-start it.",
        ),
        share_check(
            "no runaway repetition",
            1 - _mean(loops),
            warn_below=0.95,
            stop_below=0.8,
            reason="PPO amplifies loops",
            next_step="Lower rollout.temperature, or use another start model.",
        ),
        share_check(
            "no role markers",
            1 - _mean(roles),
            warn_below=0.98,
            stop_below=0.9,
            reason="a model that writes the user's turns was not tuned to answer one",
            next_step="Use an instruct model, or warm-start it.",
        ),
        share_check(
            "answers, and does not go on with the question",
            1 - _mean(go_on),
            warn_below=0.95,
            stop_below=0.75,
            reason="a model that continues text continues the question",
            next_step="Use an instruct model, or warm-start it.",
        ),
        *_topic_check(observed.trial),
    ]


def has_role_markers(raw: str, opening: str) -> bool:
    """Whether an answer holds a marker of a turn."""
    marker = opening.strip()
    return bool(_ROLE.search(raw)) or (len(marker) >= 3 and marker in raw)


def continues_prompt(prompt: str, answer: str) -> bool:
    """Whether an answer reads as the rest of the question: it begins in the middle of a sentence, or asks it again."""
    text = answer.strip()
    if not text:
        return False
    if text[0] in ",;.:?!)]，。；：？！）" or (text[0].islower() and text[0].isascii() and not prompt[:1].islower()):
        return True
    asked, said = words(prompt), words(text)
    return len(asked) >= 4 and said[: len(asked)] == asked


def topic_match(trial: PromptAnswers) -> tuple[float, int] | None:
    """How often an answer takes up more words of its own prompt than of another; ties count half.

    Each answer that helps is held against every other prompt of the trial.

    Returns:
        The share, and the number of answers; None where hardly any answer helps.
    """
    asked = [content_words(prompt.text) for prompt in trial.prompts]
    won, count = 0.0, 0
    for place, row in enumerate(trial.answers):
        for answer in row:
            if refusal.classify(answer.text) != "none":
                continue
            said = content_words(answer.text)
            own = _shared_share(asked[place], said)
            others = np.array([_shared_share(other, said) for spot, other in enumerate(asked) if spot != place])
            won += float(np.mean(others < own) + 0.5 * np.mean(others == own))
            count += 1
    return (won / count, count) if count >= MIN_ANSWERS and len(asked) > 1 else None


def sample_similarity(trial: PromptAnswers) -> float | None:
    """How often two answers to one prompt share more words than answers to two prompts; ties count half.

    None where hardly any answer helps.
    """
    rows = [
        [content_words(answer.text) for answer in row if refusal.classify(answer.text) == "none"]
        for row in trial.answers
    ]
    several = [row for row in rows if len(row) > 1]
    if sum(map(len, several)) < MIN_ANSWERS or len(several) < 2:
        return None
    won, count = 0.0, 0
    for place, row in enumerate(several):
        own = _jaccard(row[0], row[1])
        others = np.array([_jaccard(row[0], other[1]) for spot, other in enumerate(several) if spot != place])
        won += float(np.mean(others < own) + 0.5 * np.mean(others == own))
        count += 1
    return won / count


def content_words(text: str) -> frozenset[str]:
    """Beginnings of the words that say something of a topic."""
    return frozenset(word[:STEM] for word in words(text) if word not in COMMON)


def _shared_share(asked: frozenset[str], said: frozenset[str]) -> float:
    return len(asked & said) / len(asked) if asked else 0.0


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    both = one | other
    return len(one & other) / len(both) if both else 0.0


def _end_of_turn_check(ends: Sequence[tuple[float, float]]) -> Check:
    after, within = (float(np.exp(np.mean(np.log(np.maximum(chances, 1e-12))))) for chances in zip(*ends, strict=True))
    return condition_check(
        "knows when an answer has ended",
        after >= MIN_END_PROBABILITY and after >= MIN_END_RATIO * within,
        f"ends a whole answer with a chance of {100 * after:.2g}%, half of one with {100 * within:.2g}%",
        f"{100 * MIN_END_PROBABILITY:g}% or more, {MIN_END_RATIO} times as often as in the middle",
        "a model that never saw the end-of-turn token in use cannot learn it by chance",
        "Use an instruct model, or give it a warm start (model.warm_start).",
    )


def _topic_check(trial: PromptAnswers) -> list[Check]:
    found = topic_match(trial)
    if found is None:
        return []
    on_topic, count = found
    checks = [
        share_check(
            "answers are on topic",
            on_topic,
            warn_below=0.7,
            stop_below=0.6,
            reason="answers that take up more of their own prompt than of another; half would be chance",
            next_step="Use a stronger start model, or warm-start it on prompts like these.",
            of=f" of {count}",
        )
    ]
    alike = sample_similarity(trial)
    if alike is not None:
        checks.append(
            share_check(
                "behaves alike across samples",
                alike,
                warn_below=0.6,
                stop_below=0.53,
                reason="two answers to one prompt share more than answers to two prompts; half would be chance",
                next_step="Lower rollout.temperature, or use another start model.",
            )
        )
    return checks


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else 0.0
