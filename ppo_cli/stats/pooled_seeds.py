"""Step 0 against the last step over the seeds of one setting: the mean change, with a t interval over seeds.

All seeds start from one model and answer the prompts that step 0 answered, so step 0 is one number, and the choice of
prompts is not counted again with every seed. The interval covers the training seed and the sampling of the answers, for
these prompts.

Not here: two settings (`seed_variance`), the t test (`seed_test`), intervals over prompts (`intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ppo_cli.records.comparisons import PooledChange
from ppo_cli.records.measures import Measure
from ppo_cli.stats.seed_test import no_test, t_test


def pooled_change(measure: Measure, before: float, after: Sequence[float]) -> PooledChange | None:
    """The change of a measure from step 0 over seeds; None without a seed, or where a length is 0.

    Args:
        measure: what is compared, with the smallest change of it that matters.
        before: its value at step 0.
        after: its value at the last step of each seed.
    """
    is_ratio = measure.statistic == "geometric_mean"
    if not after or (is_ratio and min(before, *after) <= 0):
        return None
    start, ends = (math.log(before), np.log(after)) if is_ratio else (before, np.array(after, dtype=float))
    mean = float(ends.mean())
    test = no_test(mean - start)
    if len(ends) > 1:
        test = t_test(mean - start, float(ends.std(ddof=1)) / math.sqrt(len(ends)), len(ends) - 1)
    return PooledChange(
        before=before,
        after=math.exp(mean) if is_ratio else mean,
        change=test.as_over_seeds(measure),
        seeds=len(ends),
    )
