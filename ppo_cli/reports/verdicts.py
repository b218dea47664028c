"""Verdicts in words: what a change is called with the seeds behind it, and the guards that got worse for certain.

One seed shows that two checkpoints differ. CHANGED takes three seeds or more per setting and an interval over seeds
that excludes 0; with several seeds EQUIVALENT takes a 90 % interval over seeds within the margin. The recorded verdict
(`records.comparisons.Verdict`) is about prompts alone, whatever the number of seeds.

Not here: how a number is shown (`formatting`), sentences about a whole comparison (`sentences`), the tests (`stats`).
"""

from __future__ import annotations

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, MeasureChange, OverSeeds, Seeds
from ppo_cli.records.measures import Measure
from ppo_cli.reports import formatting
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
    """A verdict as people read it: with several seeds CHANGED and EQUIVALENT are those of both intervals.

    Args:
        change: of one measure.
        seeds: the seeds of both settings; None for two single runs, or one run against its own step 0.
    """
    count, over_seeds = seeds_per_setting(seeds), change_over_seeds(change.name, seeds)
    if change.verdict != "CHANGED":
        stayed = over_seeds is None or over_seeds.low_90 is None or over_seeds.equivalent
        return change.verdict if change.verdict != "EQUIVALENT" or stayed else "NO CHANGE DETECTED"
    if count >= MIN_SEEDS and over_seeds is not None and over_seeds.verdict == "CHANGED":
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
        case "EQUIVALENT" if verdict_label(change, seeds) != "EQUIVALENT":
            return "not EQUIVALENT over seeds"
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


def change_over_seeds(name: str, seeds: Seeds | None) -> OverSeeds | None:
    """The difference of a measure over the seeds of two settings; None without several seeds, or without a value."""
    return next((spread.change for spread in seeds.spreads if spread.name == name), None) if seeds else None
