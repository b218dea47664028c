"""Cases of the reward audit: a prompt, an answer to score, and the baseline answers that it is compared with.

Not here: what the cases are checked for (`scorer_checks`, `shortcuts`, `preference_accuracy`, `exploits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppo_cli.records.answers import Answer, Prompt, PromptAnswers, RewardScore
from ppo_cli.rewards.reward_function import RewardFunction

Floats = NDArray[np.float64]

TOKENS_PER_WORD = 1.35
"""Of English in a usual vocabulary; the token count of an answer that no model wrote is estimated from it."""


@dataclass(frozen=True)
class Case:
    """One answer to be scored."""

    prompt: Prompt
    answer: Answer
    baseline: tuple[Answer, ...] = ()
    """Baseline answers; their mean score is subtracted."""


def pairs_in(cases: Sequence[Case]) -> list[tuple[Prompt, Answer]]:
    """Every answer that scoring some cases needs, baseline answers included, with its prompt."""
    return [(case.prompt, answer) for case in cases for answer in (case.answer, *case.baseline)]


def score(reward: RewardFunction, cases: Sequence[Case]) -> list[RewardScore]:
    """Scores all cases in one batch."""
    return reward(
        [case.prompt for case in cases], [case.answer for case in cases], [list(case.baseline) for case in cases]
    )


def rewards_of(reward: RewardFunction, cases: Sequence[Case]) -> Floats:
    """The rewards of all cases, scored in one batch: [cases]."""
    return np.array([scored.reward for scored in score(reward, cases)], dtype=float)


def start_model_cases(samples: PromptAnswers, baseline: str) -> list[Case]:
    """Every answer of the start model, prompt by prompt.

    Args:
        samples: answers of the start model.
        baseline: as `reward.baseline`; for `reference` an answer is compared with the model's other answers.
    """
    cases = []
    for prompt, answers in samples.rows():
        for index, answer in enumerate(answers):
            others = answers[:index] + answers[index + 1 :] or answers
            cases.append(
                Case(prompt, answer, others if baseline == "reference" else baseline_for(prompt, answers, baseline))
            )
    return cases


def baseline_for(prompt: Prompt, answers: Sequence[Answer], baseline: str) -> tuple[Answer, ...]:
    """The baseline answers for an answer that the start model did not give.

    Args:
        prompt: whose written answer counts for `written`.
        answers: of the start model, which count for `reference`.
        baseline: as `reward.baseline`.
    """
    if baseline == "reference":
        return tuple(answers)
    if baseline == "written" and prompt.answer is not None:
        return (make_answer(prompt.answer),)
    return ()


def make_answer(text: str, *, ended: bool = True, tokens: int | None = None) -> Answer:
    """An answer that no model wrote; without `tokens` its token count is estimated from its words."""
    estimate = max(1, round(TOKENS_PER_WORD * len(text.split())) + 1)
    return Answer(text=text, token_count=estimate if tokens is None else tokens, finish="eos" if ended else "length")
