"""A placebo: the rewards of an update permuted among its answers, so that they say nothing about them.

A run with permuted rewards shows what the same steps do without a reward that means anything: drift, sampling noise and
the KL penalty. It is the control arm of the run with true rewards.

Not here: scoring (`rewards`), where the run is marked as a placebo (`experiment.schema`, key `reward.placebo`).
"""

from __future__ import annotations

import numpy as np
import torch

from ppo_cli.models.sampling import keyed_uniforms


def permuted(rewards: torch.Tensor, seed: int, update: int) -> torch.Tensor:
    """The rewards of all episodes of an update in another order, which seed and update decide.

    Args:
        rewards: [N].
        seed: of the run.
        update: counted from 1.
    """
    order = np.argsort(keyed_uniforms(seed, "placebo", update, count=len(rewards)), kind="stable")
    return rewards[torch.from_numpy(order).to(rewards.device)]
