"""The formulas of PPO for language models, as pure functions of tensors.

Notation: N episodes, T tokens in the longest answer. `mask` [N, T] is true on answer tokens. Values and rewards
have one place more where there is room: the step after a finished answer, on which TRL puts the score; `mask_next`
[N, T] is true there too. Both follow TRL 1.12's PPOTrainer, which follows Ziegler et al. 2019.

Not here: models, data, the loop.
"""

from __future__ import annotations

from typing import Literal

import torch


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the true places of a mask."""
    return (values * mask).sum() / mask.sum()


def whiten(values: torch.Tensor, mask: torch.Tensor, *, keep_mean: bool = False) -> torch.Tensor:
    """Scales to variance 1 and, unless `keep_mean`, shifts to mean 0, both over the mask (Bessel-corrected)."""
    mean = masked_mean(values, mask)
    count = mask.sum()
    variance = masked_mean((values - mean) ** 2, mask) * count / (count - 1)
    whitened = (values - mean) * torch.rsqrt(variance + 1e-8)
    return whitened + mean if keep_mean else whitened


def kl_penalty(logprobs: torch.Tensor, reference: torch.Tensor, estimator: Literal["k1", "k3"]) -> torch.Tensor:
    """Per-token estimate of KL(policy || reference) on sampled tokens (Schulman, "Approximating KL divergence").

    Args:
        logprobs: [N, T] of the policy that sampled the tokens.
        reference: [N, T] of the reference.
        estimator: k1 = -log r (unbiased), k3 = r - 1 - log r (unbiased, never negative), r = reference / policy.
    """
    log_ratio = reference - logprobs
    return -log_ratio if estimator == "k1" else torch.expm1(log_ratio) - log_ratio


def per_token_rewards(
    penalty: torch.Tensor, scores: torch.Tensor, lengths: torch.Tensor, kl_coef: float
) -> torch.Tensor:
    """-kl_coef * penalty on every token, plus the score at the end of the answer (Ziegler et al. 2019, eq. 2).

    Args:
        penalty: [N, T], 0 outside the answer.
        scores: [N].
        lengths: [N] tokens in each answer.
        kl_coef: units of reward a nat.

    Returns:
        [N, T]; the score stands on the step after the answer if there is one, else on its last token.
    """
    rewards = -kl_coef * penalty
    room = penalty.shape[1]
    end = torch.where(lengths < room, lengths, lengths - 1)
    rewards[torch.arange(len(scores), device=scores.device), end] += scores
    return rewards


def gae(
    rewards: torch.Tensor, values: torch.Tensor, gamma: float, gae_lambda: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns (Schulman et al. 2016, eq. 16).

    A_t = sum_l (gamma * lambda)^l delta_{t+l}, delta_t = r_t + gamma * V_{t+1} - V_t, V = 0 after the end.

    Args:
        rewards: [N, T].
        values: [N, T], 0 after the end.
        gamma: discount.
        gae_lambda: 0 trusts the critic, 1 the rewards.

    Returns:
        Advantages [N, T] and returns [N, T] = advantages + values.
    """
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for step in reversed(range(rewards.shape[1])):
        following = values[:, step + 1] if step + 1 < rewards.shape[1] else torch.zeros_like(running)
        delta = rewards[:, step] + gamma * following - values[:, step]
        running = delta + gamma * gae_lambda * running
        advantages[:, step] = running
    return advantages, advantages + values


def policy_loss(
    log_ratio: torch.Tensor, advantages: torch.Tensor, cliprange: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Clipped surrogate (Schulman et al. 2017, eq. 7), to be minimised.

    Args:
        log_ratio: [...] new minus old log-probability.
        advantages: [...].
        cliprange: the ratio's gradient is cut outside 1 ± cliprange.

    Returns:
        Per-token loss [...] and whether the clipped branch was taken [...].
    """
    ratio = log_ratio.exp()
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - cliprange, 1 + cliprange)
    return torch.max(plain, clipped), clipped > plain


def value_loss(values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, cliprange: float) -> torch.Tensor:
    """Half the squared error, the larger of plain and clipped (PPO's value clipping; Ziegler et al. 2019).

    Args:
        values: [...] new estimates.
        old_values: [...] estimates when the answers were sampled.
        returns: [...].
        cliprange: how far an estimate may move from its old value.
    """
    clipped = torch.clamp(values, old_values - cliprange, old_values + cliprange)
    return 0.5 * torch.max((values - returns) ** 2, (clipped - returns) ** 2)


def explained_variance(values: torch.Tensor, returns: torch.Tensor) -> float | None:
    """1 - var(returns - values) / var(returns): 1 is a perfect critic, 0 one that knows the mean only."""
    spread = returns.var()
    if not spread > 0:
        return None
    return float(1 - (returns - values).var() / spread)


def adaptive_kl_coef(kl_coef: float, kl: float, target: float, episodes: int, horizon: int) -> float:
    """One step of the adaptive controller (Ziegler et al. 2019, section 2.2).

    Args:
        kl_coef: the coefficient of this update.
        kl: measured mean KL, nats an answer.
        target: wanted mean KL, nats an answer.
        episodes: episodes in this update.
        horizon: episodes over which the steering acts.
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * episodes / horizon)
