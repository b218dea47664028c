"""Several seeds per setting: the table of every seed's value, and sentences about the interval over seeds.

With few seeds per setting no sentence claims an effect of the setting, however large the difference is.

Not here: the numbers (`stats.seed_variance`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, Seeds
from ppo_cli.records.results import ComparisonResult
from ppo_cli.reports import formatting
from ppo_cli.reports.tables import WideOrStacked, plain_text, unwrapped_table
from ppo_cli.reports.verdicts import differs_over_seeds
from ppo_cli.stats.seed_variance import MIN_SEEDS

SEVERAL_SEEDS_NOTE = (
    "The behaviour table is about these checkpoints: its intervals are over prompts, and each setting's value is the "
    "mean of its seeds. The interval over seeds is about the settings: it is over seeds and prompts."
)
TOO_FEW_SEEDS = f"with fewer than {MIN_SEEDS} seeds per setting no effect of the setting is claimed"


def seeds_sentence(seeds: Seeds, primary: str, treatments: Sequence[str]) -> str:
    """What the seeds say about the primary measure: about these checkpoints, and about the setting.

    Args:
        seeds: the seeds of both settings.
        primary: the measure.
        treatments: what was varied between the settings.
    """
    counts = f"{len(seeds.before)} and {len(seeds.after)} seeds"
    spread = next((spread for spread in seeds.spreads if spread.name == primary), None)
    if spread is None or spread.low_95 is None:
        return f"Over {counts}: seed noise is unknown where a setting has one seed only."
    measure = measure_named(primary)
    change = f"{measure.title.strip()} {formatting.difference(measure, spread.difference)}"
    numbers = (
        f"{change}, 95 % interval over seeds and prompts "
        f"{formatting.interval(measure, spread.low_95, spread.high_95)}, Welch {formatting.p_value(spread.welch_p)}"
    )
    if not seeds.enough:
        return f"Over {counts}: {numbers}; {TOO_FEW_SEEDS}."
    if not differs_over_seeds(primary, seeds):
        return f"Over {counts}: {numbers}. Seed noise alone can explain this."
    cause = f"{treatments[0]} made the difference" if len(treatments) == 1 else "no single variable can be named"
    return f"Over {counts}: {numbers}. More than seed noise: {cause}."


def seeds_table(seeds: Seeds) -> RenderableType:
    """Every seed's value of every headline, and both kinds of uncertainty over seeds."""
    rows = []
    for spread in seeds.spreads:
        measure = measure_named(spread.name)
        values = (spread.before, spread.after)
        rows.append(
            (
                measure.title,
                *("  ".join(formatting.value(measure, value) for value in side) for side in values),
                formatting.interval(measure, spread.low_95, spread.high_95),
                formatting.p_number(spread.welch_p),
            )
        )
    a, b = (f"{letter}, {_seed_numbers(of_side)}" for letter, of_side in zip("AB", seeds.seeds, strict=True))
    lines = [Text("value of each seed", style="dim")]
    for title, before, after, interval, p in rows:
        lines += [
            plain_text(title.strip()),
            plain_text(f"    {a}: {before}"),
            plain_text(f"    {b}: {after}"),
            plain_text(f"    B − A over seeds {interval}, Welch p {p}"),
        ]
    headings = ("value of each seed", a, b, "B − A over seeds", "Welch p")
    return WideOrStacked(unwrapped_table(headings, rows), Group(*lines))


def seed_noise_sentence(result: ComparisonResult) -> str | None:
    """How the change of the primary measure compares with that from the seed alone, where that is known."""
    noise, change = result.seed_noise, _primary_difference(result.comparison)
    typical = noise.typical.get(result.comparison.primary) if noise else None
    if noise is None or typical is None or change is None:
        return None
    measure = measure_named(result.comparison.primary)
    return (
        f"Seed noise: {len(noise.runs)} runs of one setting that differ in the seed only typically differ by "
        f"{formatting.difference(measure, typical).removeprefix('+')}; these two differ by "
        f"{formatting.difference(measure, change)}."
    )


def _primary_difference(comparison: Comparison) -> float | None:
    return next((change.difference for change in comparison.changes if change.name == comparison.primary), None)


def _seed_numbers(seeds: Sequence[int]) -> str:
    return f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
