"""Intervals of shares that hold near 0 and 1, with few prompts, and with several answers per prompt.

A standard error is 0 where all answers are alike, and too small where nearly all are. So the interval of each share is
Wilson's, on an effective number of answers, and intervals of differences are put together from these (Newcombe 1998;
Zou and Donner 2008). The answers to one prompt are alike, as in a beta-binomial distribution: n prompts with K answers
each are worth n K / (1 + (K - 1) rho) answers, rho being the correlation between answers to one prompt.

Not here: which measures take these intervals (`intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri

from ppo_cli.records.measures import Measure
from ppo_cli.stats.clusters import independent_share
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.measure_statistics import PromptStatistics

YES_NO = ("mean", "separation", "bias", "selectivity")
"""Statistics of rates, if their label is yes or no."""
TINY = 1e-12
"""Smaller variances are rounding."""


@dataclass(frozen=True)
class AsymmetricInterval:
    """An estimate, and how far its interval reaches below and above it."""

    value: float
    below: float
    above: float

    @property
    def interval(self) -> tuple[float, float]:
        """Its ends."""
        return self.value - self.below, self.value + self.above


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What rates are put on before they are subtracted, such as z."""

    of_rate: Callable[[float], float]
    of_end: Callable[[float], float]
    """Of an end of a rate's interval."""


PLAIN = Scale(of_rate=float, of_end=float)


@dataclass(frozen=True)
class KindOfPrompt:
    """The shares on one kind of prompt: of one policy, or of two on the same prompts."""

    shares: tuple[Floats, ...]
    """Per policy the share of each prompt's answers [prompts]."""
    size: float
    """Effective number of answers of one policy."""
    weights: Floats | None = None
    """How many prompts each stands for [prompts]; None where all stand for as many."""

    @property
    def rates(self) -> tuple[float, ...]:
        """The rate of each policy."""
        if self.weights is None:
            return tuple(float(shares.mean()) for shares in self.shares)
        return tuple(float(np.average(shares, weights=self.weights)) for shares in self.shares)


@dataclass(frozen=True)
class TwoKinds:
    """A weighted sum of the rates on two kinds of prompt, such as d′: of one policy, or B - A."""

    kinds: tuple[KindOfPrompt, KindOfPrompt]
    weights: tuple[float, float]
    on_z_scale: bool
    correlation: float = 0.0
    """Of the two rates, or of their differences, through clusters that have prompts of both kinds."""

    def interval(self, level: float) -> tuple[float, float]:
        """The interval of the sum, or of its difference between two policies."""
        part_of = rate if len(self.kinds[0].shares) == 1 else rate_difference
        one, other = (
            part_of(kind, level, z_scale(len(kind.shares[0])) if self.on_z_scale else PLAIN) for kind in self.kinds
        )
        return weighted_sum((one, other), self.weights, self.correlation).interval


def wilson(rate: float, size: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate in `size` independent trials; `size` need not be whole, as scipy's must."""
    z = stats.norm.ppf((1 + level) / 2)
    centre = (rate + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(rate * (1 - rate) / size + z * z / (4 * size * size))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def effective_size(
    shares: Sequence[Floats], answers: Floats | None = None, clusters: NDArray[np.intp] | None = None
) -> float:
    """How many independent answers the answers to some prompts are worth: from one per prompt to all of them.

    It is the number of prompts times the variance of an answer over that of a prompt's share, which is n K /
    (1 + (K - 1) rho) with rho from the beta-binomial moments. Where all answers of all policies are alike nothing is
    known of rho, and it is taken as 1.

    Args:
        shares: per policy the share of each prompt's answers with a label [prompts]; their variances are pooled.
        answers: number of answers to each prompt [prompts]; None takes one.
        clusters: of prompts that vary together, which make it smaller [prompts].
    """
    return _size_without_clusters(shares, answers) * independent_share(shares, clusters)


def _size_without_clusters(shares: Sequence[Floats], answers: Floats | None) -> float:
    """The same for prompts that each vary alone."""
    prompts = len(shares[0])
    most = prompts if answers is None else prompts**2 / float((1 / answers).sum())
    if prompts < 2:
        return float(prompts)
    between = sum(float(share.var(ddof=1)) for share in shares)
    within = sum(float((share * (1 - share)).mean()) for share in shares)
    if within <= TINY:
        return float(prompts)
    return most if between <= TINY else min(most, prompts * (between + within) / between)


def kind_of_prompt(
    shares: Sequence[Floats],
    answers: Floats | None = None,
    clusters: NDArray[np.intp] | None = None,
    weights: Floats | None = None,
) -> KindOfPrompt:
    """The shares on one kind of prompt with their effective size; arguments as for `effective_size`.

    Unequal weights make that size smaller, by (sum of w)² / (n times the sum of w²) (Kish 1965).
    """
    size = effective_size(shares, answers, clusters)
    return KindOfPrompt(tuple(shares), size if weights is None else size * kish_share(weights), weights)


def kish_share(weights: Floats) -> float:
    """What an effective number of answers is multiplied by because they stand for unequal numbers of others."""
    return float(weights.sum() ** 2 / (len(weights) * (weights**2).sum())) if len(weights) else 1.0


def answers_per_prompt(measure: Measure, statistics: PromptStatistics, *arms: Sequence[LabelMatrix]) -> Floats | None:
    """Yes/no answers of an arm to each prompt, the mean of the arms [prompts]; None where labels are no yes/no.

    The answers of an arm's seeds are added up; a run that is given twice adds none.
    """
    counts = []
    for run in {id(run): run for arm in arms for run in arm}.values():
        labels = run.labels.get(measure.label)
        if measure.statistic not in YES_NO or labels is None:
            return None
        row_of = {prompt: row for row, prompt in enumerate(run.prompt_ids)}
        labels = labels[[row_of[prompt] for prompt in statistics.prompt_ids]]
        known = np.isfinite(labels)
        if not np.isin(labels[known], (0.0, 1.0)).all():
            return None
        counts.append(known.sum(axis=1))
    return np.asarray(np.sum(counts, axis=0), dtype=float) / len(arms)


def two_kinds(*policies: PromptStatistics, answers: Floats | None) -> TwoKinds | None:
    """The rates on both kinds of prompt of one policy, or of two; None of a statistic that is not made from two rates.

    Args:
        policies: the statistics of one policy, or of two on the same prompts.
        answers: number of answers to each prompt; None where they are no yes/no answers.
    """
    two_rates = policies[0].two_rates
    if two_rates is None or answers is None:
        return None
    clusters = policies[0].clusters
    one, other = (
        kind_of_prompt(
            [policy.values[rows, column] for policy in policies],
            answers[rows],
            None if clusters is None else clusters[rows],
            None if policies[0].weights is None else policies[0].weights[rows],
        )
        for column, rows in zip((0, 2), policies[0].kinds(), strict=True)
    )
    if min(len(one.shares[0]), len(other.shares[0])) < 2:
        return None
    correlation = 0.0 if clusters is None else _correlation_of_kinds(policies, clusters)
    return TwoKinds((one, other), two_rates.weights, two_rates.on_z_scale, correlation)


def _correlation_of_kinds(policies: Sequence[PromptStatistics], clusters: NDArray[np.intp]) -> float:
    """The correlation of the rates on two kinds of prompt, or of their differences, over clusters of both kinds."""
    weighted = [policy.weighted for policy in policies]
    change = weighted[-1] - weighted[0] if len(policies) == 2 else weighted[0]
    sums = []
    for column, rows in zip((0, 2), policies[0].kinds(), strict=True):
        size = weighted[0][:, column + 1]
        residual = (change[:, column] - change[rows, column].sum() / size.sum() * size) * rows
        sums.append(np.bincount(clusters, weights=residual))
    spread = math.sqrt((sums[0] ** 2).sum() * (sums[1] ** 2).sum())
    return float((sums[0] * sums[1]).sum() / spread) if spread > TINY else 0.0


def rate(kind: KindOfPrompt, level: float, scale: Scale = PLAIN) -> AsymmetricInterval:
    """The rate of one policy on a scale."""
    (share,) = kind.rates
    value = scale.of_rate(share)
    low, high = (scale.of_end(end) for end in wilson(share, kind.size, level))
    return AsymmetricInterval(value, max(0.0, value - low), max(0.0, high - value))


def rate_difference(kind: KindOfPrompt, level: float, scale: Scale = PLAIN) -> AsymmetricInterval:
    """B - A of two policies on the same prompts, on a scale (Newcombe 1998, method 10, for several answers per prompt).

    Args:
        kind: the shares of A and of B.
        level: of the interval.
        scale: of the rates; they are subtracted on it.
    """
    a, b = (rate(KindOfPrompt((shares,), kind.size, kind.weights), level, scale) for shares in kind.shares)
    together = _correlation(kind.shares[0], kind.shares[1], kind.weights)
    below = b.below**2 - 2 * together * b.below * a.above + a.above**2
    above = b.above**2 - 2 * together * b.above * a.below + a.below**2
    return AsymmetricInterval(b.value - a.value, math.sqrt(max(0.0, below)), math.sqrt(max(0.0, above)))


def weighted_sum(
    parts: tuple[AsymmetricInterval, AsymmetricInterval], weights: tuple[float, float], correlation: float = 0.0
) -> AsymmetricInterval:
    """The interval of a weighted sum of two estimates from their intervals (Zou and Donner 2008)."""
    reaches = [
        (part.below, part.above) if weight > 0 else (part.above, part.below)
        for part, weight in zip(parts, weights, strict=True)
    ]
    below, above = (
        (weights[0] * one) ** 2 + (weights[1] * other) ** 2 + 2 * correlation * weights[0] * one * weights[1] * other
        for one, other in zip(*reaches, strict=True)
    )
    value = sum(weight * part.value for part, weight in zip(parts, weights, strict=True))
    return AsymmetricInterval(value, math.sqrt(max(0.0, below)), math.sqrt(max(0.0, above)))


def z_scale(prompts: int) -> Scale:
    """The z of a rate over this many prompts, with the log-linear correction of d′, which keeps it finite.

    The ends of an interval are plain z values: corrected too, they would lie too near to each other. They stop at the
    corrected values of 0 and 1.
    """

    def corrected(share: float) -> float:
        return float(ndtri((share * prompts + 0.5) / (prompts + 1)))

    def of_end(end: float) -> float:
        return float(np.clip(ndtri(end), corrected(0), corrected(1)))

    return Scale(of_rate=corrected, of_end=of_end)


def _correlation(before: Floats, after: Floats, weights: Floats | None = None) -> float:
    """The correlation of two policies' shares over prompts; one above 0 is corrected for continuity, as in Newcombe's.

    Without it, two policies that differ on no prompt of a few would have an interval without width.
    """
    from_means = [shares - np.average(shares, weights=weights) for shares in (before, after)]
    together = float(np.average(from_means[0] * from_means[1], weights=weights))
    if together > 0:
        together = max(0.0, together - 1 / (2 * len(before)))
    spread = math.prod(math.sqrt(np.average(part**2, weights=weights)) for part in from_means)
    return together / spread if spread > TINY else 0.0
