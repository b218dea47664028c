"""The formulas of PPO for language models, as pure functions of tensors.

Notation
    N           episodes: one prompt and one sampled answer each
    T           tokens of the longest answer; t = 0 .. T-1 counts answer tokens
    pi          the policy; pi_old the same before this update, which sampled the answers; pi_ref the reference
    r_t         reward of token t, [N, T]
    V_t         the critic's value before token t, [N, T]
    A_t, R_t    advantage and return of token t, [N, T]; R_t = A_t + V_t
    beta        kl_coef, units of reward per nat
    gamma, lambda   discount and GAE parameter, dimensionless

    response_mask   [N, T] is true on answer tokens: policy loss, KL, entropy
    value_mask      [N, T] is true there and on the step after a finished answer, where T leaves one: rewards, values

Log-probabilities and KL are in nats; scores, rewards, values, advantages before whitening and returns are in units of
reward. The step after a finished answer, on which the score lands, follows TRL 1.12's PPOTrainer, which follows the
code of Ziegler et al. 2019; unlike there it is not discounted, so the last token gets the whole score in any batch.

Sources
    Schulman et al. 2016, High-dimensional continuous control using generalized advantage estimation, arXiv:1506.02438
    Schulman et al. 2017, Proximal policy optimization algorithms, arXiv:1707.06347
    Ziegler et al. 2019, Fine-tuning language models from human preferences, arXiv:1909.08593
    Schulman 2020, Approximating KL divergence, http://joschu.net/blog/kl-approx.html
    Engstrom et al. 2020, Implementation matters in deep policy gradients, arXiv:2005.12729
    Ye et al. 2020, Mastering complex control in MOBA games with deep reinforcement learning, arXiv:1912.09729

Not here: models, data, the training loop.
"""

from __future__ import annotations

from typing import Literal

import torch

MAX_LOG_RATIO = 20.0
"""Nats. A ratio is taken as at most exp of it, 5e8: float32 overflows at 88, and one infinite ratio would make the loss
of a minibatch infinite. Sampled tokens are rarely less likely than exp(-20), so an ordinary step is far below it."""


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the true positions of a mask; both tensors have one shape, the result is a scalar."""
    return (values * mask).sum() / mask.sum()


def whiten(values: torch.Tensor, mask: torch.Tensor, *, keep_mean: bool = False) -> torch.Tensor:
    """Scales to variance 1 over the mask and, unless `keep_mean`, shifts to mean 0.

    The variance is Bessel-corrected, as in TRL's `masked_whiten`.

    Args:
        values: [N, T].
        mask: [N, T], at least two true positions.
        keep_mean: adds the mean back after scaling.

    Returns:
        [N, T], dimensionless; ignore the positions outside the mask.
    """
    mean = masked_mean(values, mask)
    count = mask.sum()
    variance = masked_mean((values - mean) ** 2, mask) * count / (count - 1)
    whitened = (values - mean) * torch.rsqrt(variance + 1e-8)
    return whitened + mean if keep_mean else whitened


def kl_penalty(logprobs: torch.Tensor, ref_logprobs: torch.Tensor, estimator: Literal["k1", "k3"]) -> torch.Tensor:
    """Estimates KL(pi || pi_ref) per token from the sampled token alone (Schulman 2020).

    With x = log(pi_ref / pi): k1 = -x (unbiased), k3 = exp(x) - 1 - x (unbiased, never negative).

    Args:
        logprobs: [N, T] of the policy that sampled the tokens, nats.
        ref_logprobs: [N, T] of the reference, nats.
        estimator: k1 or k3.

    Returns:
        [N, T], nats per token.
    """
    log_ratio = ref_logprobs - logprobs
    return -log_ratio if estimator == "k1" else torch.expm1(log_ratio) - log_ratio


def per_token_rewards(
    penalty: torch.Tensor, scores: torch.Tensor, lengths: torch.Tensor, kl_coef: float
) -> torch.Tensor:
    """r_t = -beta * penalty_t, plus the score at the end of the answer (Ziegler et al. 2019, equation 2).

    Args:
        penalty: [N, T] KL per token, nats, 0 outside the answer.
        scores: [N] score of each answer, units of reward.
        lengths: [N] tokens of each answer.
        kl_coef: beta, units of reward per nat.

    Returns:
        [N, T], units of reward; the score is on the step after the answer if T leaves one, else on its last token.
    """
    rewards = -kl_coef * penalty
    steps = penalty.shape[1]
    end = torch.where(lengths < steps, lengths, lengths - 1)
    rewards[torch.arange(len(scores), device=scores.device), end] += scores
    return rewards


def limit_rewards(scores: torch.Tensor, cliprange: float | None) -> torch.Tensor:
    """Scores cut to [-cliprange, cliprange], units of reward; None leaves them (Engstrom et al. 2020, section 3)."""
    return scores if cliprange is None else scores.clamp(-cliprange, cliprange)


def minus_other_answers(scores: torch.Tensor, answers_per_prompt: int) -> torch.Tensor:
    """Each score minus the mean score of the other answers to the same prompt.

    Source: Kool et al. 2019 ("Buy 4 REINFORCE samples, get a baseline for free!"); Ahmadian et al. 2024, equation 5.

    Args:
        scores: [N], units of reward; with P prompts, answer k of prompt p is at k * P + p.
        answers_per_prompt: K; with 1 there are no others, and the scores are returned as they are.

    Returns:
        [N], units of reward, with a mean of 0 over each prompt's answers.
    """
    if answers_per_prompt == 1:
        return scores
    by_prompt = scores.view(answers_per_prompt, -1)
    others = (by_prompt.sum(0, keepdim=True) - by_prompt) / (answers_per_prompt - 1)
    return (by_prompt - others).reshape(-1)


def minus_explained(scores: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Each score minus what a number that is known of its prompt explains of it, by a line through the other scores.

    The line does not depend on the answer that it is for, so the policy gradient stays unbiased (a control variate:
    Greensmith et al. 2004).

    Args:
        scores: [N], units of reward.
        known: [N] of each one's prompt.

    Returns:
        [N], units of reward; the scores as they are where the known numbers of the others do not vary.
    """
    count = len(scores) - 1
    mean_known, mean_score = (known.sum() - known) / count, (scores.sum() - scores) / count  # of the others
    variance = (known**2).sum() - known**2 - count * mean_known**2
    covariance = (known * scores).sum() - known * scores - count * mean_known * mean_score
    varies = variance > 1e-6 * count
    slope = torch.where(varies, covariance / torch.where(varies, variance, 1.0), 0.0)
    return scores - slope * (known - mean_known)


def gae(
    rewards: torch.Tensor,
    values: torch.Tensor,
    gamma: float,
    gae_lambda: float,
    lengths: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalized advantage estimation and returns (Schulman et al. 2016, equation 16).

    A_t = sum over l >= 0 of (gamma * lambda)^l * delta_{t+l}, with delta_t = r_t + gamma * V_{t+1} - V_t and V = 0
    after the end. R_t = A_t + V_t. From an answer's last token to the step after it gamma and lambda are 1: that step
    exists only where another answer is longer, and an advantage must not depend on the other answers.

    Args:
        rewards: [N, T], units of reward.
        values: [N, T], units of reward, 0 after the end.
        gamma: discount.
        gae_lambda: 0 trusts the critic, 1 the rewards.
        lengths: [N] tokens of each answer; None where all have T.

    Returns:
        Advantages [N, T] and returns [N, T], units of reward.
    """
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for step in reversed(range(rewards.shape[1])):
        following = values[:, step + 1] if step + 1 < rewards.shape[1] else torch.zeros_like(running)
        discount, decay = torch.full_like(running, gamma), torch.full_like(running, gamma * gae_lambda)
        if lengths is not None:
            is_last = lengths == step + 1
            discount, decay = discount.masked_fill(is_last, 1.0), decay.masked_fill(is_last, 1.0)
        delta = rewards[:, step] + discount * following - values[:, step]
        running = delta + decay * running
        advantages[:, step] = running
    return advantages, advantages + values


def policy_loss(
    log_ratio: torch.Tensor, advantages: torch.Tensor, cliprange: float, dual_clip: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clipped surrogate with its sign turned, to be minimised (Schulman et al. 2017, equation 7).

    loss = max(-A * ratio, -A * clip(ratio, 1 - cliprange, 1 + cliprange)), ratio = pi / pi_old.
    With a dual clip c, where A < 0: the smaller of that and -c * A (Ye et al. 2020, equation 5), for equation 7 has no
    bound there.

    Args:
        log_ratio: [tokens] log pi - log pi_old, nats.
        advantages: [tokens], whitened.
        cliprange: epsilon of the paper.
        dual_clip: c, above 1; None has no such bound.

    Returns:
        Loss per token [tokens], and whether a clipped branch was taken, which has no gradient [tokens].
    """
    ratio = log_ratio.clamp(max=MAX_LOG_RATIO).exp()
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - cliprange, 1 + cliprange)
    losses, is_clipped = torch.max(plain, clipped), clipped > plain
    if dual_clip is None:
        return losses, is_clipped
    bound = -dual_clip * advantages
    is_bounded = (advantages < 0) & (losses > bound)
    return torch.where(is_bounded, bound, losses), is_clipped | is_bounded


def value_loss(values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, cliprange: float) -> torch.Tensor:
    """Half the squared error of the critic with value clipping (Engstrom et al. 2020, section 3).

    loss = 1/2 max((V - R)^2, (clip(V, V_old - cliprange, V_old + cliprange) - R)^2).

    Args:
        values: [steps] of the critic now, units of reward.
        old_values: [steps] of the critic before this update.
        returns: [steps], units of reward.
        cliprange: how far a value may move from its old one, units of reward.

    Returns:
        Loss per step [steps], units of reward squared.
    """
    clipped = torch.clamp(values, old_values - cliprange, old_values + cliprange)
    return 0.5 * torch.max((values - returns) ** 2, (clipped - returns) ** 2)


def explained_variance(values: torch.Tensor, returns: torch.Tensor) -> float | None:
    """1 - var(R - V) / var(R): 1 is a perfect critic, 0 a constant one, negative worse than a constant.

    Args:
        values: [steps], units of reward.
        returns: [steps], units of reward.

    Returns:
        A dimensionless number, or None if the returns do not vary.
    """
    variance = returns.var()
    if not variance > 0:
        return None
    return float(1 - (returns - values).var() / variance)


def adaptive_kl_coef(kl_coef: float, kl: float, target: float, episodes: int, horizon: int) -> float:
    """One step of the adaptive KL controller (Ziegler et al. 2019, section 2.2; K_beta = episodes / horizon).

    beta' = beta * (1 + episodes / horizon * clip(kl / target - 1, -0.2, 0.2)).

    Args:
        kl_coef: beta of this update, units of reward per nat.
        kl: measured mean KL, nats per answer.
        target: wanted mean KL, nats per answer.
        episodes: episodes per update.
        horizon: number of episodes over which the controller reacts.

    Returns:
        beta of the next update, units of reward per nat.
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * episodes / horizon)


def learning_rate_factor(
    updates_done: int, updates: int, warmup_updates: int, schedule: Literal["constant", "linear"]
) -> float:
    """What the next update's learning rates are multiplied by: it rises over the warm-up, then stays or falls.

    A linear schedule reaches 0 only after the last update, so that every update learns.
    """
    if updates_done < warmup_updates:
        return (updates_done + 1) / (warmup_updates + 1)
    if schedule == "constant":
        return 1.0
    return max(0, updates - updates_done) / (updates - warmup_updates)
