"""What one update learns from: advantages, returns and old values; the checks on them; and the records of the update.

Not here: the passes that give log-probabilities and values (`forward_passes`), the formulas (`ppo_math`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ppo_cli.engine.rollouts import Rollouts
from ppo_cli.errors import CheckFailedError, PpoError
from ppo_cli.records.answers import Answer, RewardScore
from ppo_cli.records.training import Episode, UpdateMetrics

MAX_FIRST_KL_NATS = 1e-3
"""Per answer: before the first step policy and reference have the same weights."""
MAX_SAMPLER_MISMATCH_NATS = {torch.float32: 1e-3, torch.bfloat16: 0.15}
"""Mean |log-probability while sampling - in training| per token; more than that is not rounding."""
AFTER_NON_FINITE = (
    "Its episodes are in failed_updates.jsonl; start a run with a lower ppo.learning_rate or a larger kl.coef."
)
"""What to do after numbers that are not finite."""


@dataclass(frozen=True)
class Experience:
    """What one process learns from in one update: n of the N episodes; T tokens in the longest answer of all N."""

    activations: torch.Tensor
    """[n, length, width] below the split."""
    features: torch.Tensor
    """[n, T, width] final hidden states of the reference, the inputs of a critic without layers of its own."""
    old_logprobs: torch.Tensor
    """[n, T] of the policy before this update, nats, 0 outside the answer."""
    values: torch.Tensor
    """[n, T] of the critic before this update, units of reward, 0 after the end."""
    advantages: torch.Tensor
    """[n, T], mean 0 and variance 1 over the answer tokens of all N."""
    returns: torch.Tensor
    """[n, T], units of reward."""
    kl: torch.Tensor
    """[n] k1 estimate of the KL to the reference, nats per answer."""
    lengths: torch.Tensor
    """[N] tokens of every answer."""
    stats: ExperienceStats


@dataclass(frozen=True)
class ExperienceStats:
    """What is recorded of an experience, over all N episodes."""

    kl: float
    """Mean, nats per answer."""
    penalty: float
    """Mean over answers of kl_coef times the chosen estimator, summed over the answer; units of reward."""
    entropy: float
    """Mean over answer tokens, nats."""
    sampler_mismatch: float
    """Mean |log-probability while sampling - in training|, nats per token."""
    explained_variance: float | None
    kl_coef: float
    """Units of reward per nat."""
    placebo: bool = False
    """Whether the rewards were permuted among the answers."""


def validate_experience(update: int, experience: Experience, dtype: torch.dtype) -> None:
    """Checks that all numbers are finite; in update 1 also that policy and reference, sampler and trainer agree.

    Args:
        update: counted from 1.
        experience: of that update.
        dtype: of the policy's weights.

    Raises:
        PpoError: a log-probability, value, advantage, return or KL is not finite.
        CheckFailedError: policy and reference, or sampling and training, do not compute the same.
    """
    for name in ("old_logprobs", "values", "advantages", "returns", "kl"):
        if not torch.isfinite(getattr(experience, name)).all():
            raise PpoError(
                f"The {name} of update {update} are not all finite, so the update was not applied.", AFTER_NON_FINITE
            )
    if update != 1:
        return
    kl, mismatch = experience.stats.kl, experience.stats.sampler_mismatch
    if not abs(kl) <= MAX_FIRST_KL_NATS:
        raise CheckFailedError(
            f"Before the first step the KL to the reference is {kl:.3g} nats per answer, not 0.",
            "Policy and reference differ; check model.start and model.warm_start.",
        )
    limit = MAX_SAMPLER_MISMATCH_NATS[dtype]
    if not mismatch <= limit:
        raise CheckFailedError(
            f"Sampling and training disagree by {mismatch:.3g} nats per token (limit {limit:g}).",
            "The model computes something else with a cache than without; use model.dtype=float32 or report it.",
        )


def update_metrics(
    update: int,
    episodes: Sequence[Episode],
    experience: ExperienceStats,
    optimization: Mapping[str, float],
    scales: Mapping[str, float],
) -> UpdateMetrics:
    """The record of one update.

    Args:
        update: counted from 1.
        episodes: all N of them.
        experience: statistics before the optimizer steps.
        optimization: means over the optimizer steps, by the names of UpdateMetrics.
        scales: of the normalised terms.
    """
    rewards = np.array([episode.reward for episode in episodes])
    tokens = sum(episode.answer.token_count for episode in episodes)
    return UpdateMetrics(
        update=update,
        episodes=update * len(episodes),
        reward=float(rewards.mean()),
        reward_std=float(rewards.std()),
        terms={name: float(np.mean([episode.terms[name] for episode in episodes])) for name in episodes[0].terms},
        term_statistics={name: _term_statistics(episodes, name, scales.get(name)) for name in episodes[0].terms},
        kl=experience.kl,
        kl_per_token=experience.kl * len(episodes) / tokens,
        kl_coef=experience.kl_coef,
        kl_penalty=experience.penalty,
        mean_answer_tokens=float(np.mean([episode.answer.answer_tokens for episode in episodes])),
        eos_rate=float(np.mean([episode.answer.ended for episode in episodes])),
        entropy=experience.entropy,
        sampler_mismatch=experience.sampler_mismatch,
        explained_variance=experience.explained_variance,
        placebo=experience.placebo,
        **optimization,
    )


def _term_statistics(episodes: Sequence[Episode], name: str, scale: float | None) -> dict[str, float]:
    """Mean and spread of one term, alone and minus its mean over the baseline answers."""
    values = np.array([episode.terms[name] for episode in episodes])
    over_baseline = values - np.array([episode.baseline_terms.get(name, 0.0) for episode in episodes])
    statistics = {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "over_baseline": float(over_baseline.mean()),
        "over_baseline_std": float(over_baseline.std()),
    }
    return statistics if scale is None else {**statistics, "scale": scale}


def episode_records(
    update: int,
    numbers: Sequence[int],
    rollouts: Rollouts,
    scores: Sequence[RewardScore],
    kl: Sequence[float],
    baseline_answers: Mapping[str, Sequence[Answer]],
) -> list[Episode]:
    """Rollouts as records.

    Args:
        update: counted from 1.
        numbers: of each episode over the run, counted from 1.
        rollouts: n episodes.
        scores: their rewards.
        kl: nats per answer.
        baseline_answers: by prompt id.
    """
    rows = zip(numbers, rollouts.prompts, rollouts.answers, scores, kl, strict=True)
    return [
        Episode(
            update=update,
            episode=number,
            prompt_id=prompt.id,
            prompt=prompt.text,
            answer=answer,
            baseline_answer=baseline_answers[prompt.id][0].text if prompt.id in baseline_answers else None,
            reward=score.reward,
            terms=score.terms,
            baseline_terms=score.baseline_terms,
            kl=nats,
        )
        for number, prompt, answer, score, nats in rows
    ]
