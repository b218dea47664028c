"""Power analysis before anything is sampled: the change that some evaluation prompts can show, and prompts per effect.

The spread of a prompt's value between two policies is assumed, from what the shipped experiments showed; once there is
a start model, `ppo sft-check` estimates it from its answers. Two policies are taken as independent, which is
conservative: paired draws make a real comparison more precise.

Not here: the smallest detectable change of an evaluation that was carried out (`intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import Measure
from ppo_cli.stats.corpus_metrics import CORPORA
from ppo_cli.stats.intervals import LEVEL, POWER, minimum_detectable

SPREAD = 0.35
"""Assumed standard deviation of a prompt's rate."""
LOG_SPREAD = 0.25
"""Assumed standard deviation of the logarithm of a prompt's length."""
RATES = (0.3, 0.7)
"""Assumed rates on the two kinds of prompt that a separation compares."""
PROMPT_KINDS = {
    "separation": ("refuse", "comply"),
    "bias": ("refuse", "comply"),
    "selectivity": ("clarify", "comply"),
}
"""The expected behaviours that a measure of two kinds of prompt needs."""


def missing_expectations(measure: Measure, prompts: Sequence[Prompt]) -> list[str]:
    """The expected behaviours that a measure needs and that no prompt has."""
    wanted = PROMPT_KINDS.get(measure.statistic, (measure.expect,) if measure.expect else ())
    return [kind for kind in wanted if not _of_kind(measure, prompts, kind)]


def minimum_detectable_change(measure: Measure, prompts: Sequence[Prompt]) -> float | None:
    """The smallest change that these prompts detect with 80 % power, on the measure's scale; None where unknown."""
    if measure.statistic in CORPORA or measure.unit in ("nats", "sentences") or missing_expectations(measure, prompts):
        return None
    if measure.statistic in PROMPT_KINDS:
        counts = [_of_kind(measure, prompts, kind) for kind in PROMPT_KINDS[measure.statistic]]
        slopes = [_slope(rate) if measure.statistic != "selectivity" else 1.0 for rate in RATES]
        variance = sum(2 * (SPREAD * slope) ** 2 / count for slope, count in zip(slopes, counts, strict=True))
        halved = 2 if measure.statistic == "bias" else 1
        return minimum_detectable(math.sqrt(variance) / halved)
    spread = LOG_SPREAD if measure.statistic == "geometric_mean" else SPREAD
    return minimum_detectable(spread * math.sqrt(2 / _of_kind(measure, prompts, measure.expect)))


def required_prompts(prompts: int, smallest: float, effect: float) -> int:
    """How many prompts like these would detect the effect."""
    return math.ceil(prompts * (smallest / effect) ** 2)


def detectable_after_holm(smallest: float, tests: int) -> float:
    """The change that is detected with 80 % power although Holm's correction holds for several measures.

    The first of Holm's steps divides the level by the number of measures, so this is the worst case.

    Args:
        smallest: the same without a correction, on a scale on which 0 is no change.
        tests: measures that are corrected together.
    """
    power = stats.norm.ppf(POWER)
    alone, corrected = (stats.norm.ppf(1 - (1 - LEVEL) / 2 / number) + power for number in (1, max(1, tests)))
    return float(smallest * corrected / alone)


def _of_kind(measure: Measure, prompts: Sequence[Prompt], expect: str | None) -> int:
    return sum(
        (expect is None or prompt.expect == expect)
        and (measure.category_prefix is None or prompt.category.startswith(measure.category_prefix))
        for prompt in prompts
    )


def _slope(rate: float) -> float:
    """The derivative of z with respect to a rate."""
    return float(1 / stats.norm.pdf(stats.norm.ppf(rate)))
