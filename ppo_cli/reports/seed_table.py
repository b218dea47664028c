"""Several seeds per setting: the table of every seed's value, and sentences about the t interval over seeds.

With few seeds per setting no sentence claims an effect of the setting, however large the difference is.

Not here: the numbers (`stats.seed_variance`, `stats.pooled_seeds`), what a single seed leaves open (`seed_noise`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, PooledArm, PooledChange, Seeds
from ppo_cli.reports import formatting
from ppo_cli.reports.tables import WideOrStacked, plain_text, unwrapped_table
from ppo_cli.stats.seed_variance import MIN_SEEDS

SEVERAL_SEEDS_NOTE = (
    "The behaviour table is about these checkpoints: its intervals are over prompts, and each setting's value is the "
    "mean of its seeds. The interval over seeds is about the settings: it is a t interval over seeds for these prompts."
)
TOO_FEW_SEEDS = f"with fewer than {MIN_SEEDS} seeds per setting no effect of the setting is claimed"
BY_CHANCE = "Seed noise alone can explain this, which does not show that the settings are alike."


def seeds_sentence(seeds: Seeds, comparison: Comparison, label: str, treatments: Sequence[str]) -> str:
    """What the seeds say about the primary measure of two settings.

    Args:
        seeds: the seeds of both settings.
        comparison: of both settings over prompts.
        label: the verdict on the primary measure, of both intervals.
        treatments: what was varied between the settings.
    """
    spread = next((spread for spread in seeds.spreads if spread.name == comparison.primary), None)
    paired = spread is not None and spread.paired
    counts = f"{len(seeds.before)} pairs of one seed" if paired else f"{len(seeds.before)} and {len(seeds.after)} seeds"
    if spread is None or spread.change.low_95 is None:
        why = "a seed has no value"
        if spread is not None:
            alone = min(len(spread.before), len(spread.after)) < 2
            why = "a setting has one seed only" if alone else "all seeds show the same difference"
        return f"Over {counts}: seed noise is unknown, because {why}."
    measure, change = measure_named(comparison.primary), spread.change
    numbers = (
        f"{measure.title.strip()} {formatting.difference(measure, change.difference)}, 95 % t interval over seeds "
        f"{formatting.interval(measure, change.low_95, change.high_95)}, "
        f"{'' if paired else 'Welch '}{formatting.p_value(change.p_value)}"
    )
    if not seeds.enough:
        return f"Over {counts}: {numbers}; {TOO_FEW_SEEDS}."
    if label == "CHANGED":
        cause = f"{treatments[0]} made the difference" if len(treatments) == 1 else "no single variable can be named"
        return f"Over {counts}: {numbers}. More than seed noise: {cause}."
    if change.verdict == "CHANGED":
        return f"Over {counts}: {numbers}. More than seed noise on these prompts; other prompts may not show it."
    if label == "EQUIVALENT":
        inner = formatting.interval(measure, change.low_90, change.high_90)
        margin = formatting.margin(measure, comparison)
        return f"Over {counts}: {numbers}. The settings are equivalent: 90 % interval {inner} within {margin}."
    return f"Over {counts}: {numbers}. {BY_CHANCE}"


def from_start_sentence(arm: PooledArm, comparison: Comparison) -> str:
    """Step 0 against the last step over the seeds of one setting.

    Args:
        arm: the setting.
        comparison: that it belongs to.
    """
    measure, pooled, change = measure_named(comparison.primary), arm.pooled, arm.pooled.change
    margin = f" ({formatting.margin(measure, comparison)})" if change.verdict == "EQUIVALENT" else ""
    return (
        f"{f'{arm.name}: s' if arm.name else 'S'}tep 0 → last step over {pooled.seeds} seeds: {measure.title.strip()} "
        f"{formatting.value(measure, pooled.before)} → {formatting.value(measure, pooled.after)}, "
        f"{formatting.difference(measure, change.difference)}, 95 % t interval over seeds "
        f"{formatting.interval(measure, change.low_95, change.high_95)}. {pooled_label(pooled)}{margin}."
    )


def pooled_label(pooled: PooledChange) -> str:
    """The verdict on a change from step 0 over seeds."""
    match pooled.change.verdict:
        case "CHANGED" if pooled.seeds < MIN_SEEDS:
            return f"DIFFERS ({pooled.seeds} seeds)"
        case verdict:
            return verdict


def seeds_table(seeds: Seeds) -> RenderableType:
    """Every seed's value of every headline, and the t test over seeds."""
    rows = []
    for spread in seeds.spreads:
        measure = measure_named(spread.name)
        values = (spread.before, spread.after)
        rows.append(
            (
                measure.title,
                *("  ".join(formatting.value(measure, value) for value in side) for side in values),
                formatting.interval(measure, spread.change.low_95, spread.change.high_95),
                formatting.p_number(spread.change.p_value),
            )
        )
    a, b = (f"{letter}, {_seed_numbers(of_side)}" for letter, of_side in zip("AB", seeds.seeds, strict=True))
    lines = [Text("value of each seed", style="dim")]
    for title, before, after, interval, p in rows:
        lines += [
            plain_text(title.strip()),
            plain_text(f"    {a}: {before}"),
            plain_text(f"    {b}: {after}"),
            plain_text(f"    B − A over seeds {interval}, p {p}"),
        ]
    headings = ("value of each seed", a, b, "B − A over seeds", "p")
    return WideOrStacked(unwrapped_table(headings, rows), Group(*lines))


def _seed_numbers(seeds: Sequence[int]) -> str:
    return f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
