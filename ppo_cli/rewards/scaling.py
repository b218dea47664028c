"""Terms on one scale, so that their weights compare: each divided by its spread in the first update.

The answers of the first update are still the start model's, so a scale says how much the term tells apart what the
policy does before it has learnt anything. It is the standard deviation, over all of that update's episodes, of what
PPO is paid by the term: answer less other answers. It then stays as it is. A scale that moved along would pay the
same answer otherwise in every update.

A term that is the same for every answer of that update has no scale, and stays as it is.

Not here: when the scales are taken and where they are kept (`engine`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ppo_cli.experiment.term_types import RewardTerm
from ppo_cli.records.answers import RewardScore
from ppo_cli.rewards.reward_function import RewardFunction, weighted_sum

MIN_SCALE = 1e-6
"""A term that spreads less tells nothing apart."""


def any_normalised(terms: Mapping[str, RewardTerm]) -> bool:
    """Whether any term is."""
    return any(term.normalise for term in terms.values())


def fit_scales(scored: Sequence[RewardScore], terms: Mapping[str, RewardTerm]) -> dict[str, float]:
    """The scale of every normalised term, from what it pays for some answers."""
    scales = {}
    for name, term in terms.items():
        if term.normalise:
            paid = [item.terms[name] - item.baseline_terms.get(name, 0.0) for item in scored]
            spread = float(np.std(np.array(paid, dtype=np.float64)))
            scales[name] = spread if spread > MIN_SCALE else 1.0
    return scales


def apply_scales(
    scored: Sequence[RewardScore], terms: Mapping[str, RewardTerm], scales: Mapping[str, float]
) -> list[RewardScore]:
    """The same scores with their sum taken anew; the values of the terms stay raw."""
    return [replace(item, reward=weighted_sum(terms, item.terms, item.baseline_terms, scales)) for item in scored]


def with_fitted_scales(
    reward: RewardFunction, terms: Mapping[str, RewardTerm], scored: Sequence[RewardScore]
) -> RewardFunction:
    """A reward with its terms on the scale that some scored answers give; the same where none is normalised."""
    if not any_normalised(terms):
        return reward
    scales = fit_scales(scored, terms)
    return lambda prompts, answers, others: apply_scales(reward(prompts, answers, others), terms, scales)
