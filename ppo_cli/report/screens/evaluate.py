"""What `ppo eval` shows beside the closing screen: category by category, answers made elsewhere, several checkpoints.

Not here: numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ppo_cli.behaviours.measures import BY_CATEGORY, measure_named
from ppo_cli.records.measures import Category, CategoryValue, Measure
from ppo_cli.records.results import CheckpointCurveResult, CheckpointRow, ExternalAnswersResult
from ppo_cli.report import formatting
from ppo_cli.report.tables import estimate_table, footnotes, plain_table, plain_text

CHART_COLUMNS, CHART_ROWS = 64, 12
ON_THE_CURVE, OFF_THE_CURVE = "◆", "·"
ALSO_SHOWN = {
    "refusal.unsafe": "refuses unsafe",
    "refusal.safe": "refuses safe",
    "length.tokens": "tokens",
    "entropy.per_token": "entropy",
}
"""Headlines beside the primary in a list of checkpoints, and what to call them there."""


def category_table(categories: Sequence[Category]) -> Table:
    """A line for each category: what it gets and, where there is something to compare with, what it got before."""
    table = plain_table()
    table.add_column("category", overflow="fold")
    table.add_column("should")
    table.add_column("prompts", justify="right")
    for measure in BY_CATEGORY:
        table.add_column(measure.title, justify="right", no_wrap=True)
    for category in categories:
        cells = [_cell(measure, value) for measure, value in zip(BY_CATEGORY, category.values, strict=True)]
        table.add_row(category.name, category.expect, str(category.prompts), *cells)
    return table


def answers_screen(outcome: ExternalAnswersResult) -> RenderableType:
    """What `ppo eval --answers` ends with."""
    parts: list[RenderableType] = [
        plain_text(outcome.name, style="bold"),
        Text(f"{outcome.answers} answers to {outcome.prompts} prompts", style="dim"),
        Text(),
        estimate_table(outcome.estimates),
    ]
    if outcome.categories:
        parts += [Text(), category_table(outcome.categories)]
    parts += [Text(), plain_text(f"rules {outcome.rules}; labels of every answer in {outcome.labels}", style="dim")]
    return Group(*parts)


def checkpoint_curve_screen(outcome: CheckpointCurveResult) -> RenderableType:
    """What `ppo eval` ends with for several checkpoints of a run."""
    measure = measure_named(outcome.primary)
    others = {name: title for name, title in ALSO_SHOWN.items() if name != outcome.primary}
    table = plain_table()
    table.add_column("step", no_wrap=True)
    for heading in ("KL", f"★ {measure.title}", "change", "95 % interval", *others.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("kept")
    for line in outcome.rows:
        table.add_row(*_checkpoint_row(line, measure, [measure_named(name) for name in others]))
    asked = f"KL in nats an answer; change against step 0; {outcome.prompts} prompts × {outcome.samples_per_prompt}"
    if outcome.prompts < outcome.of_prompts:
        asked += f", those of {outcome.of_prompts} that every step answered"
    parts: list[RenderableType] = [
        plain_text(outcome.run, style="bold"),
        Text(f"goal: {formatting.one_line(outcome.goal)}", style="dim"),
        Text(asked, style="dim"),
        Text(),
        table,
    ]
    drawn = tradeoff_chart(outcome.rows, measure)
    if drawn:
        parts += [Text(), *map(Text, drawn)]
        parts.append(
            Text(
                f"{ON_THE_CURVE} no other step does as well with less KL; numbers are steps. With few prompts the best "
                "of several looks is partly luck.",
                style="dim",
            )
        )
    return Group(*parts, *footnotes([outcome.primary, *others], outcome.rewarded_measures))


def tradeoff_chart(lines: Sequence[CheckpointRow], measure: Measure) -> list[str]:
    """Behaviour against KL in letters: a mark and its step for each checkpoint; nothing for fewer than two.

    Args:
        lines: the checkpoints.
        measure: the primary, upwards.
    """
    points = [
        (line.kl, line.primary.value, line) for line in lines if line.kl is not None and line.primary.value is not None
    ]
    if len(points) < 2:
        return []
    right = max(kl for kl, _, _ in points) or 1.0
    low, high = min(value for _, value, _ in points), max(value for _, value, _ in points)
    space = [[" "] * CHART_COLUMNS for _ in range(CHART_ROWS)]
    for kl, value, line in sorted(points, key=lambda point: point[2].frontier):
        column = round(kl / right * (CHART_COLUMNS - 1 - len(str(line.step)) - 1))
        row = round((high - value) / (high - low) * (CHART_ROWS - 1)) if high > low else CHART_ROWS // 2
        mark = f"{ON_THE_CURVE if line.frontier else OFF_THE_CURVE}{line.step}"
        space[row][column : column + len(mark)] = mark
    sides = [formatting.value(measure, high), formatting.value(measure, low)]
    width = max(map(len, sides))
    edges = [sides[0], *[""] * (CHART_ROWS - 2), sides[1]]
    body = [f"{edge:>{width}} │{''.join(row).rstrip()}" for edge, row in zip(edges, space, strict=True)]
    scale = f"0{'KL an answer, nats':^{CHART_COLUMNS - 6}}{right:.2f}"
    return [f"{measure.title} against KL", *body, f"{'':>{width}} └{'─' * CHART_COLUMNS}", f"{'':>{width}}  {scale}"]


def _checkpoint_row(line: CheckpointRow, measure: Measure, others: Sequence[Measure]) -> list[str]:
    estimates = {found.name: found for found in line.estimates}
    change = line.change
    return [
        f"{line.step} {ON_THE_CURVE if line.frontier else ' '}",
        formatting.value(measure_named("kl.per_answer"), line.kl),
        formatting.value(measure, line.primary.value),
        formatting.difference(measure, change.difference) if change else formatting.MISSING,
        formatting.interval(measure, change.low_95, change.high_95) if change else formatting.MISSING,
        *(formatting.value(other, estimates[other.name].value) for other in others),
        "yes" if line.checkpoint else "",
    ]


def _cell(measure: Measure, value: CategoryValue) -> str:
    now = formatting.value(measure, value.estimate.value)
    if value.before is None:
        return formatting.estimate(measure, value.estimate) if _is_known(value) else now
    low, high = value.low_95, value.high_95
    if measure.statistic == "geometric_mean" and low is not None and high is not None:
        low, high = math.exp(low), math.exp(high)
    return f"{formatting.value(measure, value.before)} → {now} {formatting.interval(measure, low, high)}"


def _is_known(value: CategoryValue) -> bool:
    found = value.estimate
    return all(edge is not None and math.isfinite(edge) for edge in (found.low_95, found.high_95))
