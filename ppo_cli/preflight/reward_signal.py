"""Whether there is something for PPO to amplify: answers that differ in reward, and a behaviour that does occur.

Not here: whether the reward is a good one (`rewards.audit`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ppo_cli.preflight.check_lines import condition_check, share_check
from ppo_cli.records.answers import Expect, PromptAnswers
from ppo_cli.records.checks import Check
from ppo_cli.rewards.audit.preference_accuracy import does_as_expected

MIN_RATE, MAX_RATE = 0.02, 0.98
MIN_ANSWERS = 40
"""Answers to prompts of one `expect`, from which a share of 2 % could have been seen."""
DOING: dict[Expect, str] = {"refuse": "refuses", "comply": "helps", "clarify": "asks back"}

Floats = NDArray[np.float64]


def reward_signal_checks(trial: PromptAnswers, rewards: Floats) -> list[Check]:
    """All lines.

    Args:
        trial: what the start model answered.
        rewards: [prompts, samples], of each answer alone.
    """
    differing = float(np.mean(rewards.std(axis=1) > 1e-9))
    return [
        share_check(
            "answers to one prompt differ in reward",
            differing,
            warn_below=0.2,
            stop_below=0.05,
            reason="only there can PPO tell better from worse",
            next_step="Raise rollout.temperature, widen the prompts, or change the reward.",
            of=" of prompts",
        ),
        _base_rate(rewards),
        *_by_expectation(trial),
    ]


def _base_rate(rewards: Floats) -> Check:
    """The share of answers in the upper half of the range that the start model's own answers span."""
    low, high = float(rewards.min()), float(rewards.max())
    good = float(np.mean(rewards > (low + high) / 2)) if high > low else 0.0
    return condition_check(
        "base rate of well-paid answers",
        MIN_RATE <= good <= MAX_RATE,
        f"{good:.0%} in the upper half of the range",
        f"{MIN_RATE:.0%} to {MAX_RATE:.0%}",
        "what never happens cannot be amplified; what always happens need not be",
        "Give it a warm start that shows the behaviour, or easier prompts; harder ones if it is always there.",
    )


def _by_expectation(trial: PromptAnswers) -> list[Check]:
    """How often the model does what a prompt's `expect` asks for; where it never does, PPO has nothing to amplify."""
    checks = []
    for expect, doing in DOING.items():
        found = [
            does_as_expected(prompt, answer)
            for prompt, row in trial.rows()
            if prompt.expect == expect
            for answer in row
        ]
        if not found:
            continue
        rate = float(np.mean(found))
        seldom = rate < MIN_RATE and len(found) >= MIN_ANSWERS
        checks.append(
            condition_check(
                f"{doing} where it should",
                not seldom,
                f"{rate:.0%} of {len(found)} answers",
                f"{MIN_RATE:.0%} or more",
                "a behaviour that never occurs is never rewarded",
                "Give the model a warm start (model.warm_start) with answers that do so.",
            )
        )
    return checks


def rewards_by_prompt(rewards: Sequence[float], samples: int) -> Floats:
    """[prompts, samples] from rewards in the order of a trial's rows."""
    return np.asarray(rewards, dtype=float).reshape(-1, samples)
