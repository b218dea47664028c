"""What an update learns from, and what is recorded of it.

Not here: the passes that fill it (`trainer`), the formulas (`estimators`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ppo_cli.engine.rollouts import Rollouts
from ppo_cli.records.answers import Answer, RewardScore
from ppo_cli.records.training import Episode, UpdateMetrics


@dataclass(frozen=True)
class Experience:
    """What this process learns from in one update: n of the N episodes, T tokens in the longest answer of all."""

    activations: torch.Tensor
    """[n, length, width] below the cut."""
    features: torch.Tensor
    """[n, T, width] the reference's final hidden states, which the critic reads if it has no layers of its own."""
    old_logprobs: torch.Tensor
    """[n, T] of the policy before this update, 0 outside the answer."""
    values: torch.Tensor
    """[n, T] of the critic before this update, 0 after the end."""
    advantages: torch.Tensor
    """[n, T], mean 0 and variance 1 over the answer tokens of all N."""
    returns: torch.Tensor
    """[n, T]."""
    kl: torch.Tensor
    """[n] k1 to the reference, nats an answer."""
    lengths: torch.Tensor
    """[N] tokens of every answer."""
    summary: ExperienceStats


@dataclass(frozen=True)
class ExperienceStats:
    """What is recorded of an experience, over all N episodes."""

    kl: float
    """Mean, nats an answer."""
    penalty: float
    """Mean of kl_coef times the chosen estimator, summed over the answer."""
    entropy: float
    """Mean over answer tokens, nats."""
    sampler_mismatch: float
    """Mean |log-probability while sampling - when trained on|, nats a token."""
    explained_variance: float | None
    kl_coef: float


@dataclass
class RunningMeans:
    """Running means of what the optimisation reports."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Adds one value."""
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0) + 1

    def __getitem__(self, name: str) -> float:
        return self.sums[name] / self.counts[name]


def update_metrics(
    update: int,
    episodes: Sequence[Episode],
    summary: ExperienceStats,
    learning: Mapping[str, float],
    scales: Mapping[str, float],
) -> UpdateMetrics:
    """The record of one update.

    Args:
        update: its number, from 1.
        episodes: all of its episodes.
        summary: what was estimated of them.
        learning: means over the optimizer steps, by the names of UpdateMetrics.
        scales: of the normalised terms.
    """
    rewards = np.array([episode.reward for episode in episodes])
    tokens = sum(episode.token_count for episode in episodes)
    return UpdateMetrics(
        update=update,
        episodes=update * len(episodes),
        reward=float(rewards.mean()),
        reward_std=float(rewards.std()),
        terms={name: float(np.mean([episode.terms[name] for episode in episodes])) for name in episodes[0].terms},
        term_statistics={name: _statistics(episodes, name, scales.get(name)) for name in episodes[0].terms},
        kl=summary.kl,
        kl_per_token=summary.kl * len(episodes) / tokens,
        kl_coef=summary.kl_coef,
        kl_penalty=summary.penalty,
        mean_answer_tokens=tokens / len(episodes),
        eos_rate=float(np.mean([episode.finish == "eos" for episode in episodes])),
        entropy=summary.entropy,
        sampler_mismatch=summary.sampler_mismatch,
        explained_variance=summary.explained_variance,
        **learning,
    )


def _statistics(episodes: Sequence[Episode], name: str, scale: float | None) -> dict[str, float]:
    """How one term spreads, and what of it is left after the other answers are subtracted."""
    own = np.array([episode.terms[name] for episode in episodes])
    gained = own - np.array([episode.baseline_terms.get(name, 0.0) for episode in episodes])
    found = {
        "mean": float(own.mean()),
        "std": float(own.std()),
        "gain": float(gained.mean()),
        "gain_std": float(gained.std()),
    }
    return found if scale is None else {**found, "scale": scale}


def episode_records(
    update: int,
    numbers: Sequence[int],
    rollouts: Rollouts,
    scored: Sequence[RewardScore],
    kl: Sequence[float],
    others: Mapping[str, Sequence[Answer]],
) -> list[Episode]:
    """Rollouts as records.

    Args:
        update: the update they belong to, from 1.
        numbers: of each episode over the run, from 1.
        rollouts: n of them.
        scored: their rewards.
        kl: nats an answer.
        others: the other answers by prompt id.
    """
    cases = zip(numbers, rollouts.prompts, rollouts.answers, scored, kl, strict=True)
    return [
        Episode(
            update=update,
            episode=number,
            prompt_id=prompt.id,
            prompt=prompt.text,
            answer=answer.text,
            baseline_answer=others[prompt.id][0].text if prompt.id in others else None,
            token_count=answer.token_count,
            finish=answer.finish,
            reward=score.reward,
            terms=score.terms,
            baseline_terms=score.baseline_terms,
            kl=nats,
        )
        for number, prompt, answer, score, nats in cases
    ]
