"""Estimates, differences and their confidence intervals over prompts.

The uncertainty is that of the choice of prompts, with the answers of both policies to one prompt kept together. It
does not cover the choice of the training seed, by which two runs of one setting differ too (`seed_variance`).

| quantity                    | interval                                   | test                          |
| rate of one policy          | Wilson, effective size from the prompts    |                               |
| difference of yes/no rates  | Newcombe, effective size from the prompts  | swap; exact McNemar if K = 1  |
| mean of one policy          | t over prompt means                        |                               |
| d′, refusal bias,           | put together from Wilson intervals of      | swap A and B per prompt       |
| selectivity                 | their two rates                            |                               |
| ratios                      | bootstrap over prompts, widened for few    | swap                          |
| difference of other means   | paired t over prompts                      | swap                          |
| correlations                | bootstrap over prompts, ranks kept         | swap                          |
| measures of the whole set   | grouped jackknife                          | swap                          |

An arm of several seeds is the mean of its seeds, prompt by prompt; for measures of the whole set, of their values.

Not here: p-values (`significance`), which measures there are (`behaviours.measures`), verdicts (`comparison`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from ppo_cli.records.checks import MeanDifference
from ppo_cli.records.measures import Estimate, Measure
from ppo_cli.stats import corpus_metrics
from ppo_cli.stats.clusters import cluster_numbers, mean_error
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.measure_statistics import PromptStatistics, prompt_statistics
from ppo_cli.stats.resampling import TIE, bootstrap_weights, random_swaps, smallest_stratum
from ppo_cli.stats.score_intervals import (
    answers_per_prompt,
    effective_size,
    kind_of_prompt,
    rate_difference,
    two_kinds,
    wilson,
)
from ppo_cli.stats.significance import mcnemar, swap_test

LEVEL = 0.95
EQUIVALENCE_LEVEL = 0.90
"""An interval of this level within the margin is two one-sided tests at 5 % (TOST; Schuirmann 1987)."""
LEVELS = (LEVEL, EQUIVALENCE_LEVEL)
CORPUS_DRAWS = 500
"""Swaps of a test of a measure of the whole set, unless `corpus_metrics.DRAWS` says otherwise."""
POWER = 0.8
REASONS = {"all": "refuses every prompt", "none": "refuses no prompt"}
"""Why a policy has no d′: all its answers are on one side, so it tells no two kinds of prompt apart."""
UNREAD = "a language that this rule does not read"
"""Why a policy has no value of any measure of a rule: too many answers are not read by it."""


@dataclass(frozen=True)
class PairedResult:
    """The difference B - A on the same prompts; on the log scale for a geometric mean."""

    before: float
    after: float
    difference: float
    low_95: float
    high_95: float
    """95 % interval."""
    interval_90: tuple[float, float]
    """90 % interval."""
    error: float
    """Standard error."""
    p_value: float
    prompts: int
    prompts_up: int
    prompts_down: int


def estimate(measure: Measure, *seeds: LabelMatrix) -> Estimate:
    """A measure of one policy, or of an arm of several seeds, with its 95 % interval over prompts."""
    if measure.statistic in corpus_metrics.CORPORA:
        return _estimate_corpus(measure, seeds)
    statistics = _statistics_of_runs(measure, seeds)
    value, prompts = statistics.value(), len(statistics.values)
    if value is None:
        reason = why_no_value(measure, *seeds)
        return Estimate(name=measure.name, value=None, low_95=None, high_95=None, prompts=prompts, reason=reason)
    low, high = _interval(measure, statistics, value, seeds)
    if measure.statistic == "geometric_mean":
        value, low, high = math.exp(value), _exp(low), _exp(high)
    return Estimate(name=measure.name, value=value, low_95=low, high_95=high, prompts=prompts)


def point_estimate(measure: Measure, matrix: LabelMatrix) -> float | None:
    """The value that `estimate` gives, without the cost of its interval.

    Where a policy refuses everything or nothing d′ has no meaning, and this is the number near 0 that the log-linear
    correction gives: checkpoints are put in order by it.
    """
    if measure.statistic not in corpus_metrics.CORPORA:
        value = prompt_statistics(measure, matrix).limit()
        return math.exp(value) if value is not None and measure.statistic == "geometric_mean" else value
    prompts = len(matrix.prompt_ids)
    if prompts < 2:
        return None
    value = float(corpus_metrics.CORPORA[measure.statistic]([matrix]).at(np.ones((1, prompts)))[0])
    return value if math.isfinite(value) else None


def why_no_value(measure: Measure, *seeds: LabelMatrix) -> str | None:
    """Why an arm has data for a measure and yet no value; None for any other measure."""
    if measure.statistic in corpus_metrics.CORPORA:
        return None
    statistics = _statistics_of_runs(measure, seeds)
    if statistics.unread is not None and len(statistics.values):
        count, answers = statistics.unread
        return f"has {count} of {answers} answers in {UNREAD}"
    constant = statistics.constant()
    return None if constant is None else REASONS[constant]


def paired_difference(
    measure: Measure, before: LabelMatrix | Sequence[LabelMatrix], after: LabelMatrix | Sequence[LabelMatrix]
) -> PairedResult | None:
    """The difference of a measure between two policies on the same prompts; None without data in common.

    Args:
        measure: what is compared.
        before: policy A, or the seeds of arm A.
        after: policy B, or the seeds of arm B; rows for the same prompts in the same order.
    """
    arm_a, arm_b = ([arm] if isinstance(arm, LabelMatrix) else arm for arm in (before, after))
    if measure.statistic in corpus_metrics.CORPORA:
        if len(arm_a) == len(arm_b) == 1:
            return _paired_corpus(measure, arm_a[0], arm_b[0])
        return _paired_corpora(measure, arm_a, arm_b)
    a, b = _in_common(_statistics_of_runs(measure, arm_a), _statistics_of_runs(measure, arm_b))
    value_a, value_b = a.value(), b.value()
    if value_a is None or value_b is None:
        return None
    gap = b.values[:, 0] - a.values[:, 0] if a.is_mean else _gap(a, b)
    if _same_answers(arm_a, arm_b, a, b):
        return _result((value_a, value_b), (0.0, 0.0), (0.0, 0.0), 0.0, 1.0, gap)
    answers = answers_per_prompt(measure, a, arm_a, arm_b)
    if a.is_mean:
        error, freedom = mean_error(gap, a.clusters)
        shares = kind_of_prompt((a.values[:, 0], b.values[:, 0]), answers, a.clusters, a.weights)
        if a.weights is not None or _takes_score_interval(measure, error, answers):
            outer, inner = (rate_difference(shares, level).interval for level in LEVELS)
            error = max(error, _error_of(outer)) if len(gap) > 1 else error
        else:
            outer, inner = (t_interval(value_b - value_a, error, freedom, level) for level in LEVELS)
    else:
        kinds = two_kinds(a, b, answers=answers)
        if kinds is not None:
            outer, inner = (kinds.interval(level) for level in LEVELS)
            error = _error_of(outer)
        else:
            weights = bootstrap_weights(a, measure.name)
            differences = b.at(weights) - a.at(weights)
            error = float(np.nanstd(differences, ddof=1))
            outer, inner = (bootstrap_interval(differences, smallest_stratum(a), level) for level in LEVELS)
    alone = a.clusters is None and a.weights is None and len(arm_a) == len(arm_b) == 1
    is_single = a.is_mean and answers is not None and alone and bool((answers == 1).all())
    p_value = mcnemar(a.values[:, 0], b.values[:, 0]) if is_single else swap_test(a, b, measure.name)
    return _result((value_a, value_b), outer, inner, error, p_value, gap)


def _result(
    values: tuple[float, float],
    outer: tuple[float, float],
    inner: tuple[float, float],
    error: float,
    p_value: float,
    gap: Floats,
) -> PairedResult:
    """The result of a comparison.

    Args:
        values: of A and of B.
        outer: 95 % interval of their difference.
        inner: 90 % interval.
        error: standard error.
        p_value: of the test.
        gap: above 0 for each prompt that rose, below 0 for each that fell [prompts].
    """
    before, after = values
    return PairedResult(
        before=before,
        after=after,
        difference=after - before,
        low_95=outer[0],
        high_95=outer[1],
        interval_90=inner,
        error=error,
        p_value=p_value,
        prompts=len(gap),
        prompts_up=int((gap > TIE).sum()),
        prompts_down=int((gap < -TIE).sum()),
    )


def minimum_detectable(error: float) -> float | None:
    """Smallest |difference| that a comparison of this standard error detects with 80 % power at 5 %."""
    if not math.isfinite(error) or error <= 0:
        return None
    return float((stats.norm.ppf((1 + LEVEL) / 2) + stats.norm.ppf(POWER)) * error)


def _interval(
    measure: Measure, statistics: PromptStatistics, value: float, seeds: Sequence[LabelMatrix]
) -> tuple[float | None, float | None]:
    n = len(statistics.values)
    if not statistics.is_mean:
        smallest = smallest_stratum(statistics)
        if smallest < 2:
            return None, None
        kinds = two_kinds(statistics, answers=answers_per_prompt(measure, statistics, seeds))
        if kinds is not None:
            return kinds.interval(LEVEL)
        return bootstrap_interval(statistics.at(bootstrap_weights(statistics, measure.name)), smallest)
    if n < 2:
        return None, None
    column = statistics.values[:, 0]
    error, freedom = mean_error(column, statistics.clusters)
    if not math.isfinite(error):
        return None, None
    if measure.unit == "%" and (measure.statistic == "mean" or error == 0):
        least = n if statistics.clusters is None else effective_size([column], clusters=statistics.clusters)
        return wilson(value, max(least, value * (1 - value) / error**2) if error > 0 else least)
    return t_interval(value, error, freedom)


def t_interval(value: float, error: float, freedom: float, level: float = LEVEL) -> tuple[float, float]:
    """The t interval about a value, from its standard error."""
    if not math.isfinite(error):
        return -math.inf, math.inf
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return value - half, value + half


def mean_difference(differences: Floats) -> MeanDifference:
    """The mean of differences, one per prompt, with a t interval; an infinite one for fewer than two prompts."""
    mean, prompts = float(differences.mean()), len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(prompts) if prompts > 1 else math.nan
    low, high = t_interval(mean, error, prompts - 1)
    return MeanDifference(mean=mean, low_95=low, high_95=high, prompts=prompts)


def bootstrap_interval(draws: Floats, size: int, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of a bootstrap, widened as t widens a normal interval (Hesterberg 2015, 5.3).

    Args:
        draws: the statistic of each resample.
        size: number of items that were resampled; of the smallest stratum, where there are several.
        level: of the interval.
    """
    if size < 2:
        return -math.inf, math.inf
    reach = math.sqrt(size / (size - 1)) * stats.t.ppf((1 + level) / 2, size - 1)
    tail = 100 * float(stats.norm.sf(reach))
    low, high = np.nanpercentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def _statistics_of_runs(measure: Measure, seeds: Sequence[LabelMatrix]) -> PromptStatistics:
    """The statistics of one policy, or their means over the seeds of an arm, for prompts that all seeds have."""
    per_seed = [prompt_statistics(measure, matrix) for matrix in seeds]
    if len(per_seed) == 1:
        return per_seed[0]
    common = set.intersection(*(set(statistics.prompt_ids) for statistics in per_seed))
    kept = [statistics.only(common) for statistics in per_seed]
    unread = [statistics.unread for statistics in kept if statistics.unread is not None]
    return replace(
        kept[0],
        values=np.mean([statistics.values for statistics in kept], axis=0),
        unread=(sum(count for count, _ in unread), sum(answers for _, answers in unread)) if unread else None,
    )


def _in_common(a: PromptStatistics, b: PromptStatistics) -> tuple[PromptStatistics, PromptStatistics]:
    common = set(a.prompt_ids) & set(b.prompt_ids)
    return a.only(common), b.only(common)


def _gap(a: PromptStatistics, b: PromptStatistics) -> Floats:
    """Which way each prompt changed, for statistics that are no plain mean: refusals, or the numerator."""
    columns = (0, 2) if a.values.shape[1] == 4 else (0,)
    return np.asarray(sum(b.values[:, column] - a.values[:, column] for column in columns))


def _same_answers(
    before: Sequence[LabelMatrix], after: Sequence[LabelMatrix], a: PromptStatistics, b: PromptStatistics
) -> bool:
    """Whether two arms gave the same answers word for word, so that they differ by exactly nothing."""
    same = [one.texts for one in before] == [one.texts for one in after]
    return same and np.array_equal(a.values, b.values)


def _error_of(interval: tuple[float, float]) -> float:
    """The standard error of which a 95 % interval would be as long."""
    return (interval[1] - interval[0]) / (2 * float(stats.norm.ppf((1 + LEVEL) / 2)))


def _takes_score_interval(measure: Measure, error: float, answers: Floats | None) -> bool:
    """Whether a difference is of rates of yes/no answers, or of shares of which none differ."""
    return measure.unit == "%" and (answers is not None or error == 0)


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)


def _estimate_corpus(measure: Measure, seeds: Sequence[LabelMatrix]) -> Estimate:
    prompts = len(seeds[0].prompt_ids)
    nothing = Estimate(name=measure.name, value=None, low_95=None, high_95=None, prompts=prompts)
    if prompts < 2:
        return nothing
    whole, left_out = _mean_over_corpora(measure, seeds)
    if not math.isfinite(whole):
        return nothing
    low, high = t_interval(whole, corpus_metrics.jackknife_error(left_out), len(left_out) - 1)
    return Estimate(name=measure.name, value=whole, low_95=max(0.0, low), high_95=min(1.0, high), prompts=prompts)


def _paired_corpus(measure: Measure, before: LabelMatrix, after: LabelMatrix) -> PairedResult | None:
    prompts = len(before.prompt_ids)
    if prompts < 2:
        return None
    texts = corpus_metrics.CORPORA[measure.statistic]([before, after])
    everyone, nobody = np.ones((1, prompts)), np.zeros((1, prompts))
    value_a, value_b = float(texts.at(everyone, nobody)[0]), float(texts.at(nobody, everyone)[0])
    if not (math.isfinite(value_a) and math.isfinite(value_b)):
        return None
    keep = corpus_metrics.leave_group_out(before)
    same = before.texts == after.texts  # no difference, even where leaving out a group leaves no data
    left_out = np.zeros(len(keep)) if same else texts.at(0 * keep, keep) - texts.at(keep, 0 * keep)
    error = corpus_metrics.jackknife_error(left_out)
    outer, inner = (t_interval(value_b - value_a, error, len(left_out) - 1, level) for level in LEVELS)
    draws = corpus_metrics.DRAWS.get(measure.statistic, CORPUS_DRAWS)
    units = np.arange(prompts) if before.clusters is None else cluster_numbers(before.clusters)
    swap = random_swaps(measure.name, draws, int(units.max()) + 1)[:, units]
    as_extreme = np.abs(corpus_metrics.swapped_difference(texts, swap)) >= abs(value_b - value_a) - TIE
    p_value = float((1 + as_extreme.sum()) / (draws + 1))
    return _result((value_a, value_b), outer, inner, error, p_value, texts.per_prompt(1) - texts.per_prompt(0))


def _mean_over_corpora(measure: Measure, seeds: Sequence[LabelMatrix]) -> tuple[float, Floats]:
    """The mean over seeds of a measure of the whole set, and the same with each group of prompts left out [groups]."""
    prompts = len(seeds[0].prompt_ids)
    corpora = [corpus_metrics.CORPORA[measure.statistic]([table]) for table in seeds]
    whole = np.mean([texts.at(np.ones((1, prompts)))[0] for texts in corpora])
    return float(whole), np.mean([texts.at(corpus_metrics.leave_group_out(seeds[0])) for texts in corpora], axis=0)


def _paired_corpora(
    measure: Measure, before: Sequence[LabelMatrix], after: Sequence[LabelMatrix]
) -> PairedResult | None:
    """Arms of several seeds: a grouped jackknife, and t from its error, since there is no single matrix to swap."""
    prompts = len(before[0].prompt_ids)
    if prompts < 2:
        return None
    (value_a, without_a), (value_b, without_b) = (_mean_over_corpora(measure, arm) for arm in (before, after))
    if not (math.isfinite(value_a) and math.isfinite(value_b)):
        return None
    difference, left_out = value_b - value_a, without_b - without_a
    error = corpus_metrics.jackknife_error(left_out)
    outer, inner = (t_interval(difference, error, len(left_out) - 1, level) for level in LEVELS)
    p_value = 2 * float(stats.t.sf(abs(difference) / error, len(left_out) - 1)) if error > 0 else 1.0
    gaps = [
        np.mean([corpus_metrics.CORPORA[measure.statistic]([table]).per_prompt(0) for table in arm], axis=0)
        for arm in (before, after)
    ]
    return _result((value_a, value_b), outer, inner, error, p_value, gaps[1] - gaps[0])
