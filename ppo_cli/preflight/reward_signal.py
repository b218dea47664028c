"""Checks that the start model's answers give PPO a signal: their rewards differ, and the wanted behaviour occurs.

Not here: whether the reward is a good one (`rewards.audit`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ppo_cli.records.answers import Expect, PromptAnswers
from ppo_cli.records.checks import Check
from ppo_cli.rewards.audit.preference_accuracy import does_as_expected

MIN_RATE, MAX_RATE = 0.02, 0.98
"""Shares of answers between which a behaviour can be amplified. Own choice."""
MIN_ANSWERS = 40
"""Answers to prompts of one `expect`, from which a rate of 2 % is likely to show."""
BEHAVIOURS: dict[Expect, str] = {"refuse": "refuses", "comply": "helps", "clarify": "asks back"}

Floats = NDArray[np.float64]


def reward_signal_checks(samples: PromptAnswers, rewards: Floats) -> list[Check]:
    """All checks of this file.

    Args:
        samples: answers of the start model.
        rewards: [prompts, samples], of each answer without a baseline.
    """
    return [
        Check.from_share(
            "answers to one prompt differ in reward",
            float(np.mean(rewards.std(axis=1) > 1e-9)),
            warn_below=0.2,
            fail_below=0.05,
            reason="PPO learns only from prompts with a better and a worse answer",
            next_step="Raise rollout.temperature, widen the prompts, or change the reward.",
            of=" of prompts",
        ),
        _base_rate_check(rewards),
        *_behaviour_checks(samples),
    ]


def _base_rate_check(rewards: Floats) -> Check:
    """The share of answers in the upper half of the range of the start model's rewards."""
    low, high = float(rewards.min()), float(rewards.max())
    rate = float(np.mean(rewards > (low + high) / 2)) if high > low else 0.0
    return Check.from_condition(
        "base rate of high rewards",
        MIN_RATE <= rate <= MAX_RATE,
        value=f"{rate:.0%} of answers in the upper half of the range",
        threshold=f"{MIN_RATE:.0%} to {MAX_RATE:.0%}",
        reason="what never happens cannot be amplified, and what always happens need not be",
        next_step="Give the model a warm start that shows the behaviour, or use easier prompts; harder ones if it "
        "always happens.",
    )


def _behaviour_checks(samples: PromptAnswers) -> list[Check]:
    """How often the model does what a prompt's `expect` asks for."""
    checks = []
    for expect, behaviour in BEHAVIOURS.items():
        as_expected = [
            does_as_expected(prompt, answer)
            for prompt, row in samples.rows()
            if prompt.expect == expect
            for answer in row
        ]
        if not as_expected:
            continue
        rate = float(np.mean(as_expected))
        checks.append(
            Check.from_condition(
                f"{behaviour} where it should",
                rate >= MIN_RATE or len(as_expected) < MIN_ANSWERS,
                value=f"{rate:.0%} of {len(as_expected)} answers",
                threshold=f"{MIN_RATE:.0%} or more",
                reason="a behaviour that never occurs is never rewarded",
                next_step="Give the model a warm start (model.warm_start) with answers that do so.",
            )
        )
    return checks


def rewards_by_prompt(rewards: Sequence[float], samples_per_prompt: int) -> Floats:
    """[prompts, samples] from rewards that are listed prompt by prompt."""
    return np.asarray(rewards, dtype=float).reshape(-1, samples_per_prompt)
