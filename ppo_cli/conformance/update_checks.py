"""Checks of one update: rewards per token, advantages, clipping, the probability ratio, micro-batches.

Not here: what is learnt over many updates (`reward_checks`), what must change nothing (`repeat_checks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ppo_cli.conformance.adapter import EpisodeNumbers, Settings
from ppo_cli.conformance.check import NotCheckedError, check
from ppo_cli.conformance.trainings import Episode, Trained, Trainings, distance, log_ratios

SCHULMAN_2017 = "Schulman et al. 2017 (arXiv:1707.06347)"
DISCOUNTED = Settings(gamma=0.95, gae_lambda=0.8)
UPDATES = 3
"""How many the recomputed advantages are taken from: the first has the most padding, the last the largest values."""


def expected_advantages(
    settings: Settings, episode: Episode, values: Sequence[float], penalty: torch.Tensor
) -> torch.Tensor:
    """[n] advantages of one answer, equation 16 of Schulman et al. 2016, in float64.

    Args:
        settings: gamma and lambda.
        episode: an answer of n tokens and its score.
        values: n with the score on the last token, n + 1 with the score on the step after it.
        penalty: [n] subtracted from the reward of each token.
    """
    tokens = len(episode.answer)
    if len(values) not in (tokens, tokens + 1):
        raise ValueError(f"an answer of {tokens} tokens, its EOS token included, has {len(values)} values")
    rewards = [-float(part) for part in penalty] + [0.0] * (len(values) - tokens)
    rewards[-1] += episode.score
    following, running, advantages = 0.0, 0.0, [0.0] * len(values)
    for step in reversed(range(len(values))):
        delta = rewards[step] + settings.gamma * following - values[step]
        running = delta + settings.gamma * settings.gae_lambda * running
        advantages[step], following = running, values[step]
    return torch.tensor(advantages[:tokens], dtype=torch.float64)


def numbers_of(trained: Trained, update: int) -> list[tuple[Episode, EpisodeNumbers]]:
    """The answers of an update with what was learnt from each."""
    episodes, numbers = trained.episodes[update - 1], trained.records[update - 1].episodes
    if numbers is None or len(numbers) != len(episodes):
        raise ValueError("the adapter declares the ability advantages, and not every answer has them")
    pairs = list(zip(episodes, numbers, strict=True))
    for episode, own in pairs:
        if len(own.advantages) != len(episode.answer):
            raise ValueError(f"an answer of {len(episode.answer)} tokens has {len(own.advantages)} advantages")
    return pairs


def scaled_residual(expected: torch.Tensor, reported: torch.Tensor) -> float:
    """Largest difference from the best line through (expected, reported), in standard deviations of the latter.

    A whitening is such a line, so it is not counted against a trainer.
    """
    spread = float(reported.std())
    if not spread > 0:
        return 1.0
    line = torch.stack([expected, torch.ones_like(expected)], 1)
    slope_and_offset = torch.linalg.lstsq(line, reported[:, None]).solution
    if float(slope_and_offset[0]) <= 0:
        return 1.0
    return float((line @ slope_and_offset - reported[:, None]).abs().max()) / spread


def residual(trainings: Trainings, settings: Settings, *, values: float = 1.0, penalty: float = 1.0) -> float:
    """The largest scaled residual of the advantages of three updates.

    Args:
        trainings: of the trainer.
        settings: of the training.
        values: what the critic's values are multiplied by before the advantages are recomputed.
        penalty: what the KL penalty is multiplied by then.
    """
    trained = trainings.run(settings, UPDATES)
    residuals = []
    for update in range(1, UPDATES + 1):
        pairs = numbers_of(trained, update)
        kl = log_ratios([episode for episode, _ in pairs], trained.weights[update - 1], trainings.start)
        expected = [
            expected_advantages(settings, episode, [values * v for v in own.values], penalty * settings.kl_coef * row)
            for (episode, own), row in zip(pairs, kl, strict=True)
        ]
        residuals.append(scaled_residual(torch.cat(expected), reported_advantages(pairs)))
    return max(residuals)


def reported_advantages(pairs: Sequence[tuple[Episode, EpisodeNumbers]]) -> torch.Tensor:
    """Of all answer tokens of an update, one after the other."""
    return torch.tensor([part for _, own in pairs for part in own.advantages], dtype=torch.float64)


@check(
    "advantages are GAE over tokens, with the score at the answer's end",
    quantity="largest difference from the formula, in standard deviations of the advantages",
    source="Schulman et al. 2016 (arXiv:1506.02438), equation 16",
    at_most=1e-3,
    needs="advantages",
)
def gae_over_tokens(trainings: Trainings) -> float:
    """Recomputes the advantages of three updates from reported values and scores, with gamma 0.95 and lambda 0.8.

    One advantage for a whole answer, another lambda, a score on padding after a short answer, or an EOS token without
    an advantage all show. A shift and a scale are left to the next check. Tolerance: rounding of float32.
    """
    if residual(trainings, DISCOUNTED, values=0.0) < 0.05:
        raise NotCheckedError("the critic's values hardly differ after two updates, so they do not show in advantages")
    return residual(trainings, DISCOUNTED)


@check(
    "advantages are whitened over answer tokens, or not at all",
    quantity="how far their mean is from 0 and their standard deviation from 1, the larger of the two",
    source="Huang et al. 2024 (arXiv:2403.17031), whitening of advantages",
    at_most=0.02,
    needs="advantages",
)
def whitening_over_tokens(trainings: Trainings) -> float:
    """Takes mean and standard deviation of each update's reported advantages over all answer tokens.

    Whitening over padded positions, over answers, or within each micro-batch gives other numbers. Advantages that
    equal the formula without a shift and a scale pass too. Tolerance: both conventions of the variance.
    """
    trained = trainings.run(DISCOUNTED, UPDATES)
    found = []
    for update in range(1, UPDATES + 1):
        pairs = numbers_of(trained, update)
        reported = reported_advantages(pairs)
        rows = [(episode, own.values, torch.zeros(len(episode.answer))) for episode, own in pairs]
        expected = torch.cat([expected_advantages(DISCOUNTED, *row) for row in rows])
        is_plain = float((reported - expected).abs().max()) <= 1e-3 * float(expected.std())
        found.append(0.0 if is_plain else max(abs(float(reported.mean())), abs(float(reported.std()) - 1)))
    return max(found)


@check(
    "the KL penalty is part of every token's reward",
    quantity="largest difference from the formula, in standard deviations of the advantages",
    source="Ziegler et al. 2019 (arXiv:1909.08593), equation 2",
    at_most=1e-3,
    needs="advantages",
)
def kl_penalty_per_token(trainings: Trainings) -> float:
    """Recomputes advantages of three updates with kl_coef 0.5 times log(policy / start model) taken off each token.

    The log-probabilities come from the policy's weights before the update. A penalty on the last token alone, on the
    mean of the update, or in the loss in place of the reward shows. Tolerance: rounding of float32.
    """
    penalised = replace(DISCOUNTED, kl_coef=0.5)
    if residual(trainings, penalised, penalty=0.0) < 0.05 and residual(trainings, penalised) < 0.05:
        raise NotCheckedError("the policy hardly moved in two updates, so a penalty does not show in the advantages")
    return residual(trainings, penalised)


@check(
    "clipping acts",
    quantity="mean |log ratio| after 20 epochs with cliprange 0.02 over that with cliprange 1",
    source=f"{SCHULMAN_2017}, equation 7",
    at_most=0.5,
)
def clipping_acts(trainings: Trainings) -> float:
    """Learns from one update's answers 20 times over, in small steps, and compares how far their probabilities moved.

    Tolerance: this project's trainer and TRL 1.12's measure 0.17 and 0.23, a loss without clipping 1.
    """
    moved = []
    for cliprange in (0.02, 1.0):
        trained = trainings.run(Settings(epochs=20, cliprange=cliprange, learning_rate=5e-4), 1)
        rows = log_ratios(trained.episodes[0], trained.weights[1], trainings.start)
        moved.append(float(torch.cat(rows).abs().mean()))
    if moved[1] < 0.05:
        raise NotCheckedError(f"with cliprange 1 the probabilities moved by {moved[1]:.1g} nats per token only")
    return moved[0] / moved[1]


@check(
    "a dual clip bounds bad tokens that became likelier, and no others",
    quantity="movement that a bound of 1e6 changes, as a share of the update; 1 where a bound of 1.001 changes nothing",
    source="Ye et al. 2020 (arXiv:1912.09729), equation 5",
    at_most=1e-6,
    needs="dual_clip",
)
def dual_clip_acts(trainings: Trainings) -> float:
    """Learns from one update's answers 4 times over, without the bound and with bounds of 1.001 and of 1e6.

    No ratio reaches 1e6, so that bound has to change nothing: taken for positive advantages too, or in place of
    equation 7, it would stop the learning. Some bad token always becomes likelier, so a bound of 1.001 has to change
    something. Tolerance: none is needed; the same training twice gives the same weights.
    """
    learnt = {
        bound: trainings.run(Settings(epochs=4, cliprange=1.0, dual_clip=bound, learning_rate=1e-3), 1).weights[1]
        for bound in (None, 1.001, 1e6)
    }
    moved = distance(learnt[None], trainings.start)
    if distance(learnt[1.001], learnt[None]) < 1e-4 * moved:
        return 1.0
    return distance(learnt[1e6], learnt[None]) / moved


@check(
    "the probability ratio is 1 before the first step",
    quantity="largest |mean ratio - 1| of two updates with one step each, temperature 0.7",
    source=f"{SCHULMAN_2017}, section 3: r(theta_old) = 1",
    at_most=1e-4,
    needs="ratio",
)
def first_ratio_is_one(trainings: Trainings) -> float:
    """Takes the reported ratio of updates that have one optimizer step.

    Old log-probabilities of another temperature, with dropout, or of a sampler that computes something else give
    another ratio. Tolerance: rounding of float32 between sampling and training.
    """
    trained = trainings.run(Settings(temperature=0.7), 2)
    ratios = [record.ratio for record in trained.records if record.ratio is not None]
    if len(ratios) < 2:
        raise ValueError("the adapter declares the ability ratio, and a record has none")
    return max(abs(ratio - 1) for ratio in ratios)


@check(
    "statistics of the steps are over answer tokens",
    quantity="difference of the reported approx_kl from the nearest usual estimate, as a share of that",
    source="Schulman 2020, Approximating KL divergence; the mean is over sampled tokens",
    at_most=0.02,
    needs="approx_kl",
)
def statistics_leave_out_padding(trainings: Trainings) -> float:
    """Compares the approx_kl of an update of two steps with that of the policy after the first of them.

    That policy is the result of the same training with one step. A mean over padded positions, whose ratio is 1, is
    too small by the share of padding. Accepted are the means of -x, x^2 / 2 and e^x - 1 - x over answer tokens, with x
    the log ratio; the first step adds 0. Tolerance: far below the share of padding, a third here.
    """
    one_step = Settings(max_new_tokens=16)
    reported = trainings.run(replace(one_step, epochs=2), 1).records[0].approx_kl
    first_step = trainings.run(one_step, 1)
    if reported is None:
        raise ValueError("the adapter declares the ability approx_kl, and a record has none")
    x = torch.cat(log_ratios(first_step.episodes[0], first_step.weights[1], trainings.start)).double()
    estimates = [float(part.mean()) / 2 for part in (-x, x**2 / 2, torch.expm1(x) - x)]
    return min(abs(reported - estimate) / abs(estimate) for estimate in estimates)


@check(
    "micro-batches change nothing",
    quantity="distance of the weights with micro-batches from those without, as a share of the update",
    source="the gradient of a mean over tokens is a sum over micro-batches, divided once",
    at_most=0.01,
    needs="micro_batches",
)
def accumulation_is_exact(trainings: Trainings) -> float:
    """Trains one update with two minibatches of 8 episodes, whole and in micro-batches of 2.

    A mean per micro-batch weighs tokens of short answers more, and a step per micro-batch takes more steps.
    Tolerance: Adam's first steps turn rounding of gradients near 0 into movement; float32 gives less than 1e-3.
    """
    whole, parts = (trainings.run(Settings(epochs=2, minibatches=2, micro_batch=size), 1) for size in (None, 2))
    return distance(parts.weights[1], whole.weights[1]) / distance(whole.weights[1], trainings.start)


@check(
    "max_grad_norm acts",
    quantity="movement of the weights with max_grad_norm 1e-12 over that without a limit",
    source="Engstrom et al. 2020 (arXiv:2005.12729), section 3: global gradient clipping",
    at_most=0.1,
)
def gradient_norm_is_limited(trainings: Trainings) -> float:
    """Trains one update with and without a limit so low that Adam's epsilon outweighs every gradient.

    Tolerance: an epsilon of 1e-8 or more leaves less than a hundredth of the movement.
    """
    free, limited = (trainings.run(Settings(max_grad_norm=norm), 1) for norm in (1e9, 1e-12))
    return distance(limited.weights[1], trainings.start) / distance(free.weights[1], trainings.start)
