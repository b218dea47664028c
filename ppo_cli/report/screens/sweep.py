"""The screen of several arms: what each dose did, with every seed as a dot.

Nothing is pooled and no curve is drawn: an arm's interval is over its prompts, and how far seeds lie apart is seen.

Not here: numbers, carrying out the arms.
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
from ppo_cli.records.sweep import SweepArm, SweepPreview, SweepResult
from ppo_cli.report import charts, formatting
from ppo_cli.report.tables import footnotes, plain_table, plain_text
from ppo_cli.stats.seed_variance import MIN_SEEDS

AXIS = 56
KL = "kl.per_answer"
DOT, START = "●", "○"
SHORT = {
    "refusal.safe": "refuses safe",
    "ending.eos": "ends",
    "ending.whole": "whole",
    "form.empty": "empty",
    "form.repetition": "repeats",
    "clarification.unwanted": "asks, clear",
}
"""What to call the guards in a table with a row an arm."""


@dataclass(frozen=True)
class DotPlot:
    """Rows of numbers on one axis; a terminal gets dots, a pipe gets the numbers."""

    measure: Measure
    rows: Sequence[tuple[str, Sequence[float]]]
    start: float | None
    """Where all of them began, marked with a circle."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title = self.measure.title.strip()
        labels = max(len(label) for label, _ in self.rows)
        began = f", step 0: {formatting.value(self.measure, self.start)}" if self.start is not None else ""
        if not console.is_terminal:
            yield plain_text(f"{title}{began}")
            for label, numbers in self.rows:
                yield plain_text(
                    f"  {label:<{labels}}  {'  '.join(formatting.value(self.measure, n) for n in numbers) or '–'}"
                )
            return
        numbers = [number for _, row in self.rows for number in row]
        ends = [*numbers, *([self.start] if self.start is not None else [])]
        width = max(10, min(AXIS, options.max_width - labels - 4))
        low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
        yield plain_text(
            f"{title}, from {formatting.value(self.measure, low)} to {formatting.value(self.measure, high)}{began}"
        )
        for label, row in self.rows:
            yield plain_text(f"  {label:<{labels}}  ").append(axis(row, low, high, width, self.start))


def axis(numbers: Sequence[float], low: float, high: float, width: int, start: float | None = None) -> str:
    """Numbers as dots on a line of so many columns; several in one column as how many they are.

    Args:
        numbers: within low and high.
        low: at the left end.
        high: at the right end.
        width: columns.
        start: marked with a circle where no dot lies on it.
    """

    def column(number: float) -> int:
        return round((number - low) / ((high - low) or 1.0) * (width - 1))

    line = ["·"] * width
    if start is not None:
        line[column(start)] = START
    counts: dict[int, int] = {}
    for number in numbers:
        counts[column(number)] = counts.get(column(number), 0) + 1
    for place, count in counts.items():
        line[place] = DOT if count == 1 else str(count) if count < 10 else "+"
    return "".join(line)


def sweep_screen(outcome: SweepResult) -> RenderableType:
    """What `ppo train --vary … --seeds …` ends with."""
    seeds = sorted({arm.seed for arm in outcome.arms})
    guards = _known_guards(outcome)
    parts: list[RenderableType] = [
        plain_text(_title(outcome.key, [(arm.value, arm.seed) for arm in outcome.arms]), style="bold"),
        plain_text(f"goal: {formatting.one_line(outcome.goal)}", style="dim"),
        Text(),
        _table(outcome, guards),
        *footnotes([outcome.primary, *(guard.name for guard in guards)], outcome.rewarded_measures),
        Text(),
    ]
    if any(arm.measures for arm in outcome.arms):
        parts += [_dots(outcome, outcome.primary), _dots(outcome, KL), Text()]
    parts += [plain_text(caution(outcome.key, len(seeds)), style="dim")]
    for arm in outcome.arms:
        if arm.problem:
            parts.append(
                plain_text(f"✗ {_label(arm, outcome.key)} failed: {formatting.one_line(arm.problem)}", style="red")
            )
    parts += [Text(), plain_text(f"set: {outcome.file}", style="dim")]
    if outcome.chart:
        parts.append(plain_text(f"chart: {outcome.chart}", style="dim"))
    if command := _comparing(outcome):
        parts.append(plain_text(f"the ends, prompt by prompt: {command}", style="dim"))
    return Group(*parts)


def sweep_preview_screen(planned: SweepPreview) -> RenderableType:
    """What `--dry-run` shows of several arms."""
    table = plain_table()
    table.add_column(plain_text(planned.key or ""), no_wrap=True)
    table.add_column("seed", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("takes about", justify="right", no_wrap=True)
    for arm in planned.arms:
        took = formatting.MISSING if arm.seconds is None else formatting.duration(arm.seconds)
        table.add_row(_value(arm.value) if planned.key else "", str(arm.seed), arm.status, took)
    known = planned.seconds is not None and planned.disk_gb is not None
    cost = (
        f"about {formatting.duration(planned.seconds or 0.0)} and {planned.disk_gb or 0.0:.1f} GB of disk "
        f"on {planned.device}"
        if known
        else "not known before the model is fetched"
    )
    leak = f"; {planned.overlaps} evaluation prompts overlap training" if planned.overlaps else ""
    return Group(
        plain_text(_title(planned.key, [(arm.value, arm.seed) for arm in planned.arms]), style="bold"),
        plain_text(f"goal: {formatting.one_line(planned.goal)}", style="dim"),
        Text(),
        table,
        Text(),
        plain_text(f"cost of what is left: {cost}{leak}"),
        plain_text(f"Nothing was run. To start, or to go on: {planned.command}", style="dim"),
    )


def sweep_chart_svg(outcome: SweepResult) -> str:
    """The same as a picture that stands alone: an SVG file."""
    rows = _rows(outcome)
    panels = [
        charts.SweepPanel(
            measure=measure_named(name),
            rows=[(label, [_estimate(arm.measures, name) for arm in arms]) for label, arms in rows],
            start=_number(outcome.baseline, name),
        )
        for name in (outcome.primary, KL)
    ]
    return charts.standalone_svg(charts.sweep_chart(panels, outcome.key or "seed"))


def caution(key: str | None, seeds: int) -> str:
    """What so many seeds can and cannot say."""
    over = "Intervals are over prompts, dots are seeds."
    if key is None:
        return f"{over} Only the seed differs: how far the dots lie apart is the noise floor of the experiment."
    if seeds < MIN_SEEDS:
        word = "seed" if seeds == 1 else "seeds"
        return (
            f"{over} With {seeds} {word} a value this shows what these runs did, not yet that {key} made the "
            f"difference; {MIN_SEEDS} or more would begin to."
        )
    return f"{over} Where the dots of two values lie mixed, {key} made no difference that can be seen here."


def _title(key: str | None, arms: Sequence[tuple[object, int]]) -> str:
    values, seeds = {repr(value) for value, _ in arms}, {seed for _, seed in arms}
    varied = f"{key} in {len(values)} values × " if key else ""
    return f"{varied}{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}"


def _rows(outcome: SweepResult) -> list[tuple[str, list[SweepArm]]]:
    """The arms by value: numbers by size, others as they were typed."""
    grouped: dict[str, list[SweepArm]] = {}
    for arm in outcome.arms:
        grouped.setdefault(_value(arm.value) if outcome.key else "seeds", []).append(arm)
    return sorted(grouped.items(), key=lambda row: _size(row[1][0].value))


def _size(value: object) -> float:
    return value if isinstance(value, int | float) else math.inf


def _known_guards(outcome: SweepResult) -> list[Measure]:
    """Those that there is data for."""
    found = [outcome.baseline, *(arm.measures for arm in outcome.arms)]
    return [
        measure_named(name) for name in outcome.guards if any(_number(measures, name) is not None for measures in found)
    ]


def _table(outcome: SweepResult, guards: Sequence[Measure]) -> RenderableType:
    primary = measure_named(outcome.primary)
    table = plain_table()
    table.add_column(plain_text(outcome.key or ""), no_wrap=True)
    table.add_column("seed", justify="right", no_wrap=True)
    table.add_column("KL an answer", justify="right", no_wrap=True)
    table.add_column(_heading(primary, f"★ {primary.title.strip()}", outcome), justify="right", no_wrap=True)
    for guard in guards:
        heading = _heading(guard, SHORT.get(guard.name, guard.title.strip()), outcome)
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    table.add_row("step 0", "", *_cells(outcome.baseline, primary, guards), "")
    for label, arms in _rows(outcome):
        for arm in arms:
            said = [*([] if arm.status == "finished" else [arm.status]), *(f"! {name}" for name in arm.alarms)]
            first = label if outcome.key else ""
            table.add_row(first, str(arm.seed), *_cells(arm.measures, primary, guards), ", ".join(said))
    return table


def _cells(measures: Mapping[str, Any], primary: Measure, guards: Sequence[Measure]) -> list[str]:
    found = _estimate(measures, primary.name)
    return [
        formatting.value(measure_named(KL), _number(measures, KL)),
        formatting.estimate(primary, found) if found is not None else formatting.MISSING,
        *(formatting.value(guard, _number(measures, guard.name)) for guard in guards),
    ]


def _dots(outcome: SweepResult, name: str) -> RenderableType:
    rows = [
        (
            f"{outcome.key} {label}" if outcome.key else label,
            [number for arm in arms if (number := _number(arm.measures, name)) is not None],
        )
        for label, arms in _rows(outcome)
    ]
    return DotPlot(measure_named(name), rows, _number(outcome.baseline, name))


def _comparing(outcome: SweepResult) -> str:
    """The command that holds the smallest dose against the largest, or one seed against another."""
    done = [[arm.run for arm in arms if arm.measures] for _, arms in _rows(outcome)]
    done = [runs for runs in done if runs]
    runs = done[0] + done[-1] if len(done) > 1 else done[0] if done else []
    if len(runs) < 2:
        return ""
    elsewhere = f" --output {outcome.folder}" if outcome.folder != "runs" else ""
    return f"ppo compare {' '.join(runs)}{elsewhere}"


def _heading(measure: Measure, title: str, outcome: SweepResult) -> Text:
    graded = f" {formatting.REWARDED_MARK}" if measure.name in outcome.rewarded_measures else ""
    return Text(f"{title}{graded}")


def _estimate(measures: Mapping[str, Any], name: str) -> Estimate | None:
    row = measures.get(name)
    return Estimate(name=name, **row) if row else None


def _number(measures: Mapping[str, Any], name: str) -> float | None:
    row = measures.get(name)
    return row["value"] if row else None


def _label(arm: SweepArm, key: str | None) -> str:
    return f"{key} {_value(arm.value)}, seed {arm.seed}" if key else f"seed {arm.seed}"


def _value(value: object) -> str:
    """A value as it would be typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else formatting.printable(str(value))
