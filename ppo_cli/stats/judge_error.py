"""95 % intervals with the error of the rule in them that decides which answers refuse, beside that of the prompts.

A rule finds a share of the refusals (its sensitivity) and leaves a share of the other answers alone (its specificity).
Both differ by model, so for a model that nobody labelled they are drawn from what they are on the labelled models: a
beta-binomial distribution over models, whose mean and spread are themselves uncertain. Human labels of this very model
narrow them. Each draw corrects a draw of the rule's rate (Rogan and Gladen 1978); the interval is the middle 95 % of
the corrected values. The two policies of a comparison are judged with errors of their own, because PPO changes the
wording of answers, and a rule reads some wordings better than others.

Not here: the counts (`records.calibration`), intervals of the prompts alone (`intervals`), reading human labels
(`evaluation.judge_error`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv, betaln, ndtr, ndtri

from ppo_cli.records.answers import Expect
from ppo_cli.records.calibration import NO_ANSWERS, Calibration, ModelAgreement
from ppo_cli.records.measures import Measure
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.measure_statistics import BIAS, SEPARATION, PromptStatistics, prompt_statistics
from ppo_cli.stats.resampling import DRAWS, rng_for
from ppo_cli.stats.score_intervals import KindOfPrompt, answers_per_prompt, kind_of_prompt, two_kinds

Interval = tuple[float, float]
Count = tuple[int, int]
"""Successes and trials."""

MEANS, SPREADS = 100, 60
"""Points of the grid of distributions over models."""
WIDEST = 1 / 3
"""Greatest spread over models, as the correlation of two answers of one model: that of a uniform distribution."""
TAILS = (2.5, 97.5)
BOTH_KINDS: tuple[Expect, Expect] = ("refuse", "comply")
TWO_RATES = {"separation": SEPARATION.weights, "bias": BIAS.weights}


@dataclass(frozen=True)
class JudgedPolicy:
    """What is judged: the labels of a policy and the human labels of its own answers."""

    matrix: LabelMatrix
    labelled: ModelAgreement | None = None
    """None where nobody labelled any."""


def judged_interval(measure: Measure, policy: JudgedPolicy) -> Interval | None:
    """The 95 % interval of a measure of one policy; None of a measure whose rule has no calibration, or without data.

    Args:
        measure: a share of answers, d′ or the refusal bias.
        policy: whose answers.
    """
    values = _values(measure, [policy])
    return None if values is None else _middle(values[0])


def judged_intervals(
    measure: Measure, before: JudgedPolicy, after: JudgedPolicy
) -> tuple[Interval, Interval, Interval] | None:
    """The same of two policies on the same prompts, and of the difference B - A.

    Args:
        measure: as for `judged_interval`.
        before: policy A.
        after: policy B; rows for the same prompts in the same order.
    """
    values = _values(measure, [before, after])
    if values is None:
        return None
    difference = (0.0, 0.0) if _same_answers(before.matrix, after.matrix) else _middle(values[1] - values[0])
    return _middle(values[0]), _middle(values[1]), difference


def rogan_gladen(rates: Floats, sensitivity: Floats, specificity: Floats, nothing_known: Floats) -> Floats:
    """The true rates behind those of a judge, between 0 and 1 (Rogan and Gladen 1978).

    Args:
        rates: by the judge.
        sensitivity: the share of what there is that it finds.
        specificity: the share of the rest that it leaves alone.
        nothing_known: taken where the judge is no better than chance and its rate says nothing.
    """
    better_than_chance = sensitivity + specificity - 1
    says_something = better_than_chance > 0
    corrected = np.divide(rates + specificity - 1, better_than_chance, out=nothing_known.copy(), where=says_something)
    return np.asarray(np.clip(corrected, 0.0, 1.0))


def share_over_models(models: Sequence[Count], own: Count, generator: np.random.Generator, draws: int) -> Floats:
    """Draws of a share of another model: from the models that were counted, and from its own counts if it has any.

    Args:
        models: of each labelled model.
        own: of the other model; 0 of 0 where nobody labelled it.
        generator: of random numbers.
        draws: how many.
    """
    above, below, weights = _distributions((*models, own))
    chosen = generator.choice(len(weights), size=draws, p=weights)
    return generator.beta(above[chosen] + own[0], below[chosen] + own[1] - own[0])


@lru_cache(maxsize=64)
def _distributions(counts: tuple[Count, ...]) -> tuple[Floats, Floats, Floats]:
    """Beta distributions over models, by their two parameters, and how probable each is given the counts.

    Before the counts every mean is equally likely, and every standard deviation from none to that of a uniform
    distribution. The grid of means is finer towards 0 and 1.
    """
    points = np.pi * (np.arange(MEANS) + 0.5) / MEANS
    means, widths = np.sin(points / 2) ** 2, np.sin(points)
    spreads = WIDEST * ((np.arange(SPREADS) + 0.5) / SPREADS) ** 2
    mean, size = (grid.ravel() for grid in np.meshgrid(means, 1 / spreads - 1, indexing="ij"))
    above, below = mean * size, (1 - mean) * size
    log_weights: Floats = np.repeat(np.log(widths), SPREADS)
    for successes, trials in counts:
        log_weights += betaln(above + successes, below + trials - successes) - betaln(above, below)
    weights = np.exp(log_weights - log_weights.max())
    return above, below, weights / weights.sum()


def _values(measure: Measure, policies: Sequence[JudgedPolicy]) -> list[Floats] | None:
    """Draws of a measure of each policy, corrected; None without data or a calibration."""
    kinds = None if measure.calibration is None else _kinds_of_prompt(measure, policies)
    if measure.calibration is None or kinds is None:
        return None
    generator = rng_for(f"judge error {measure.name}")
    by_rule = {expect: _rule_rates(kind, generator) for expect, kind in kinds.items()}
    values = list[Floats]()
    for number, policy in enumerate(policies):
        of_policy = {expect: rates[number] for expect, rates in by_rule.items()}
        rates = _corrected(measure.calibration, policy.labelled, of_policy, generator)
        if measure.statistic == "mean":
            values += rates.values()
        else:
            weights = TWO_RATES[measure.statistic]
            scaled = [_z(rates[expect], len(kinds[expect].shares[0])) for expect in BOTH_KINDS]
            values.append(weights[0] * scaled[0] + weights[1] * scaled[1])
    return values


def _kinds_of_prompt(measure: Measure, policies: Sequence[JudgedPolicy]) -> Mapping[Expect, KindOfPrompt] | None:
    """The shares of answers with the label, of all policies, by what the prompts expect."""
    statistics = _in_common([prompt_statistics(measure, policy.matrix) for policy in policies])
    prompts = len(statistics[0].values)
    if prompts < 2 or any(policy.value() is None for policy in statistics):
        return None
    answers = answers_per_prompt(measure, statistics[0], *([policy.matrix] for policy in policies))
    if measure.statistic in TWO_RATES:
        both = two_kinds(*statistics, answers=answers)
        return None if both is None else dict(zip(BOTH_KINDS, both.kinds, strict=True))
    if measure.statistic != "mean" or measure.expect not in BOTH_KINDS or answers is None:
        return None
    shares = [policy.values[:, 0] for policy in statistics]
    return {measure.expect: kind_of_prompt(shares, answers, statistics[0].clusters)}


def _in_common(statistics: Sequence[PromptStatistics]) -> list[PromptStatistics]:
    """The statistics of every policy for the prompts that all have data for."""
    common = set.intersection(*(set(policy.prompt_ids) for policy in statistics))
    return [policy.only(common) for policy in statistics]


def _corrected(
    calibration: Calibration,
    labelled: ModelAgreement | None,
    rule_rates: Mapping[Expect, Floats],
    generator: np.random.Generator,
) -> dict[Expect, Floats]:
    """Draws of one policy's true rates on some kinds of prompt, from those by the rule.

    The sensitivity is that on the same kind of prompt. The specificity is that on both kinds together: many models
    refuse nearly every unsafe prompt and leave no other answer to count.
    """
    own = labelled or ModelAgreement(model="", unsafe=NO_ANSWERS, safe=NO_ANSWERS)
    left_alone = [_left_alone(model) for model in calibration.models]
    specificity = share_over_models(left_alone, _left_alone(own), generator, DRAWS)
    corrected = {}
    for expect, rates in rule_rates.items():
        found = [_found(model, expect) for model in calibration.models]
        sensitivity = share_over_models(found, _found(own, expect), generator, DRAWS)
        corrected[expect] = rogan_gladen(rates, sensitivity, specificity, generator.random(DRAWS))
    return corrected


def _found(model: ModelAgreement, expect: Expect) -> Count:
    """Refusals on one kind of prompt that the rule finds, of all."""
    kind = model.unsafe if expect == "refuse" else model.safe
    return kind.both, kind.refusals


def _left_alone(model: ModelAgreement) -> Count:
    """Other answers that the rule leaves alone, of all."""
    kinds = model.unsafe + model.safe
    return kinds.neither, kinds.others


def _rule_rates(kind: KindOfPrompt, generator: np.random.Generator) -> list[Floats]:
    """Draws of the rate by the rule of each policy, from the choice of prompts.

    Each is a beta distribution with Jeffreys' prior on the effective number of answers; those of two policies are
    correlated as their shares are over prompts.
    """
    noise = generator.normal(size=(len(kind.shares), DRAWS))
    if len(kind.shares) == 2:
        together = _correlation(*kind.shares)
        noise[1] = together * noise[0] + math.sqrt(1 - together**2) * noise[1]
    rates = [float(shares.mean()) for shares in kind.shares]
    return [
        np.asarray(betaincinv(rate * kind.size + 0.5, (1 - rate) * kind.size + 0.5, ndtr(draw)))
        for rate, draw in zip(rates, noise, strict=True)
    ]


def _correlation(before: Floats, after: Floats) -> float:
    if before.std() == 0 or after.std() == 0:
        return 0.0
    return float(np.clip(np.corrcoef(before, after)[0, 1], 0.0, 1.0))


def _z(rates: Floats, prompts: int) -> Floats:
    """Their z, with the log-linear correction of d′."""
    return np.asarray(ndtri((rates * prompts + 0.5) / (prompts + 1)))


def _same_answers(before: LabelMatrix, after: LabelMatrix) -> bool:
    """Whether two policies gave the same answers word for word, which no rule can tell apart."""
    return before.prompt_ids == after.prompt_ids and before.texts == after.texts


def _middle(draws: Floats) -> Interval:
    low, high = np.percentile(draws, TAILS)
    return float(low), float(high)
