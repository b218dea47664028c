"""How much the training seed alone changes a measure: values per seed, intervals over seeds, Welch's test.

Intervals over prompts show that two checkpoints differ. Whether a setting caused the difference takes several runs of
each setting that differ in their seed only; below MIN_SEEDS per arm, values are shown and no cause is claimed.

| question          | interval                                                 | test                           |
| these checkpoints | over prompts, answers averaged over seeds (`intervals`)  | swap A and B per prompt        |
| this setting      | bootstrap of seeds, then prompts, widened for few seeds  | Welch's t of the seeds' values |

Not here: which runs are seeds of one arm (`comparability`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from ppo_cli.records.comparisons import SeedSpread
from ppo_cli.records.measures import Measure
from ppo_cli.stats import corpus_metrics
from ppo_cli.stats.intervals import LEVEL, bootstrap_interval
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.measure_statistics import PromptStatistics, prompt_statistics
from ppo_cli.stats.resampling import DRAWS, TIE, bootstrap_weights, rng_for, stream_of

MIN_SEEDS = 3
"""Seeds per arm from which a difference may be called CHANGED and a cause named: where the interval over seeds excludes
no difference and Welch's test agrees."""


def seed_spread(measure: Measure, before: Sequence[LabelMatrix], after: Sequence[LabelMatrix]) -> SeedSpread | None:
    """A measure of every seed of two arms, and the interval and test of the settings' difference.

    Args:
        measure: what is compared.
        before: one matrix per seed of arm A, all of the same prompts.
        after: the same of arm B.

    Returns:
        None where a seed has no value.
    """
    values = [[value_of(measure, matrix) for matrix in arm] for arm in (before, after)]
    a, b = ([value for value in arm if value is not None] for arm in values)
    if len(a) < len(before) or len(b) < len(after):
        return None
    low = high = None
    if min(len(a), len(b)) > 1 and measure.statistic not in corpus_metrics.CORPORA:
        low, high = _seeds_then_prompts(measure, before, after)
    difference, welch_low, welch_high, p_value = welch(np.array(a), np.array(b))
    on_scale = math.exp if measure.statistic == "geometric_mean" else float

    def shown(number: float | None) -> float | None:
        return None if number is None else on_scale(number)

    return SeedSpread(
        name=measure.name,
        before=tuple(map(on_scale, a)),
        after=tuple(map(on_scale, b)),
        difference=on_scale(difference),
        low_95=shown(low),
        high_95=shown(high),
        welch_low=shown(welch_low),
        welch_high=shown(welch_high),
        welch_p=p_value,
    )


def value_of(measure: Measure, matrix: LabelMatrix) -> float | None:
    """A measure of one policy without an interval; on the log scale for a geometric mean."""
    if measure.statistic not in corpus_metrics.CORPORA:
        return prompt_statistics(measure, matrix).value()
    prompts = len(matrix.prompt_ids)
    if not prompts:
        return None
    value = float(corpus_metrics.CORPORA[measure.statistic]([matrix]).at(np.ones((1, prompts)))[0])
    return value if math.isfinite(value) else None


def rms_seed_difference(measures: Sequence[Measure], runs: Sequence[LabelMatrix]) -> Mapping[str, float]:
    """The root mean square difference between two runs of one setting, over pairs of seeds.

    Args:
        measures: those to compute it for.
        runs: one matrix per seed, two or more.

    Returns:
        Measure name to difference, a ratio for a geometric mean; measures without data are left out.
    """
    result: dict[str, float] = {}
    for measure in measures:
        values = [value for matrix in runs if (value := value_of(measure, matrix)) is not None]
        if len(values) == len(runs):
            difference = math.sqrt(2) * float(np.std(values, ddof=1))
            result[measure.name] = math.exp(difference) if measure.statistic == "geometric_mean" else difference
    return result


def _seeds_then_prompts(
    measure: Measure, before: Sequence[LabelMatrix], after: Sequence[LabelMatrix]
) -> tuple[float, float]:
    """Draws seeds within each arm and, the same for both arms, prompts."""
    arms = [[prompt_statistics(measure, matrix) for matrix in arm] for arm in (before, after)]
    common = set.intersection(*(set(statistics.prompt_ids) for arm in arms for statistics in arm))
    arms = [[statistics.only(common) for statistics in arm] for arm in arms]
    prompts = bootstrap_weights(arms[0][0], stream_of(measure))
    means = [float(np.mean([statistics.value() or 0.0 for statistics in arm])) for arm in arms]
    owners = ("lower", "higher") if means[0] <= means[1] else ("higher", "lower")  # the same when arms are swapped
    a, b = (
        _resampled(arm, prompts, f"seeds {owner} {stream_of(measure)}") for arm, owner in zip(arms, owners, strict=True)
    )
    return bootstrap_interval(b - a, min(len(before), len(after)))


def _resampled(arm: Sequence[PromptStatistics], prompts: Floats, owner: str) -> Floats:
    """The statistic of an arm for each draw of seeds and prompts [draws]."""
    seeds = rng_for(owner).multinomial(len(arm), np.full(len(arm), 1 / len(arm)), DRAWS) / len(arm)
    sums = sum(seeds[:, [index]] * (prompts @ statistics.values) for index, statistics in enumerate(arm))
    return arm[0].combine(np.asarray(sums))


def welch(a: Floats, b: Floats) -> tuple[float, float | None, float | None, float | None]:
    """Difference of the means of seeds, its 95 % interval and Welch's p-value; the last three None with one seed."""
    difference = float(b.mean() - a.mean())
    if min(len(a), len(b)) < 2:
        return difference, None, None, None
    if math.sqrt(float(a.var(ddof=1)) / len(a) + float(b.var(ddof=1)) / len(b)) < TIE:  # t is not defined
        return difference, difference, difference, 1.0 if abs(difference) < TIE else 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of an arm whose seeds agree to the last digit
        result = stats.ttest_ind(b, a, equal_var=False)
    interval = result.confidence_interval(LEVEL)
    return difference, float(interval.low), float(interval.high), float(result.pvalue)
