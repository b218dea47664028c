"""Step 0 against the last step over the seeds of one setting: the mean change, with a t interval over seeds.

All seeds start from one model and answer the prompts that step 0 answered, so step 0 is one number, and the choice of
prompts is not counted again with every seed. The interval covers the training seed and the sampling of the answers, for
these prompts.

Not here: two settings (`seed_variance`), intervals over prompts (`intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ppo_cli.records.measures import Measure
from ppo_cli.stats.intervals import t_interval
from ppo_cli.stats.resampling import TIE


@dataclass(frozen=True, kw_only=True)
class PooledChange:
    """A measure at step 0 and, as the mean over seeds, at the last step."""

    before: float
    after: float
    """Mean over seeds; the geometric mean for a geometric mean."""
    difference: float
    """After - before; for a geometric mean the ratio."""
    low_95: float | None
    high_95: float | None
    """95 % interval of the difference over seeds; None for one seed, and where all seeds have the same value."""
    p_value: float | None
    """Two-sided, of the same t test; None where there is no interval."""
    seeds: int

    def differs(self, measure: Measure) -> bool:
        """Whether the interval excludes no change."""
        neutral = 1.0 if measure.statistic == "geometric_mean" else 0.0
        return self.low_95 is not None and self.high_95 is not None and not self.low_95 <= neutral <= self.high_95


def pooled_change(measure: Measure, before: float, after: Sequence[float]) -> PooledChange | None:
    """The change of a measure from step 0 over seeds; None without a seed, or where a length is 0.

    Args:
        measure: what is compared.
        before: its value at step 0.
        after: its value at the last step of each seed.
    """
    is_ratio = measure.statistic == "geometric_mean"
    if not after or (is_ratio and min(before, *after) <= 0):
        return None
    start, ends = (math.log(before), np.log(after)) if is_ratio else (before, np.array(after, dtype=float))
    mean, spread = float(ends.mean()), float(ends.std(ddof=1)) if len(ends) > 1 else 0.0
    low = high = p_value = None
    if spread > TIE:
        error, freedom = spread / math.sqrt(len(ends)), len(ends) - 1
        low, high = t_interval(mean - start, error, freedom)
        low, high = (math.exp(low), math.exp(high)) if is_ratio else (low, high)
        p_value = 2 * float(stats.t.sf(abs(mean - start) / error, freedom))
    return PooledChange(
        before=before,
        after=math.exp(mean) if is_ratio else mean,
        difference=math.exp(mean - start) if is_ratio else mean - start,
        low_95=low,
        high_95=high,
        p_value=p_value,
        seeds=len(ends),
    )
