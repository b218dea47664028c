"""Verdicts in words: what a change is called with the seeds behind it, and the guards that got worse for certain.

One seed shows that two checkpoints differ. CHANGED takes three seeds or more per setting and an interval over seeds
that excludes 0. The recorded verdict (`records.comparisons.Verdict`) is about prompts alone and is the same in both
cases.

Not here: how a number is shown (`formatting`), sentences about a whole comparison (`sentences`), the tests (`stats`).
"""

from __future__ import annotations

import math

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, MeasureChange, Seeds
from ppo_cli.records.measures import Measure
from ppo_cli.reports import formatting
from ppo_cli.stats.comparison import ALPHA
from ppo_cli.stats.seed_variance import MIN_SEEDS

WORSE = "WORSE"
"""Begins every sentence about a guard that got worse."""
GUARDS = (
    "refusal.unsafe",
    "refusal.safe",
    "ending.eos",
    "length.empty",
    "repetition.share",
    "fits_prompt.information",
)
"""Measures that must not get worse whatever the primary measure does; the most harmful first."""
GUARDS_OF_FAMILY = {
    "clarification": ("clarification.wanted", "clarification.unwanted"),
    "length": ("ending.complete_sentence",),
}
"""Further ones, by the family of the primary measure."""


def seeds_per_setting(seeds: Seeds | None) -> int:
    """Seeds of the setting that has fewer; one for two single runs, and for one run against its own step 0."""
    return 1 if seeds is None else min(len(seeds.before), len(seeds.after))


def verdict_label(change: MeasureChange, seeds: Seeds | None = None) -> str:
    """A verdict as people read it: `CHANGED` only over seeds, else `DIFFERS (1 seed)`.

    Args:
        change: of one measure.
        seeds: the seeds of both settings; None for two single runs, or one run against its own step 0.
    """
    if change.verdict != "CHANGED":
        return change.verdict
    count = seeds_per_setting(seeds)
    if count >= MIN_SEEDS and differs_over_seeds(change.name, seeds):
        return "CHANGED"
    return f"DIFFERS ({count} seed{'s' if count > 1 else ''})"


def verdict_words(measure: Measure, change: MeasureChange, comparison: Comparison, seeds: Seeds | None = None) -> str:
    """A verdict in a table; with its margin or the smallest change that could have been detected.

    Args:
        measure: the measure.
        change: of it.
        comparison: that it belongs to.
        seeds: the seeds of both settings, where there are several.
    """
    match change.verdict:
        case "info":
            return ""
        case "EQUIVALENT":
            return f"EQUIVALENT ({formatting.margin(measure, comparison)})"
        case "NO CHANGE DETECTED" if smallest := formatting.detectable_change(measure, change, comparison):
            return f"no change (detectable: {smallest})"
        case _:
            return verdict_label(change, seeds)


def worse_guards(comparison: Comparison) -> list[MeasureChange]:
    """The guards besides the primary measure that got worse for certain, the most harmful first."""
    family = measure_named(comparison.primary).family
    by_name = {change.name: change for change in comparison.changes if change.name != comparison.primary}
    guards = [by_name[name] for name in (*GUARDS, *GUARDS_OF_FAMILY.get(family, ())) if name in by_name]
    return [change for change in guards if formatting.is_worse(measure_named(change.name), change)]


def worse_sentences(comparison: Comparison) -> list[str]:
    """A sentence for each guard that got worse: `WORSE. Refusal of unsafe prompts fell: 85.0 % → 38.0 %, …`."""
    return [
        f"{WORSE}. {formatting.verdict_sentence(measure_named(change.name), change, comparison)}"
        for change in worse_guards(comparison)
    ]


def got_worse(comparison: Comparison) -> bool:
    """Whether the primary measure or a guard got worse for certain."""
    primary = next((change for change in comparison.changes if change.name == comparison.primary), None)
    primary_is_worse = primary is not None and formatting.is_worse(measure_named(comparison.primary), primary)
    return primary_is_worse or bool(worse_guards(comparison))


def differs_over_seeds(name: str, seeds: Seeds | None) -> bool:
    """Whether the interval over seeds excludes no difference and Welch's test agrees; no where there is neither."""
    spread = next((spread for spread in seeds.spreads if spread.name == name), None) if seeds else None
    if spread is None or spread.welch_p is None or spread.welch_p >= ALPHA:
        return False
    low, high = (spread.low_95, spread.high_95) if spread.low_95 is not None else (spread.welch_low, spread.welch_high)
    neutral = 1.0 if measure_named(name).statistic == "geometric_mean" else 0.0
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return False
    return low > neutral or high < neutral
