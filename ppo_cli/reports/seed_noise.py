"""Sentences about seed noise: how much a measure changes through the training seed alone.

Not here: the numbers (`stats.seed_variance`), two settings over their seeds (`seed_table`).
"""

from __future__ import annotations

import math

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import SeedNoise
from ppo_cli.records.measures import Measure
from ppo_cli.records.results import ComparisonResult
from ppo_cli.reports import formatting


def single_run_sentence(noise: SeedNoise | None, primary: str) -> str | None:
    """What a single run of this setting leaves open: `Chance alone moves separation d′ by ±0.19 between seeds …`.

    Args:
        noise: of the run's setting; None where it is not known.
        primary: the measure that the sentence is about.
    """
    deviation = noise.deviation.get(primary) if noise else None
    if noise is None or deviation is None:
        return None
    measure = measure_named(primary)
    of = f"{len(noise.seeds)} seeds of {f'the recipe {noise.recipe}' if noise.recipe else 'this setting'}"
    return (
        f"Chance alone moves {measure.title.strip()} by {_either_way(measure, deviation)} between seeds "
        f"(standard deviation of {of}, measured {noise.measured})."
    )


def comparison_sentence(result: ComparisonResult) -> str | None:
    """How the change of the primary measure compares with that from the seed alone, where that is known."""
    noise, primary = result.seed_noise, result.comparison.primary
    deviation = noise.deviation.get(primary) if noise else None
    change = next((change.difference for change in result.comparison.changes if change.name == primary), None)
    if noise is None or deviation is None or change is None:
        return None
    measure = measure_named(primary)
    return (
        f"Seed noise: {len(noise.seeds)} runs of one setting that differ in the seed only typically differ by "
        f"{formatting.difference(measure, _between_two(measure, deviation)).removeprefix('+')}; these two differ by "
        f"{formatting.difference(measure, change)}."
    )


def _between_two(measure: Measure, deviation: float) -> float:
    """The root mean square difference between two seeds."""
    is_ratio = measure.statistic == "geometric_mean"
    return math.exp(math.sqrt(2) * math.log(deviation)) if is_ratio else math.sqrt(2) * deviation


def _either_way(measure: Measure, deviation: float) -> str:
    if measure.statistic == "geometric_mean":
        return f"{formatting.difference(measure, 1 / deviation)} to {formatting.difference(measure, deviation)}"
    return f"±{formatting.difference(measure, deviation).removeprefix('+')}"
