"""Distinct-2 of a whole evaluation: different word pairs over all word pairs.

It is a property of the set, not a sum over prompts, and an ordinary bootstrap is invalid for it: resampled
duplicates drag it down. So intervals come from a grouped jackknife and tests from swapping prompts.

Not here: the other statistics (`statistic`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

from ppo_cli.analysis.statistic import quotient
from ppo_cli.analysis.table import Floats, Table
from ppo_cli.analysis.words import words

FIRST_WORDS = 16
"""Distinct-n depends on length, so only the first so many words of each answer count."""
GROUPS = 20
"""Groups of prompts that the jackknife leaves out in turn."""


@dataclass(frozen=True)
class PairCounts:
    """How often each word pair occurs in a prompt's answers, for one or two policies over one vocabulary."""

    counts: tuple[sparse.csr_array, ...]
    """For each policy [prompts, different pairs]."""

    def distinct(self, keep: Floats, policy: int) -> Floats:
        """Distinct-2 for each row of prompt choices [draws, prompts] of 0 and 1."""
        return _share(keep @ self.counts[policy])

    def different_per_prompt(self, policy: int) -> Floats:
        """Number of different word pairs in each prompt's answers [prompts]."""
        return np.asarray(np.diff(self.counts[policy].indptr), dtype=float)


def count_pairs(*tables: Table) -> PairCounts:
    """Counts the word pairs of one or two tables with the same prompts."""
    vocabulary: dict[tuple[str, str], int] = {}
    matrices = []
    for table in tables:
        rows, columns = [], []
        for row, answers in enumerate(table.texts):
            for answer in answers:
                start = words(answer)[:FIRST_WORDS]
                for pair in pairwise(start):
                    rows.append(row)
                    columns.append(vocabulary.setdefault(pair, len(vocabulary)))
        matrices.append((rows, columns, len(table.texts)))
    width = max(1, len(vocabulary))
    return PairCounts(
        tuple(
            sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(height, width))
            for rows, columns, height in matrices
        )
    )


def jackknife_error(values: Floats) -> float:
    """Standard error from the statistic with each group left out [groups]."""
    groups = len(values)
    return float(np.sqrt((groups - 1) / groups * ((values - values.mean()) ** 2).sum()))


def leave_group_out(prompts: int) -> Floats:
    """Prompt choices [groups, prompts], each leaving one group out; neighbours in id order go to other groups."""
    groups = min(GROUPS, prompts)
    kept = np.arange(prompts)[None, :] % groups != np.arange(groups)[:, None]
    return np.asarray(kept, dtype=float)


def swapped_difference(pairs: PairCounts, swap: Floats) -> Floats:
    """Distinct-2 of B minus A after swapping the prompts marked 1 in each row of `swap` [draws, prompts]."""
    before, after = pairs.counts
    differences = []
    for rows in np.array_split(swap, max(1, len(swap) // 100)):
        stay = 1 - rows
        differences.append(_share(rows @ before + stay @ after) - _share(rows @ after + stay @ before))
    return np.concatenate(differences)


def _share(counts: Floats) -> Floats:
    return quotient((counts > 0).sum(axis=1), counts.sum(axis=1))
