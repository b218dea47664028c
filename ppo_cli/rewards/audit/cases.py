"""What a reward is tried on: prompts with answers and the other answers to compare them with.

Not here: what is looked for.
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
"""English words in a usual vocabulary; an answer that no model wrote has its tokens guessed so."""

BEFORE_A_RUN = 12
"""Prompts that a reward is tried on without a model."""


@dataclass(frozen=True)
class Case:
    """One answer to be scored."""

    prompt: Prompt
    answer: Answer
    others: tuple[Answer, ...] = ()


def score(reward: RewardFunction, cases: Sequence[Case]) -> list[RewardScore]:
    """All cases in one batch."""
    return reward(
        [case.prompt for case in cases], [case.answer for case in cases], [list(case.others) for case in cases]
    )


def rewards_of(reward: RewardFunction, cases: Sequence[Case]) -> Floats:
    """Their rewards alone."""
    return np.array([scored.reward for scored in score(reward, cases)], dtype=float)


def start_model_cases(trial: PromptAnswers, baseline: str) -> list[Case]:
    """Every answer of the start model, prompt by prompt.

    Args:
        trial: what it answered.
        baseline: as `reward.baseline`; with `reference` an answer is compared with the model's further answers.
    """
    cases = []
    for prompt, answers in trial.rows():
        for place, answer in enumerate(answers):
            apart = answers[:place] + answers[place + 1 :] or answers
            cases.append(
                Case(prompt, answer, apart if baseline == "reference" else baseline_for(prompt, answers, baseline))
            )
    return cases


def baseline_for(prompt: Prompt, answers: Sequence[Answer], baseline: str) -> tuple[Answer, ...]:
    """What an answer that the start model did not give is compared with."""
    if baseline == "reference":
        return tuple(answers)
    if baseline == "written" and prompt.answer is not None:
        return (make_answer(prompt.answer),)
    return ()


def make_answer(text: str, *, ended: bool = True, tokens: int | None = None) -> Answer:
    """An answer that no model wrote."""
    guessed = max(1, round(TOKENS_PER_WORD * len(text.split())) + 1)
    return Answer(text=text, token_count=guessed if tokens is None else tokens, finish="eos" if ended else "length")
