"""Best of n: the reward of the best of n answers, how far it is from the model that gave them, and which answers it is.

Not here: sampling and scoring (`preflight`), the measures of the chosen answers (`comparison`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ppo_cli.stats.label_matrix import Floats


def kl_bound(n: int) -> float:
    """The largest KL between the best of n answers and the model that gives them, nats per answer: log n - (n - 1) / n.

    Stiennon et al. 2020 (arXiv 2009.01325); Beirami et al. 2024 (arXiv 2401.01879) prove that it is an upper bound,
    which is far from the KL itself where many answers have the same reward.
    """
    return math.log(n) - (n - 1) / n


def expected_best(rewards: Floats, n: int) -> Floats:
    """The expected reward of the best of n answers to each prompt, without bias: the mean over all choices of n draws.

    Args:
        rewards: [prompts, draws].
        n: at most the number of draws.

    Returns:
        [prompts].
    """
    draws = rewards.shape[1]
    weights = [math.comb(rank, n - 1) / math.comb(draws, n) for rank in range(draws)]
    return np.asarray(np.sort(rewards, axis=1) @ np.array(weights))


def best_of_groups(rewards: Floats, n: int) -> NDArray[np.intp]:
    """The draw with the highest reward in each group of n draws that follow one another; of equal ones the first.

    Args:
        rewards: [prompts, draws].
        n: draws per group; draws that fill no group are left out.

    Returns:
        Numbers of draws [prompts, groups].
    """
    prompts, draws = rewards.shape
    groups = draws // n
    best = rewards[:, : groups * n].reshape(prompts, groups, n).argmax(axis=2)
    return np.asarray(best + n * np.arange(groups), dtype=np.intp)
