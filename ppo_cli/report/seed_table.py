"""Arms of several seeds on the screen: every seed's value, the interval over seeds, the noise floor.

With few seeds an arm the words stay small, however far apart the arms are.

Not here: numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Comparison, Seeds, SeedSpread
from ppo_cli.records.results import ComparisonResult
from ppo_cli.report import formatting
from ppo_cli.report.tables import WideOrStacked, plain_table, plain_text
from ppo_cli.stats.seed_variance import MIN_SEEDS

SEVERAL_SEEDS_NOTE = (
    "The behaviour table is about these checkpoints: its intervals are over prompts, each arm the mean of its seeds. "
    "What is said over seeds is about the setting: over seeds, then prompts."
)
TOO_FEW_SEEDS = f"with fewer than {MIN_SEEDS} seeds an arm this is no claim about the setting"


def seeds_sentence(found: Seeds, primary: str, treatments: Sequence[str]) -> str:
    """What the seeds say of the primary: about these checkpoints, and about the setting.

    Args:
        found: the seeds of both arms.
        primary: the measure.
        treatments: what was varied between the arms.
    """
    counted = f"{len(found.before)} and {len(found.after)} seeds"
    spread = next((spread for spread in found.spreads if spread.name == primary), None)
    if spread is None or spread.low_95 is None:
        return f"Over {counted}: one seed in an arm says nothing of the luck of the seed."
    measure = measure_named(primary)
    numbers = (
        f"{formatting.difference(measure, spread.difference)}, 95 % interval over seeds and prompts "
        f"{formatting.interval(measure, spread.low_95, spread.high_95)}, Welch {formatting.p_value(spread.welch_p)}"
    )
    if not found.enough:
        return f"Over {counted}: {numbers}; {TOO_FEW_SEEDS}."
    if not _excludes_zero(spread, measure.statistic == "geometric_mean"):
        return f"Over {counted}: {numbers}. The luck of the seed alone can do this."
    cause = f"{treatments[0]} made the difference" if len(treatments) == 1 else "no one variable can be named"
    return f"Over {counted}: {numbers}. More than the luck of the seed: {cause}."


def seeds_table(found: Seeds) -> RenderableType:
    """Every seed's value of every headline, and both kinds of uncertainty over seeds."""
    table, lines = plain_table(), list[RenderableType]()
    headings = ("each seed", _seeds_of(found.seeds[0]), _seeds_of(found.seeds[1]), "this setting", "Welch p")
    for place, heading in enumerate(headings):
        table.add_column(plain_text(heading), no_wrap=True, justify="left" if place == 0 else "right")
    for spread in found.spreads:
        measure = measure_named(spread.name)
        row = (
            measure.title,
            "  ".join(formatting.value(measure, value) for value in spread.before),
            "  ".join(formatting.value(measure, value) for value in spread.after),
            formatting.interval(measure, spread.low_95, spread.high_95),
            formatting.p_value(spread.welch_p).removeprefix("p = ").removeprefix("p ") or formatting.MISSING,
        )
        table.add_row(*row)
        lines += [
            plain_text(row[0].strip()),
            plain_text(f"    A {row[1]}"),
            plain_text(f"    B {row[2]}, {row[3]}, {row[4]}"),
        ]
    return Group(WideOrStacked(table, Group(*lines)))


def seed_noise_sentence(outcome: ComparisonResult) -> str | None:
    """How the primary's change compares with what the seed alone does, where that is known."""
    floor, change = outcome.seed_noise, _primary(outcome.comparison)
    typical = floor.typical.get(outcome.comparison.primary) if floor else None
    if floor is None or typical is None or change is None:
        return None
    measure = measure_named(outcome.comparison.primary)
    return (
        f"Noise floor: {len(floor.runs)} runs of one setting that differ in the seed only are typically "
        f"{formatting.difference(measure, typical).removeprefix('+')} apart; here it is "
        f"{formatting.difference(measure, change)}."
    )


def warnings(outcome: ComparisonResult) -> list[RenderableType]:
    """What has to stand over every number: what was let pass, and prompts that leaked."""
    said = [f"! {reason}" for reason in outcome.waived]
    said += [
        f"! LEAK: {count} evaluation prompts overlap what {run} learnt from, so they show memory, not behaviour"
        for run, count in outcome.leaks.items()
    ]
    return [plain_text(line, style="bold red") for line in said]


def _primary(comparison: Comparison) -> float | None:
    return next((change.difference for change in comparison.changes if change.name == comparison.primary), None)


def _excludes_zero(spread: SeedSpread, is_ratio: bool) -> bool:
    nothing = 1.0 if is_ratio else 0.0
    return spread.low_95 is not None and spread.high_95 is not None and (spread.low_95 > nothing or spread.high_95 < nothing)


def _seeds_of(seeds: Sequence[int]) -> str:
    return f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
