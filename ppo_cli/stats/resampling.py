"""Random resamples of prompts: bootstrap weights and swaps of two policies, the same for a measure in every comparison.

Not here: intervals (`intervals`) and p-values (`significance`) made from them.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from ppo_cli.stats.label_matrix import Floats
from ppo_cli.stats.measure_statistics import PromptStatistics

DRAWS = 4000
"""Resamples of a bootstrap and of a swap test, whose smallest p-value is 1 / (DRAWS + 1)."""
CHUNK = 250
"""Resamples that are drawn at a time."""
TIE = 1e-12
"""Smaller differences are rounding."""


def rng_for(owner: str) -> np.random.Generator:
    """A generator that depends on the owner alone, so that a measure is resampled alike in every comparison."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(owner.encode()).digest()[:8], "little"))


def bootstrap_weights(statistics: PromptStatistics, owner: str) -> Floats:
    """How often each prompt is drawn [draws, prompts]; every stratum keeps its number of prompts or clusters."""
    generator = rng_for(f"bootstrap {owner}")
    strata = _strata_of_units(statistics)
    weights = np.zeros((DRAWS, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        for begin in range(0, DRAWS, CHUNK):  # small enough for the processor's cache
            drawn = generator.integers(len(members), size=(CHUNK, len(members)))
            indices = (drawn + np.arange(CHUNK)[:, None] * len(members)).ravel()
            counts = np.bincount(indices, minlength=drawn.size).reshape(drawn.shape)
            weights[begin : begin + CHUNK, members] = counts
    return weights if statistics.clusters is None else weights[:, _units(statistics.clusters)]


def random_swaps(owner: str, draws: int, prompts: int) -> Floats:
    """Which prompts are swapped: 0 or 1 [draws, prompts]."""
    size = draws * prompts
    bits = np.frombuffer(rng_for(f"swap {owner}").bytes(-(-size // 8)), dtype=np.uint8)
    return np.unpackbits(bits)[:size].reshape(draws, prompts).astype(float)


def smallest_stratum(statistics: PromptStatistics) -> int:
    """Prompts, or clusters of prompts, in the smallest stratum."""
    return int(np.unique(_strata_of_units(statistics), return_counts=True)[1].min())


def swaps_of(statistics: PromptStatistics, owner: str, draws: int) -> Floats:
    """Which prompts are swapped [draws, prompts], those of a cluster together."""
    if statistics.clusters is None:
        return random_swaps(owner, draws, len(statistics.values))
    units = _units(statistics.clusters)
    return random_swaps(owner, draws, int(units.max(initial=-1)) + 1)[:, units]


def _units(clusters: NDArray[np.intp]) -> NDArray[np.intp]:
    """Clusters numbered without gaps [prompts]."""
    return np.asarray(np.unique(clusters, return_inverse=True)[1], dtype=np.intp)


def _strata_of_units(statistics: PromptStatistics) -> NDArray[np.intp]:
    """The stratum of each prompt, or of each cluster; clusters with prompts of several strata are one of their own."""
    if statistics.clusters is None:
        return statistics.strata
    units, mixed = _units(statistics.clusters), int(statistics.strata.max(initial=0)) + 1
    lowest, highest = np.full(units.max(initial=-1) + 1, mixed), np.full(units.max(initial=-1) + 1, -1)
    np.minimum.at(lowest, units, statistics.strata)
    np.maximum.at(highest, units, statistics.strata)
    return np.where(lowest == highest, lowest, mixed).astype(np.intp)
