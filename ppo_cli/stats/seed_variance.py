"""The luck of a training seed: each seed's value, the interval over seeds and prompts, Welch's test, the noise floor.

Intervals over prompts say that these checkpoints differ. Whether a setting made the difference takes several runs of
each setting that differ in their seed only; below ENOUGH of them an arm, values are shown and little is claimed.

| question         | interval                                                  | test                          |
| these checkpoints| over prompts, answers averaged over seeds (`inference`)   | swap A and B per prompt       |
| this setting     | bootstrap of seeds, then prompts, widened for few seeds   | Welch's t of the seeds' values|

Not here: which runs are one arm (`comparability`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from ppo_cli.records.comparisons import SeedSpread
from ppo_cli.records.measures import Measure
from ppo_cli.stats import corpus_metrics
from ppo_cli.stats.intervals import DRAWS, TIE, bootstrap_interval, bootstrap_weights, rng_for, t_interval
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.measure_statistics import PromptStatistics, prompt_statistics

MIN_SEEDS = 5
"""Seeds an arm from which the words for a setting may be strong."""


def seed_spread(measure: Measure, before: Sequence[LabelMatrix], after: Sequence[LabelMatrix]) -> SeedSpread | None:
    """A measure of every seed of two arms, and what can be said of the settings.

    Args:
        measure: what is compared.
        before: an evaluation a seed of arm A, all with the same prompts.
        after: the same of arm B.

    Returns:
        None where a seed has no value.
    """
    values = [[value_of(measure, table) for table in arm] for arm in (before, after)]
    a, b = ([value for value in arm if value is not None] for arm in values)
    if len(a) < len(before) or len(b) < len(after):
        return None
    low = high = None
    if min(len(a), len(b)) > 1 and measure.statistic not in corpus_metrics.CORPORA:
        low, high = _seeds_then_prompts(measure, before, after)
    difference, welch_low, welch_high, p_value = welch(np.array(a), np.array(b))
    outward = math.exp if measure.statistic == "geometric_mean" else float

    def shown(number: float | None) -> float | None:
        return None if number is None else outward(number)

    return SeedSpread(
        name=measure.name,
        before=tuple(map(outward, a)),
        after=tuple(map(outward, b)),
        difference=outward(difference),
        low_95=shown(low),
        high_95=shown(high),
        welch_low=shown(welch_low),
        welch_high=shown(welch_high),
        welch_p=p_value,
    )


def value_of(measure: Measure, table: LabelMatrix) -> float | None:
    """The bare value of one policy; on the log scale for a geometric mean."""
    if measure.statistic not in corpus_metrics.CORPORA:
        return prompt_statistics(measure, table).value()
    prompts = len(table.prompt_ids)
    if not prompts:
        return None
    value = float(corpus_metrics.CORPORA[measure.statistic]([table]).at(np.ones((1, prompts)))[0])
    return value if math.isfinite(value) else None


def rms_seed_difference(measures: Sequence[Measure], runs: Sequence[LabelMatrix]) -> Mapping[str, float]:
    """By how much two runs of one setting typically differ: root mean square over pairs of seeds.

    Args:
        measures: of what.
        runs: an evaluation a seed, two or more.

    Returns:
        Name to difference, a ratio for a geometric mean; measures without data are left out.
    """
    found: dict[str, float] = {}
    for measure in measures:
        values = [value for table in runs if (value := value_of(measure, table)) is not None]
        if len(values) == len(runs):
            typical = math.sqrt(2) * float(np.std(values, ddof=1))
            found[measure.name] = math.exp(typical) if measure.statistic == "geometric_mean" else typical
    return found


def _seeds_then_prompts(
    measure: Measure, before: Sequence[LabelMatrix], after: Sequence[LabelMatrix]
) -> tuple[float, float]:
    """Draws seeds within each arm and, the same for both arms, prompts."""
    arms = [[prompt_statistics(measure, table) for table in arm] for arm in (before, after)]
    common = set.intersection(*(set(pieces.prompt_ids) for arm in arms for pieces in arm))
    arms = [[pieces.only(common) for pieces in arm] for arm in arms]
    prompts = bootstrap_weights(arms[0][0], measure.name)
    means = [float(np.mean([pieces.value() or 0.0 for pieces in arm])) for arm in arms]
    owners = ("lower", "higher") if means[0] <= means[1] else ("higher", "lower")  # the same when arms are swapped
    a, b = (_resampled(arm, prompts, f"seeds {owner} {measure.name}") for arm, owner in zip(arms, owners, strict=True))
    return bootstrap_interval(b - a, min(len(before), len(after)))


def _resampled(arm: Sequence[PromptStatistics], prompts: Floats, owner: str) -> Floats:
    """The statistic of an arm for each draw of seeds and prompts [draws]."""
    seeds = rng_for(owner).multinomial(len(arm), np.full(len(arm), 1 / len(arm)), DRAWS) / len(arm)
    sums = sum(seeds[:, [place]] * (prompts @ pieces.values) for place, pieces in enumerate(arm))
    return arm[0].combine(np.asarray(sums))


def welch(a: Floats, b: Floats) -> tuple[float, float | None, float | None, float | None]:
    """Difference of the means of seeds, its 95 % interval and p-value; only the difference where an arm has one."""
    difference = float(b.mean() - a.mean())
    if min(len(a), len(b)) < 2:
        return difference, None, None, None
    of_a, of_b = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    error = math.sqrt(of_a + of_b)
    if error < TIE:  # nothing varies; the test is not defined
        return difference, difference, difference, 1.0 if abs(difference) < TIE else 0.0
    freedom = (of_a + of_b) ** 2 / (of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1))  # Welch and Satterthwaite's
    low, high = t_interval(difference, error, freedom)
    return difference, low, high, 2 * float(stats.t.sf(abs(difference) / error, freedom))
