"""P-values of paired comparisons, and their corrections for several measures.

Not here: intervals (`intervals`), the random swaps (`resampling`).
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from ppo_cli.stats.label_matrix import Floats
from ppo_cli.stats.measure_statistics import PromptStatistics
from ppo_cli.stats.resampling import DRAWS, TIE, swaps_of


def swap_test(a: PromptStatistics, b: PromptStatistics, owner: str) -> float:
    """Share of random swaps of A and B, per prompt or cluster, whose difference is at least the observed one."""
    observed = abs(float((b.value() or 0.0) - (a.value() or 0.0)))
    if np.array_equal(a.values, b.values):
        return 1.0
    exchanged = swaps_of(a, owner, DRAWS) @ (b.weighted - a.weighted)
    swapped_a, swapped_b = a.weighted.sum(axis=0) + exchanged, b.weighted.sum(axis=0) - exchanged
    differences = np.abs(a.combine(swapped_b) - a.combine(swapped_a))
    return float((1 + (differences >= observed - TIE).sum()) / (DRAWS + 1))


def mcnemar(before: Floats, after: Floats) -> float:
    """Exact two-sided p-value over the prompts whose yes/no changed."""
    rose, fell = int((after > before).sum()), int((after < before).sum())
    return float(stats.binomtest(rose, rose + fell, 0.5).pvalue) if rose + fell else 1.0


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjustment: the chance of any false positive among them stays below the level."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def benjamini_hochberg(p_values: list[float]) -> list[float]:
    """Adjusted p-values: of those below the level, the expected share of false positives stays below it."""
    return [float(value) for value in stats.false_discovery_control(p_values)] if p_values else []
