"""How much the training seed alone changes a measure: values per seed, and two settings compared over their seeds.

Intervals over prompts show that two checkpoints differ. Whether a setting caused the difference takes several runs of
each setting that differ in their seed only; below MIN_SEEDS per arm, values are shown and no cause is claimed.

| question          | interval                                                | test                    |
| these checkpoints | over prompts, answers averaged over seeds (`intervals`) | swap A and B per prompt |
| this setting      | t over seeds, for these prompts                         | the same t test         |

Where both arms have the same seeds, two runs of one seed are a pair: they begin with the same adapters and sample from
the same random numbers. Other arms are compared by Welch's test. All seeds answer the same prompts, so the choice of
prompts is not counted again with every seed.

Not here: which runs are seeds of one arm (`comparability`), the t test itself (`seed_test`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ppo_cli.records.comparisons import SeedSpread
from ppo_cli.records.measures import Measure
from ppo_cli.stats import corpus_metrics
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.measure_statistics import prompt_statistics
from ppo_cli.stats.seed_test import SeedTest, no_test, t_test

MIN_SEEDS = 3
"""Seeds per arm from which a difference may be called CHANGED and a cause named, where the interval over seeds excludes
no difference."""


def seed_spread(
    measure: Measure,
    before: Sequence[LabelMatrix],
    after: Sequence[LabelMatrix],
    seeds: tuple[Sequence[int], Sequence[int]],
) -> SeedSpread | None:
    """A measure of every seed of two arms, and the t test of the settings' difference over seeds.

    Args:
        measure: what is compared, with the smallest change of it that matters.
        before: one matrix per seed of arm A, all of the same prompts.
        after: the same of arm B.
        seeds: those of both arms, in the order of their matrices.

    Returns:
        None where a seed has no value.
    """
    values = [[value_of(measure, matrix) for matrix in arm] for arm in (before, after)]
    a, b = ([value for value in arm if value is not None] for arm in values)
    if len(a) < len(before) or len(b) < len(after):
        return None
    paired = share_seeds(seeds)
    test = paired_t(np.array(a), np.array([b[seeds[1].index(seed)] for seed in seeds[0]])) if paired else None
    test = test or welch(np.array(a), np.array(b))
    on_scale = math.exp if measure.statistic == "geometric_mean" else float
    return SeedSpread(
        name=measure.name,
        before=tuple(map(on_scale, a)),
        after=tuple(map(on_scale, b)),
        paired=paired,
        change=test.as_over_seeds(measure),
    )


def share_seeds(seeds: tuple[Sequence[int], Sequence[int]]) -> bool:
    """Whether both arms have the same seeds, two or more, so that their runs are pairs."""
    first, second = sorted(seeds[0]), sorted(seeds[1])
    return len(first) > 1 and first == second and len(set(first)) == len(first)


def value_of(measure: Measure, matrix: LabelMatrix) -> float | None:
    """A measure of one policy without an interval; on the log scale for a geometric mean."""
    if measure.statistic not in corpus_metrics.CORPORA:
        return prompt_statistics(measure, matrix).value()
    prompts = len(matrix.prompt_ids)
    if not prompts:
        return None
    value = float(corpus_metrics.CORPORA[measure.statistic]([matrix]).at(np.ones((1, prompts)))[0])
    return value if math.isfinite(value) else None


def seed_deviation(measures: Sequence[Measure], runs: Sequence[LabelMatrix]) -> Mapping[str, float]:
    """The standard deviation of each measure over the seeds of one setting.

    Args:
        measures: those to compute it for.
        runs: one matrix per seed, two or more.

    Returns:
        Measure name to standard deviation, a ratio for a geometric mean; measures without data are left out.
    """
    result: dict[str, float] = {}
    for measure in measures:
        values = [value for matrix in runs if (value := value_of(measure, matrix)) is not None]
        if len(values) == len(runs):
            deviation = float(np.std(values, ddof=1))
            result[measure.name] = math.exp(deviation) if measure.statistic == "geometric_mean" else deviation
    return result


def paired_t(a: Floats, b: Floats) -> SeedTest:
    """The t test of differences within pairs of seeds, two pairs or more."""
    differences = b - a
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return t_test(float(b.mean() - a.mean()), error, len(differences) - 1)


def welch(a: Floats, b: Floats) -> SeedTest:
    """Welch's t test of the means of two arms; no interval where an arm has one seed."""
    difference = float(b.mean() - a.mean())
    if min(len(a), len(b)) < 2:
        return no_test(difference)
    squares = [float(arm.var(ddof=1)) / len(arm) for arm in (a, b)]
    error = math.sqrt(sum(squares))
    below = sum(square**2 / (len(arm) - 1) for square, arm in zip(squares, (a, b), strict=True))
    return t_test(difference, error, error**4 / below if below > 0 else 1.0)
