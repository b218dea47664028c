"""Prompts that vary together, such as those of one category or pair: standard errors and sizes that allow for it.

Where clusters are given, a cluster is drawn, swapped and left out as one, and standard errors are robust to it (Liang
and Zeger 1986), with one degree of freedom less than there are clusters.

Not here: random resamples (`resampling`), which key of a config names the clusters (`label_matrix`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ppo_cli.stats.label_matrix import Floats

TINY = 1e-24
"""Smaller variances are rounding."""
LEVEL = 0.95


def cluster_numbers(names: Sequence[str]) -> NDArray[np.intp]:
    """The clusters of prompts as numbers from 0 [prompts]."""
    return np.asarray(np.unique(np.array(names, dtype=str), return_inverse=True)[1], dtype=np.intp)


def mean_error(values: Floats, clusters: NDArray[np.intp] | None) -> tuple[float, int]:
    """The standard error of the mean of a value per prompt, and its degrees of freedom; NaN for a single unit.

    Args:
        values: one per prompt.
        clusters: the cluster of each prompt; None takes each prompt alone.
    """
    if clusters is None:
        error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
        return error, len(values) - 1
    present, numbers = np.unique(clusters, return_inverse=True)
    count = len(present)
    if count < 2:
        return math.nan, count - 1
    sums = np.bincount(numbers, weights=values - values.mean(), minlength=count)
    return float(np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values)), count - 1


def independent_share(shares: Sequence[Floats], clusters: NDArray[np.intp] | None) -> float:
    """What an effective number of answers is multiplied by because prompts vary together: 1 over the design effect.

    The variances of all policies are pooled; the design effect of two is at least that of their difference. Where no
    prompt differs from another nothing is known, and a cluster counts as one prompt. Few clusters count for less, as a
    t interval is longer than a normal one.

    Args:
        shares: per policy a value per prompt.
        clusters: the cluster of each prompt; None takes each prompt alone.
    """
    if clusters is None:
        return 1.0
    count, prompts = len(np.unique(clusters)), len(clusters)
    if count < 2:
        return 1 / prompts
    independent = _independent(shares, clusters, count)
    if len(shares) == 2:  # topics may move together in the difference more than in either policy
        independent = min(independent, _independent([shares[1] - shares[0]], clusters, count))
    tail = (1 + LEVEL) / 2
    return independent * float((stats.norm.ppf(tail) / stats.t.ppf(tail, count - 1)) ** 2)


def _independent(shares: Sequence[Floats], clusters: NDArray[np.intp], count: int) -> float:
    """Variance of the means of prompts that each vary alone, over that of prompts in clusters; at most 1."""
    alone = sum(mean_error(share, None)[0] ** 2 for share in shares)
    together = sum(mean_error(share, clusters)[0] ** 2 for share in shares)
    return count / len(clusters) if alone <= TINY else min(1.0, alone / max(together, TINY))
