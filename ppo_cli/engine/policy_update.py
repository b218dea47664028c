"""The optimizer steps of one update: PPO's losses over minibatches, for policy and critic together.

Not here: the formulas of the losses (`ppo_math`), the passes that give log-probabilities and values (`forward_passes`),
the experience that is learnt from (`trainer`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ppo_cli.engine import ppo_math
from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.experience import AFTER_NON_FINITE, Experience
from ppo_cli.engine.forward_passes import ForwardPasses
from ppo_cli.engine.optimizer import MasterWeights
from ppo_cli.engine.rollouts import Rollouts, answer_masks
from ppo_cli.engine.sharding import whole
from ppo_cli.errors import PpoError
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.device import float64_device
from ppo_cli.models.sampling import keyed_uniforms
from ppo_cli.records.events import EventHandler, Phase, Progress

STATISTICS = ("policy_loss", "value_loss", "approx_kl", "clip_fraction", "ratio")
"""What an optimizer step reports of its losses, by the names of UpdateMetrics."""
VALUE_LOSS_WEIGHT = 0.1
"""Of the critic's loss beside the policy's, as in TRL and in Ziegler et al. 2019. It is no key: policy and critic share
no weight, each is clipped to its own norm, and Adam divides by the size of the gradient, so another weight changes
next to nothing."""


@dataclass(frozen=True)
class PolicyUpdater:
    """Learns from an update's experience."""

    experiment: Experiment
    passes: ForwardPasses
    accelerator: Any
    """accelerate's Accelerator, as TRL made it."""
    optimizer: Any
    """The same optimizer as `adamw`, as the accelerator wraps it."""
    process_group: ProcessGroup
    on_event: EventHandler

    @property
    def adamw(self) -> MasterWeights:
        """The optimizer itself: one group of the policy's weights, one of the critic's."""
        adamw: MasterWeights = self.optimizer.optimizer
        return adamw

    def run(self, update: int, rollouts: Rollouts, experience: Experience) -> dict[str, float]:
        """PPO epochs over minibatches in a seeded order, with one optimizer step per minibatch.

        Args:
            update: counted from 1; keys the order.
            rollouts: this process's shard of the update's episodes.
            experience: of the same episodes.

        Returns:
            Means over the optimizer steps, by the names of UpdateMetrics.

        Raises:
            PpoError: a gradient is not finite; the step was not taken.
        """
        ppo = self.experiment.ppo
        size = ppo.episodes_per_update // ppo.minibatches
        self.on_event(Phase(name=f"update {update}: learning", total=ppo.epochs * ppo.minibatches, unit="steps"))
        steps: list[dict[str, float]] = []
        for epoch in range(ppo.epochs):
            uniforms = keyed_uniforms(self.experiment.seed, "minibatches", update, epoch, count=ppo.episodes_per_update)
            order = np.argsort(uniforms, kind="stable").tolist()
            for number in range(ppo.minibatches):
                rows = order[number * size : (number + 1) * size]
                steps.append(self.minibatch_step(update, rows, rollouts, experience))
                self.on_event(Progress(done=len(steps)))
                if self._is_far(steps[-1]):
                    return _means(steps)
        return _means(steps)

    def _is_far(self, statistics: Mapping[str, float]) -> bool:
        """Whether the policy, as a step found it, is further than target_kl from the one that sampled the answers."""
        target = self.experiment.ppo.target_kl
        return target is not None and statistics["approx_kl"] > target

    def minibatch_step(
        self, update: int, rows: Sequence[int], rollouts: Rollouts, experience: Experience
    ) -> dict[str, float]:
        """One optimizer step on one minibatch; gradients are accumulated over micro-batches of similar length.

        Args:
            update: counted from 1, for messages.
            rows: the minibatch, as indices among the N episodes of all processes.
            rollouts: this process's shard of the update's episodes.
            experience: of the same episodes.

        Returns:
            What the step reports, over the whole minibatch, by the names of UpdateMetrics.

        Raises:
            PpoError: a gradient is not finite; the step was not taken.
        """
        ppo, group = self.experiment.ppo, self.process_group
        critic_alone = update <= ppo.critic_warmup_updates
        # Every process divides by the counts of the whole minibatch, so that sums over processes are means.
        tokens, steps = (mask.sum() for mask in answer_masks(experience.lengths[rows], rollouts.targets.shape[1]))
        own_rows = [row // group.world_size for row in rows if row % group.world_size == group.rank]
        # 1. to 4.: gradients of the losses, in passes that fit into memory.
        sums = self.passes.fitting(
            lambda: self._accumulate(own_rows, rollouts, experience, (tokens, steps), critic_alone), own_rows, rollouts
        )
        # 5. Gradients of all processes, then one step. Those of sharded layers are sums already.
        if not group.sharded:
            group.all_reduce_(self.adamw.gradients())
        statistics = self._sum_over_processes(sums, rollouts.ids.device)
        if critic_alone:
            self._forget_policy_gradients()
        if ppo.target_kl_skips_step and self._is_far(statistics):
            self.optimizer.zero_grad()
            return {**statistics, "grad_norm": 0.0}
        return {**statistics, "grad_norm": self._clip_and_step(update)}

    def _accumulate(
        self,
        rows: Sequence[int],
        rollouts: Rollouts,
        experience: Experience,
        counts: tuple[torch.Tensor, torch.Tensor],
        critic_alone: bool,
    ) -> dict[str, float]:
        """Gradients of the losses on this process's rows of a minibatch, summed over micro-batches in float32.

        Args:
            rows: indices among this process's episodes.
            rollouts: this process's shard of the update's episodes.
            experience: of the same episodes.
            counts: answer tokens and values of the whole minibatch.
            critic_alone: whether the policy does not learn yet.

        Returns:
            This process's part of every statistic.
        """
        ppo, (tokens, steps) = self.experiment.ppo, counts
        self.adamw.discard_gradients()
        sums = dict.fromkeys(STATISTICS, 0.0)
        parts = list(self.passes.micro_batches(rows, rollouts))
        passes_missing = self.passes.passes_missing(len(parts))
        for part, length in parts:
            # 1. Log-probabilities and values of these answers under the policy and the critic as they are now.
            logprobs, values = self.passes.logprobs_and_values(
                rollouts, experience.activations, experience.features, part, length
            )
            # 2. The clipped surrogate over answer tokens.
            mask, value_mask = rollouts.response_mask[part], rollouts.value_mask[part]
            log_ratio = logprobs - experience.old_logprobs[part][mask]
            policy_losses, clipped = ppo_math.policy_loss(
                log_ratio, experience.advantages[part][mask], ppo.cliprange, ppo.dual_clip
            )
            # 3. The critic's clipped squared error over answer tokens and the step after.
            old_values, returns = experience.values[part][value_mask], experience.returns[part][value_mask]
            value_losses = ppo_math.value_loss(values, old_values, returns, ppo.cliprange_value)
            # 4. Gradients, accumulated in float32.
            policy_loss, value_loss = policy_losses.sum() / tokens, value_losses.sum() / steps
            weighted = VALUE_LOSS_WEIGHT * value_loss
            self.accelerator.backward(weighted if critic_alone else policy_loss + weighted)
            self.adamw.collect_gradients()

            change = log_ratio.detach()
            sums["policy_loss"] += float(policy_loss.detach())
            sums["value_loss"] += float(value_loss.detach())
            sums["approx_kl"] += float(0.5 * (change**2).sum() / tokens)
            sums["clip_fraction"] += float(clipped.sum() / tokens)
            sums["ratio"] += float(change.clamp(max=ppo_math.MAX_LOG_RATIO).exp().sum() / tokens)
        for _ in range(passes_missing):
            policy_zero, value_zero = self.passes.zero_losses(rollouts, experience.activations, experience.features)
            self.accelerator.backward(value_zero if critic_alone else policy_zero + value_zero)
            self.adamw.collect_gradients()
        return sums

    def _forget_policy_gradients(self) -> None:
        """Makes Adam leave the policy out of the step, its moments and its count of steps too."""
        for master in self.adamw.param_groups[0]["params"]:
            master.grad = None

    def _clip_and_step(self, update: int) -> float:
        """Scales the gradients of policy and critic down to max_grad_norm each, and steps.

        Returns:
            The policy's gradient norm before.

        Raises:
            PpoError: a gradient is not finite; this minibatch changed nothing.
        """
        limit = self.experiment.ppo.max_grad_norm
        groups = self.adamw.param_groups
        norms = [float(whole(torch.nn.utils.clip_grad_norm_(group["params"], limit))) for group in groups]
        if not np.isfinite(norms).all():
            self.optimizer.zero_grad()
            raise PpoError(f"A gradient is not finite in update {update}, so the step was not taken.", AFTER_NON_FINITE)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norms[0]

    def _sum_over_processes(self, sums: Mapping[str, float], device: torch.device) -> dict[str, float]:
        """Adds up what every process summed over its own rows."""
        values = torch.tensor(list(sums.values()), dtype=torch.float64, device=float64_device(device))
        self.process_group.all_reduce_([values])
        return dict(zip(sums, values.tolist(), strict=True))


def _means(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every statistic over the optimizer steps, added up one by one in their order."""
    totals = dict.fromkeys(steps[0], 0.0)
    for step in steps:
        for name, value in step.items():
            totals[name] += value
    return {name: total / len(steps) for name, total in totals.items()}
