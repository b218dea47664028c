"""What a sweep with several seeds begins with: step 0 against the last step over the seeds of each value.

Not here: the numbers (`stats.pooled_seeds`), every arm (`sweep`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import PooledChange
from ppo_cli.records.measures import Measure
from ppo_cli.records.sweep import SweepArm, SweepResult
from ppo_cli.reports import formatting
from ppo_cli.reports.seed_table import pooled_label
from ppo_cli.reports.tables import WideOrStacked, plain_text, unwrapped_table
from ppo_cli.reports.verdicts import GUARDS, GUARDS_OF_FAMILY, WORSE
from ppo_cli.stats.comparison import ALPHA, with_margin
from ppo_cli.stats.pooled_seeds import pooled_change
from ppo_cli.stats.seed_variance import MIN_SEEDS
from ppo_cli.stats.significance import holm

NOTE = (
    "The interval is a t interval over seeds, for these prompts. CHANGED: it excludes 0, with "
    f"{MIN_SEEDS} seeds or more. EQUIVALENT: the 90 % interval over seeds lies within the smallest change that matters."
)


def pooled_seeds_block(result: SweepResult, rows: Sequence[tuple[str, Sequence[SweepArm]]]) -> list[RenderableType]:
    """A line for each guard that got worse over seeds, then the primary measure; nothing where no value has two seeds.

    Args:
        result: the sweep.
        rows: its arms by value.
    """
    primary = with_margin(measure_named(result.primary), result.smallest_effect)
    pooled = [(label, change) for label, arms in rows if (change := _pooled(result, arms, primary)) is not None]
    if not any(change.seeds > 1 for _, change in pooled):
        return []
    headings = (
        f"★ {primary.title.strip()}",
        "seeds",
        "step 0",
        "mean",
        "change",
        "95 % over seeds",
    )
    cells = [
        (
            f"{result.key} {label}" if result.key else label,
            str(change.seeds),
            formatting.value(primary, change.before),
            formatting.value(primary, change.after),
            formatting.difference(primary, change.change.difference),
            formatting.interval(primary, change.change.low_95, change.change.high_95),
        )
        for label, change in pooled
    ]
    labels = [pooled_label(change) if change.change.low_95 is not None else "" for _, change in pooled]
    lines = [
        plain_text(f"{name}: {label}, {before} → {after}, {change} {interval} over {seeds} seeds")
        for (name, seeds, before, after, change, interval), label in zip(cells, labels, strict=True)
    ]
    worse = [plain_text(sentence, style="bold red") for sentence in _worse(result, rows)]
    table = WideOrStacked(unwrapped_table(headings, cells, labels), Group(*lines))
    return [*worse, table, Text(NOTE, style="dim"), Text()]


def _worse(result: SweepResult, rows: Sequence[tuple[str, Sequence[SweepArm]]]) -> Iterator[str]:
    """A sentence for each guard that got worse over the seeds of a value, after Holm's correction over all of them."""
    family = measure_named(result.primary).family
    names = [name for name in (*GUARDS, *GUARDS_OF_FAMILY.get(family, ())) if name != result.primary]
    tested = [
        (label, measure, change)
        for measure in map(measure_named, names)
        for label, arms in rows
        if (change := _pooled(result, arms, measure)) is not None and change.change.p_value is not None
    ]
    corrected = holm([change.change.p_value or 0.0 for _, _, change in tested])
    for (label, measure, change), p_value in zip(tested, corrected, strict=True):
        fell = change.change.difference < 0
        if p_value < ALPHA and fell == (measure.better == "higher"):
            where = f" at {result.key} {label}" if result.key else ""
            yield (
                f"{WORSE}{where}. {measure.title.strip()}: {formatting.value(measure, change.before)} → "
                f"{formatting.value(measure, change.after)}, "
                f"{formatting.difference(measure, change.change.difference)}, "
                f"95 % interval over {change.seeds} seeds "
                f"{formatting.interval(measure, change.change.low_95, change.change.high_95)}."
            )


def _pooled(result: SweepResult, arms: Sequence[SweepArm], measure: Measure) -> PooledChange | None:
    """The change of a measure over the seeds of one value; None where it was not measured."""
    before = _number(result.baseline, measure.name)
    after = [number for arm in arms if (number := _number(arm.measures, measure.name)) is not None]
    return None if before is None else pooled_change(measure, before, after)


def _number(measures: Mapping[str, Any], name: str) -> float | None:
    row = measures.get(name)
    return row["value"] if row else None
