"""The screen of several arms: what each dose did, with every seed as a dot.

Nothing is pooled and no curve is drawn: an arm's interval is over its prompts, and how far seeds lie apart is seen.

Not here: numbers, carrying out the arms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from ppo_cli.behaviours.catalog import measure_named
from ppo_cli.records import ArmLine, Estimate, Measure, VaryOutcome
from ppo_cli.report import wording
from ppo_cli.report.tables import footnotes, literal, plain_table

AXIS = 56
KL = "kl.per_answer"
ENOUGH_SEEDS = 5
DOT, START = "●", "○"


@dataclass(frozen=True)
class Dots:
    """Rows of numbers on one axis; a terminal gets dots, a pipe gets the numbers."""

    measure: Measure
    rows: Sequence[tuple[str, Sequence[float]]]
    start: float | None
    """Where all of them began, marked with a circle."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title = self.measure.title.strip()
        labels = max(len(label) for label, _ in self.rows)
        began = f", step 0: {wording.value(self.measure, self.start)}" if self.start is not None else ""
        if not console.is_terminal:
            yield literal(f"{title}{began}")
            for label, numbers in self.rows:
                yield literal(
                    f"  {label:<{labels}}  {'  '.join(wording.value(self.measure, n) for n in numbers) or '–'}"
                )
            return
        numbers = [number for _, row in self.rows for number in row]
        ends = [*numbers, *([self.start] if self.start is not None else [])]
        width = max(10, min(AXIS, options.max_width - labels - 4))
        low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
        yield literal(f"{title}, from {wording.value(self.measure, low)} to {wording.value(self.measure, high)}{began}")
        for label, row in self.rows:
            yield literal(f"  {label:<{labels}}  ").append(axis(row, low, high, width, self.start))


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


def vary_screen(outcome: VaryOutcome) -> RenderableType:
    """What `ppo train --vary … --seeds …` ends with."""
    values = list(dict.fromkeys(_value(arm.value) for arm in outcome.arms))
    seeds = sorted({arm.seed for arm in outcome.arms})
    varied = f"{outcome.key} in {len(values)} values × " if outcome.key else ""
    title = f"{varied}{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}"
    parts: list[RenderableType] = [
        literal(title, style="bold"),
        literal(f"goal: {wording.one_line(outcome.goal)}", style="dim"),
        Text(),
        _table(outcome),
        *footnotes([outcome.primary, *outcome.guards], outcome.graded),
        Text(),
    ]
    if any(arm.measures for arm in outcome.arms):
        parts += [_dots(outcome, outcome.primary), _dots(outcome, KL), Text()]
    parts += [literal(caution(outcome.key, len(seeds)), style="dim")]
    for arm in outcome.arms:
        if arm.problem:
            parts.append(literal(f"✗ {_label(arm, outcome.key)} failed: {wording.one_line(arm.problem)}", style="red"))
    parts += [Text(), literal(f"set: {outcome.file}", style="dim")]
    done = [arm.run for arm in outcome.arms if arm.measures]
    if len(done) > 1:
        parts.append(literal(f"two of them, prompt by prompt: ppo compare {done[0]} {done[-1]}", style="dim"))
    return Group(*parts)


def caution(key: str | None, seeds: int) -> str:
    """What so many seeds can and cannot say."""
    over = "Intervals are over prompts, dots are seeds."
    if key is None:
        return f"{over} Only the seed differs: how far the dots lie apart is the noise floor of the experiment."
    if seeds < ENOUGH_SEEDS:
        word = "seed" if seeds == 1 else "seeds"
        return (
            f"{over} With {seeds} {word} a value this shows what these runs did, not yet that {key} made the "
            f"difference; {ENOUGH_SEEDS} or more would begin to."
        )
    return f"{over} Where the dots of two values lie mixed, {key} made no difference that can be seen here."


def _table(outcome: VaryOutcome) -> RenderableType:
    primary = measure_named(outcome.primary)
    guards = [measure_named(name) for name in outcome.guards]
    table = plain_table()
    table.add_column(literal(outcome.key or ""), no_wrap=True)
    table.add_column("seed", justify="right", no_wrap=True)
    table.add_column("KL an answer", justify="right", no_wrap=True)
    table.add_column(_heading(primary, outcome, "★ "), justify="right", no_wrap=True)
    for guard in guards:
        table.add_column(_heading(guard, outcome), justify="right")
    table.add_column("", no_wrap=True)
    table.add_row("step 0", "", *_cells(outcome.before, primary, guards), "")
    for arm in outcome.arms:
        status = "" if arm.status == "finished" else arm.status
        table.add_row(_value(arm.value), str(arm.seed), *_cells(arm.measures, primary, guards), status)
    return table


def _cells(measures: Mapping[str, Any], primary: Measure, guards: Sequence[Measure]) -> list[str]:
    found = _estimate(measures, primary.name)
    return [
        wording.value(measure_named(KL), _number(measures, KL)),
        wording.estimate(primary, found) if found is not None else wording.MISSING,
        *(wording.value(guard, _number(measures, guard.name)) for guard in guards),
    ]


def _dots(outcome: VaryOutcome, name: str) -> RenderableType:
    grouped: dict[str, list[float]] = {}
    for arm in outcome.arms:
        label = f"{outcome.key} {_value(arm.value)}" if outcome.key else "seeds"
        number = _number(arm.measures, name)
        grouped.setdefault(label, []).extend([] if number is None else [number])
    return Dots(measure_named(name), list(grouped.items()), _number(outcome.before, name))


def _heading(measure: Measure, outcome: VaryOutcome, mark: str = "") -> Text:
    graded = f" {wording.GRADED}" if measure.name in outcome.graded else ""
    return Text(f"{mark}{measure.title.strip()}{graded}")


def _estimate(measures: Mapping[str, Any], name: str) -> Estimate | None:
    row = measures.get(name)
    return Estimate(name=name, **row) if row else None


def _number(measures: Mapping[str, Any], name: str) -> float | None:
    row = measures.get(name)
    return row["value"] if row else None


def _label(arm: ArmLine, key: str | None) -> str:
    return f"{key} {_value(arm.value)}, seed {arm.seed}" if key else f"seed {arm.seed}"


def _value(value: object) -> str:
    """A value as it would be typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else wording.printable(str(value))
