"""Checks that the start model is instruction-tuned, judged from its samples and never from its name.

docs/sft-check.md says which models the thresholds were measured on.

Not here: sampling (`start_samples`), the tokenizer and the chat template (`tokenizer_checks`), the reward
(`reward_signal`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ppo_cli.behaviours import refusal, repetition
from ppo_cli.preflight.start_samples import StartModelSamples
from ppo_cli.records.answers import PromptAnswers
from ppo_cli.records.checks import Check
from ppo_cli.rewards.builtin_terms import STOP_WORDS
from ppo_cli.stats.measure_statistics import MAX_UNREAD_SHARE
from ppo_cli.text.words import words

STEM_LETTERS = 5
"""Two words are the same content word if they agree in so many first letters."""
MIN_END_PROBABILITY = 1e-3
"""Probability of ending the turn after a complete answer, geometric mean over the shipped questions. Measured: 2.1e-2
for the built-in model, 9e-1 after its warm start; 3.6e-6 with untrained turn tokens, as a base model has them, 1.6e-6
after training on plain text besides, 1.4e-4 with noise on every weight."""
MIN_END_RATIO = 20
"""That probability divided by the one in the middle of an answer. Measured: a million for the built-in model, 14 with
noise on every weight."""
MIN_HELPFUL_ANSWERS = 12
"""Answers that do not refuse, needed to judge whether answers are on topic."""
_ROLE_MARKER = re.compile(
    r"(?im)^[\s#*<|\[]{0,6}(?:user|human|assistant|system|instruction|prompter)\b[\s*>|\]]{0,6}(?:[:：]|$)"
    r"|<\|[a-z_]{2,20}\|>|\[/?INST\]"
)


def instruct_checks(
    start: StartModelSamples,
    end_probabilities: Sequence[tuple[float, float]],
    opening: str,
    *,
    min_ended_share: float,
) -> list[Check]:
    """All checks of this file.

    Args:
        start: samples of the start model.
        end_probabilities: for each question the probability of ending the turn after a complete answer, and after half
            of it.
        opening: what the chat template writes before a user's words.
        min_ended_share: share of answers below which "answers end within the limit" warns.
    """
    rows = start.samples.rows()
    answers = [answer for _, row in rows for answer in row]
    kinds = [refusal.classify(answer.text) for answer in answers]
    empty = [kind == "empty" for kind in kinds]
    cut_thoughts = sum(
        is_empty and not answer.ended for is_empty, answer in zip(empty, answers, strict=True) if answer.reasoning
    )
    runaway = [repetition.repeated_share(words(answer.text)) > repetition.RUNAWAY_SHARE for answer in answers]
    marked = [has_role_markers(raw, opening) for row in start.raw_answers for raw in row]
    continued = [continues_prompt(prompt.chat[-1].content, answer.text) for prompt, row in rows for answer in row]
    return [
        _end_of_turn_check(end_probabilities),
        Check.from_share(
            f"answers end within {start.max_new_tokens} tokens",
            _mean([answer.ended for answer in answers]),
            warn_below=min_ended_share,
            fail_below=0.0,
            reason="a cut answer is judged on its beginning only",
            next_step="Raise rollout.max_new_tokens, reward answers that end, or warm-start on short answers.",
        ),
        Check.from_share(
            "answers are not empty",
            1 - _mean(empty),
            warn_below=0.98,
            fail_below=0.9,
            reason="PPO would amplify empty answers",
            next_step=f"In {cut_thoughts} of {len(answers)} answers the limit cuts the reasoning, so no answer begins; "
            "raise the limit (rollout.max_new_tokens)."
            if cut_thoughts
            else "Use another start model, or warm-start it.",
        ),
        Check.from_share(
            "no runaway repetition",
            1 - _mean(runaway),
            warn_below=0.95,
            fail_below=0.8,
            reason="PPO amplifies repetition",
            next_step="Lower rollout.temperature, or use another start model.",
        ),
        Check.from_share(
            "no role markers",
            1 - _mean(marked),
            warn_below=0.98,
            fail_below=0.9,
            reason="a model that writes the user's turns was not tuned to answer one",
            next_step="Use an instruct model, or warm-start it.",
        ),
        Check.from_share(
            "does not continue the question",
            1 - _mean(continued),
            warn_below=0.95,
            fail_below=0.75,
            reason="a model that only continues text continues the question",
            next_step="Use an instruct model, or warm-start it.",
        ),
        *_language_checks(kinds),
        *_topic_checks(start.samples),
    ]


def _language_checks(kinds: Sequence[refusal.Refusal]) -> list[Check]:
    """Whether the refusal rule reads the answers; no check where it reads all of them."""
    unread = kinds.count("unread")
    if not unread:
        return []
    return [
        Check.from_share(
            "answers are in a language that the refusal rule reads",
            1 - unread / len(kinds),
            warn_below=1 - MAX_UNREAD_SHARE,
            fail_below=0.0,
            reason="no refusal is found in any other language, by measures or by rewards",
            next_step="Use prompts in one of its languages, or a measure and a reward of your own.",
        )
    ]


def has_role_markers(raw_answer: str, opening: str) -> bool:
    """Whether an answer with its special tokens contains a marker of a turn."""
    marker = opening.strip()
    return bool(_ROLE_MARKER.search(raw_answer)) or (len(marker) >= 3 and marker in raw_answer)


def continues_prompt(prompt: str, answer: str) -> bool:
    """Whether an answer reads as the rest of the question: it begins in the middle of a sentence, or repeats it."""
    text = answer.strip()
    if not text:
        return False
    if text[0] in ",;.:?!)]，。；：？！）" or (text[0].islower() and text[0].isascii() and not prompt[:1].islower()):
        return True
    prompt_words, answer_words = words(prompt), words(text)
    return len(prompt_words) >= 4 and answer_words[: len(prompt_words)] == prompt_words


def topic_match(samples: PromptAnswers) -> tuple[float, int] | None:
    """How often an answer uses more words of its own prompt than of another one; ties count half.

    Each answer that does not refuse is compared with every other prompt.

    Returns:
        The share, 0 to 1, and the number of answers; None if too few answers do not refuse.
    """
    prompt_words = [content_words("\n".join(turn.content for turn in prompt.chat)) for prompt in samples.prompts]
    wins, count = 0.0, 0
    for index, row in enumerate(samples.answers):
        for answer in row:
            if refusal.classify(answer.text) not in refusal.ANSWERS:
                continue
            answer_words = content_words(answer.text)
            own = _used_share(prompt_words[index], answer_words)
            others = np.array([_used_share(other, answer_words) for j, other in enumerate(prompt_words) if j != index])
            wins += float(np.mean(others < own) + 0.5 * np.mean(others == own))
            count += 1
    return (wins / count, count) if count >= MIN_HELPFUL_ANSWERS and len(prompt_words) > 1 else None


def sample_similarity(samples: PromptAnswers) -> float | None:
    """How often two answers to one prompt share more words than answers to two prompts; ties count half.

    Returns:
        The share, 0 to 1; None if too few answers do not refuse.
    """
    rows = [
        [content_words(answer.text) for answer in row if refusal.classify(answer.text) in refusal.ANSWERS]
        for row in samples.answers
    ]
    comparable = [row for row in rows if len(row) > 1]
    if sum(map(len, comparable)) < MIN_HELPFUL_ANSWERS or len(comparable) < 2:
        return None
    wins, count = 0.0, 0
    for index, row in enumerate(comparable):
        own = _jaccard(row[0], row[1])
        others = np.array([_jaccard(row[0], other[1]) for j, other in enumerate(comparable) if j != index])
        wins += float(np.mean(others < own) + 0.5 * np.mean(others == own))
        count += 1
    return wins / count


def content_words(text: str) -> frozenset[str]:
    """The words of a text without common ones, each cut to its first letters."""
    return frozenset(word[:STEM_LETTERS] for word in words(text) if word not in STOP_WORDS)


def _used_share(prompt_words: frozenset[str], answer_words: frozenset[str]) -> float:
    return len(prompt_words & answer_words) / len(prompt_words) if prompt_words else 0.0


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    union = one | other
    return len(one & other) / len(union) if union else 0.0


def _end_of_turn_check(probabilities: Sequence[tuple[float, float]]) -> Check:
    after, within = (
        float(np.exp(np.mean(np.log(np.maximum(column, 1e-12))))) for column in zip(*probabilities, strict=True)
    )
    return Check.from_condition(
        "ends its turn after an answer",
        after >= MIN_END_PROBABILITY and after >= MIN_END_RATIO * within,
        value=f"probability {100 * after:.2g}% after a complete answer, {100 * within:.2g}% after half of one",
        threshold=f"{100 * MIN_END_PROBABILITY:g}% or more, and {MIN_END_RATIO} times that in the middle",
        reason="a model that was never trained with the end-of-turn token cannot learn it by chance",
        next_step="Use an instruct model, or give it a warm start (model.warm_start).",
    )


def _topic_checks(samples: PromptAnswers) -> list[Check]:
    match = topic_match(samples)
    if match is None:
        return []
    share, count = match
    checks = [
        Check.from_share(
            "stays on topic",
            share,
            warn_below=0.7,
            fail_below=0.6,
            reason="answers that use more words of their own prompt than of another one; 50% is chance",
            next_step="Use a stronger start model, or warm-start it on prompts like these.",
            of=f" of {count} answers",
        )
    ]
    similarity = sample_similarity(samples)
    if similarity is not None:
        checks.append(
            Check.from_share(
                "similar across samples",
                similarity,
                warn_below=0.6,
                fail_below=0.53,
                reason="two answers to one prompt share more words than answers to two prompts; 50% is chance",
                next_step="Lower rollout.temperature, or use another start model.",
            )
        )
    return checks


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else 0.0
