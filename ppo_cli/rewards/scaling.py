"""Normalised terms: each divided by its standard deviation in the first update, so that weights are comparable.

The answers of the first update are still the start model's, so a scale shows how much a term varies before anything is
learnt. It is the standard deviation, over all episodes of that update, of the term's value minus its mean over the
baseline answers. It then stays fixed: a scale that changed would give the same answer another reward in every update.

A term that is the same for every answer of that update is not scaled.

Not here: when the scales are fitted and where they are saved (`engine`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ppo_cli.experiment.term_types import RewardTerm
from ppo_cli.records.answers import RewardScore
from ppo_cli.rewards.reward_function import RewardFunction, weighted_sum

MIN_SCALE = 1e-6
"""Standard deviation below which a term counts as constant."""


def any_normalised(terms: Mapping[str, RewardTerm]) -> bool:
    """Whether any term is normalised."""
    return any(term.normalise for term in terms.values())


def fit_scales(scored: Sequence[RewardScore], terms: Mapping[str, RewardTerm]) -> dict[str, float]:
    """The scale of every normalised term, fitted to scored answers."""
    scales = {}
    for name, term in terms.items():
        if term.normalise:
            differences = [item.terms[name] - item.baseline_terms.get(name, 0.0) for item in scored]
            spread = float(np.std(np.array(differences, dtype=np.float64)))
            scales[name] = spread if spread > MIN_SCALE else 1.0
    return scales


def apply_scales(
    scored: Sequence[RewardScore], terms: Mapping[str, RewardTerm], scales: Mapping[str, float]
) -> list[RewardScore]:
    """The same scores with a new weighted sum; the values of the terms stay unscaled."""
    return [replace(item, reward=weighted_sum(terms, item.terms, item.baseline_terms, scales)) for item in scored]


def rewards_without_baseline(scored: Sequence[RewardScore], terms: Mapping[str, RewardTerm]) -> list[float]:
    """The weighted sums of the terms alone, which rank answers to one prompt as the reward does.

    Args:
        scored: answers with their baseline terms, to which the scales of normalised terms are fitted.
        terms: of the reward.
    """
    scales = fit_scales(scored, terms) if any_normalised(terms) else {}
    return [weighted_sum(terms, item.terms, {}, scales) for item in scored]


def with_fitted_scales(
    reward: RewardFunction, terms: Mapping[str, RewardTerm], scored: Sequence[RewardScore]
) -> RewardFunction:
    """The reward with scales fitted to scored answers; the same reward if no term is normalised."""
    if not any_normalised(terms):
        return reward
    scales = fit_scales(scored, terms)
    return lambda prompts, answers, baseline: apply_scales(reward(prompts, answers, baseline), terms, scales)
