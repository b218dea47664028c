"""The screens of a sweep: the result of every arm with every seed as a dot, and the plan before it runs.

With several seeds the change over seeds comes first. Below, an arm's interval is over its prompts, the spread of the
seeds is visible, and no curve is drawn.

Not here: the numbers, running the arms (`training.sweep`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.measures import Estimate, Measure
from ppo_cli.records.program import command
from ppo_cli.records.sweep import SweepArm, SweepPreview, SweepResult
from ppo_cli.reports import charts, formatting
from ppo_cli.reports.alarms import short_name
from ppo_cli.reports.screens.elements import goal_line
from ppo_cli.reports.screens.pooled_seeds import pooled_seeds_block
from ppo_cli.reports.svg import standalone_svg
from ppo_cli.reports.tables import (
    WideOrStacked,
    footnotes,
    plain_table,
    plain_text,
    suggested_command,
    unwrapped_table,
)
from ppo_cli.stats.seed_variance import MIN_SEEDS
from ppo_cli.text.printable import printable

AXIS_COLUMNS = 56
KL = "kl.per_answer"
DOT, START = "●", "○"
SHORT = {
    "refusal.safe": "refuses safe",
    "ending.eos": "ends",
    "ending.complete_sentence": "complete",
    "length.empty": "empty",
    "repetition.share": "repeats",
    "clarification.unwanted": "asks, clear",
}
"""Short titles of the guard measures."""


@dataclass(frozen=True)
class DotPlot:
    """Rows of numbers on one axis: as dots on a terminal, as numbers on a pipe."""

    measure: Measure
    rows: Sequence[tuple[str, Sequence[float]]]
    start: float | None
    """The value at step 0, marked with a circle."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title = self.measure.title.strip()
        labels = max(len(label) for label, _ in self.rows)
        at_start = f", step 0: {formatting.value(self.measure, self.start)}" if self.start is not None else ""
        if not console.is_terminal:
            yield plain_text(f"{title}{at_start}")
            for label, numbers in self.rows:
                yield plain_text(
                    f"  {label:<{labels}}  {'  '.join(formatting.value(self.measure, n) for n in numbers) or '–'}"
                )
            return
        numbers = [number for _, row in self.rows for number in row]
        ends = [*numbers, *([self.start] if self.start is not None else [])]
        width = max(10, min(AXIS_COLUMNS, options.max_width - labels - 4))
        low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
        yield plain_text(
            f"{title}, from {formatting.value(self.measure, low)} to {formatting.value(self.measure, high)}{at_start}"
        )
        for label, row in self.rows:
            yield plain_text(f"  {label:<{labels}}  ").append(axis(row, low, high, width, self.start))


def axis(numbers: Sequence[float], low: float, high: float, width: int, start: float | None = None) -> str:
    """Numbers as dots on a line; several in one column as their count.

    Args:
        numbers: between low and high.
        low: value of the left end.
        high: value of the right end.
        width: its columns.
        start: a value marked with a circle where there is no dot.
    """

    def column(number: float) -> int:
        return round((number - low) / ((high - low) or 1.0) * (width - 1))

    line = ["·"] * width
    if start is not None:
        line[column(start)] = START
    counts: dict[int, int] = {}
    for number in numbers:
        counts[column(number)] = counts.get(column(number), 0) + 1
    for index, count in counts.items():
        line[index] = DOT if count == 1 else str(count) if count < 10 else "+"
    return "".join(line)


def sweep_screen(result: SweepResult) -> RenderableType:
    """What `ppo train --sweep … --seeds …` ends with."""
    seeds = sorted({arm.seed for arm in result.arms})
    guards = _known_guards(result)
    parts: list[RenderableType] = [
        plain_text(_title(result.key, [(arm.value, arm.seed) for arm in result.arms]), style="bold"),
        goal_line(result.goal),
        Text(),
        *pooled_seeds_block(result, _rows(result)),
        _table(result, guards),
        *footnotes([result.primary, *(guard.name for guard in guards)], result.rewarded_measures),
        Text(),
    ]
    if any(arm.measures for arm in result.arms):
        parts += [_dots(result, result.primary), _dots(result, KL), Text()]
    parts += [plain_text(caution(result.key, len(seeds)), style="dim")]
    for arm in result.arms:
        if arm.problem:
            parts.append(
                plain_text(f"✗ {_label(arm, result.key)} failed: {formatting.one_line(arm.problem)}", style="red")
            )
    parts += [Text(), plain_text(f"results: {result.file}", style="dim")]
    if result.chart:
        parts.append(plain_text(f"chart: {result.chart}", style="dim"))
    if compare := _compare_command(result):
        parts.append(suggested_command("compare", compare))
    return Group(*parts)


def sweep_preview_screen(planned: SweepPreview) -> RenderableType:
    """What `ppo train --sweep … --dry-run` ends with."""
    table = plain_table()
    table.add_column(plain_text(planned.key or ""), no_wrap=True)
    table.add_column("seed", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("takes about", justify="right", no_wrap=True)
    for arm in planned.arms:
        seconds = formatting.MISSING if arm.seconds is None else formatting.duration(arm.seconds)
        table.add_row(_value(arm.value) if planned.key else "", str(arm.seed), formatting.status(arm.status), seconds)
    known = planned.seconds is not None and planned.disk_gb is not None
    cost = (
        f"about {formatting.duration(planned.seconds or 0.0)} and {planned.disk_gb or 0.0:.1f} GB of disk "
        f"on {planned.device}"
        if known
        else "unknown until the model is downloaded"
    )
    leak = f"; {planned.overlaps} evaluation prompts overlap training" if planned.overlaps else ""
    return Group(
        plain_text(_title(planned.key, [(arm.value, arm.seed) for arm in planned.arms]), style="bold"),
        goal_line(planned.goal),
        Text(),
        table,
        Text(),
        plain_text(f"cost of the arms left to run: {cost}{leak}"),
        Text("Nothing was run. This command starts the sweep, and continues it after an interruption:", style="dim"),
        suggested_command("run", planned.command),
    )


def sweep_chart_svg(result: SweepResult) -> str:
    """The same as an SVG file."""
    rows = _rows(result)
    panels = [
        charts.SweepPanel(
            measure=measure_named(name),
            rows=[(label, [_estimate(arm.measures, name) for arm in arms]) for label, arms in rows],
            start=_number(result.baseline, name),
        )
        for name in (result.primary, KL)
    ]
    return standalone_svg(charts.sweep_chart(panels, result.key or "seed"))


def caution(key: str | None, seeds: int) -> str:
    """What can be concluded with this number of seeds.

    Args:
        key: that was varied; None where only the seed was.
        seeds: per value.
    """
    legend = "Intervals are over prompts, dots are seeds."
    if key is None:
        return f"{legend} Only the seed differs: the spread of the dots is the seed noise of this experiment."
    if seeds < MIN_SEEDS:
        return (
            f"{legend} With {seeds} {'seed' if seeds == 1 else 'seeds'} per value this shows what these runs did, not "
            f"that {key} caused it; use {MIN_SEEDS} or more seeds for that."
        )
    return f"{legend} Where the dots of two values overlap, no effect of {key} is visible."


def _title(key: str | None, arms: Sequence[tuple[object, int]]) -> str:
    values, seeds = {repr(value) for value, _ in arms}, {seed for _, seed in arms}
    varied = f"{key} in {len(values)} values × " if key else ""
    return f"{varied}{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}"


def _rows(result: SweepResult) -> list[tuple[str, list[SweepArm]]]:
    """The arms by value: numbers by size, other values in the order given."""
    grouped: dict[str, list[SweepArm]] = {}
    for arm in result.arms:
        grouped.setdefault(_value(arm.value) if result.key else "seeds", []).append(arm)
    return sorted(grouped.items(), key=lambda row: _size(row[1][0].value))


def _size(value: object) -> float:
    return value if isinstance(value, int | float) else math.inf


def _known_guards(result: SweepResult) -> list[Measure]:
    """The guard measures that there is data for."""
    measured = [result.baseline, *(arm.measures for arm in result.arms)]
    return [measure_named(name) for name in result.guards if any(_number(row, name) is not None for row in measured)]


def _table(result: SweepResult, guards: Sequence[Measure]) -> RenderableType:
    primary = measure_named(result.primary)
    headings = (
        result.key or "",
        "seed",
        "KL per answer",
        _heading(primary, f"★ {primary.title.strip()}", result),
        *(_heading(guard, SHORT.get(guard.name, guard.title.strip()), result) for guard in guards),
    )
    rows = [("step 0", "", *_cells(result.baseline, primary, guards))]
    notes = [""]
    for label, arms in _rows(result):
        for arm in arms:
            value = label if result.key else ""
            rows.append((value, str(arm.seed), *_cells(arm.measures, primary, guards)))
            status = [] if arm.status == "finished" else [formatting.status(arm.status)]
            notes.append(", ".join([*status, *(f"! {short_name(name)}" for name in arm.alarms)]))
    return WideOrStacked(unwrapped_table(headings, rows, notes), _stacked(headings, rows, notes))


def _stacked(headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> RenderableType:
    """The table as lines, two per arm."""
    lines: list[RenderableType] = []
    for (value, seed, *cells), note in zip(rows, notes, strict=True):
        setting = f"{headings[0]} {value}" if headings[0] and seed else value
        name = ", ".join(filter(None, [setting, f"seed {seed}" if seed else ""]))
        lines.append(plain_text(f"{name}  {note}".rstrip()))
        pairs = zip(headings[2:], cells, strict=True)
        lines.append(plain_text(f"    {', '.join(f'{heading} {cell}' for heading, cell in pairs)}"))
    return Group(*lines)


def _cells(measures: Mapping[str, Any], primary: Measure, guards: Sequence[Measure]) -> list[str]:
    estimate = _estimate(measures, primary.name)
    return [
        formatting.value(measure_named(KL), _number(measures, KL)),
        formatting.estimate(primary, estimate) if estimate is not None else formatting.MISSING,
        *(formatting.value(guard, _number(measures, guard.name)) for guard in guards),
    ]


def _dots(result: SweepResult, name: str) -> RenderableType:
    rows = [
        (
            f"{result.key} {label}" if result.key else label,
            [number for arm in arms if (number := _number(arm.measures, name)) is not None],
        )
        for label, arms in _rows(result)
    ]
    return DotPlot(measure_named(name), rows, _number(result.baseline, name))


def _compare_command(result: SweepResult) -> str:
    """The command that compares the smallest value with the largest, or the seeds; empty without two runs."""
    by_value = [[arm.run for arm in arms if arm.measures] for _, arms in _rows(result)]
    by_value = [runs for runs in by_value if runs]
    runs = by_value[0] + by_value[-1] if len(by_value) > 1 else by_value[0] if by_value else []
    if len(runs) < 2:
        return ""
    return command("compare", *runs, *(["--runs-dir", result.folder] if result.folder != "runs" else []))


def _heading(measure: Measure, title: str, result: SweepResult) -> str:
    return f"{title} {formatting.REWARDED_MARK}" if measure.name in result.rewarded_measures else title


def _estimate(measures: Mapping[str, Any], name: str) -> Estimate | None:
    row = measures.get(name)
    return Estimate(name=name, **row) if row else None


def _number(measures: Mapping[str, Any], name: str) -> float | None:
    row = measures.get(name)
    return row["value"] if row else None


def _label(arm: SweepArm, key: str | None) -> str:
    return f"{key} {_value(arm.value)}, seed {arm.seed}" if key else f"seed {arm.seed}"


def _value(value: object) -> str:
    """A value as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else printable(str(value))
