"""The parts that screens are made of: behaviour tables, side-by-side answers, panels.

Colour is never the only sign: every coloured word is also a word. Text of a model or a user is shown as text: never
as markup, never with its control characters.

Not here: whole screens.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from ppo_cli.behaviours.catalog import measure_named
from ppo_cli.records import Change, Comparison, Estimate, Flip, Measure
from ppo_cli.report import wording

VERDICT_STYLE = {"CHANGED": "bold", "EQUIVALENT": "dim", "NO CHANGE DETECTED": "dim", "INCONCLUSIVE": "yellow"}
ANSWER_WIDTH = 88


class LiteralTable(Table):
    """A table that shows every word as it is."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:  # noqa: ANN401 - those of Table
        super().add_row(*(literal(cell) if isinstance(cell, str) else cell for cell in cells), **options)


@dataclass(frozen=True)
class Fitting:
    """A table where it fits without cutting a number, else the same as lines."""

    wide: Table
    narrow: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = console.measure(self.wide, options=options.update(max_width=1000)).minimum
        yield self.wide if needed <= options.max_width else self.narrow


def literal(text: str, style: str = "") -> Text:
    """Any text, without a way to steer the terminal."""
    return Text(wording.printable(text), style=style)


def plain_table(*headings: str) -> Table:
    """A table without lines."""
    table = LiteralTable(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for heading in headings:
        table.add_column(literal(heading), overflow="fold")
    return table


def behaviour_table(
    comparison: Comparison, before: str, after: str, *, heading: str = "", shown: Collection[str] | None = None
) -> RenderableType:
    """Every measure before and after, with the paired difference, its interval and a verdict.

    Args:
        comparison: of two policies.
        before: what to call the first.
        after: what to call the second.
        heading: what to say instead of how many prompts there are.
        shown: only these measures and the primary, without verdicts.
    """
    heading = heading or f"behaviour ({comparison.prompts} prompts × {comparison.samples_per_prompt})"
    rows: list[list[Text]] = [[Text(name) for name in (heading, before, after, "change", "95 % interval", "")]]
    verdicts: list[Text] = []
    for change in comparison.changes:
        is_primary = change.name == comparison.primary
        if shown and not is_primary and change.name not in shown:
            continue
        measure = measure_named(change.name)
        rows.append(
            [
                Text(f"{'★' if is_primary else ' '} {measure.title}"),
                Text(wording.value(measure, change.before)),
                Text(wording.value(measure, change.after)),
                Text(wording.difference(measure, change.difference)),
                Text(wording.interval(measure, change.low, change.high)),
                Text(wording.arrow(measure, change), style=_style(measure, change)),
            ]
        )
        verdicts.append(Text(_verdict(measure, change), style=VERDICT_STYLE.get(change.verdict, "")))
    return Fitting(_as_table(rows, [] if shown else verdicts), _as_lines(rows, [] if shown else verdicts))


def estimate_table(estimates: Sequence[Estimate]) -> Table:
    """Every measure of one policy with its interval."""
    table = plain_table()
    table.add_column("behaviour", no_wrap=True)
    table.add_column("value [95 % interval]", justify="right", no_wrap=True)
    table.add_column("prompts", justify="right")
    for found in estimates:
        measure = measure_named(found.name)
        table.add_row(measure.title, wording.estimate(measure, found), str(found.prompts))
    return table


def side_by_side(flips: Sequence[Flip], before: str, after: str, does: str = "refuses") -> RenderableType:
    """Prompts with the answer before and after, and how often each policy does what the rates are about."""
    width = max(len(before), len(after))
    lines: list[RenderableType] = []
    for flip in flips:
        head = literal(f"{flip.prompt_id}  {flip.category}, should {flip.expect}  ", style="dim")
        head.append(wording.one_line(flip.prompt, ANSWER_WIDTH), style="not dim")
        lines.append(head)
        for name, answer, rate in (
            (before, flip.before_answer, flip.before_rate),
            (after, flip.after_answer, flip.after_rate),
        ):
            line = Text(f"  {name:<{width}} │ ", style="dim")
            line.append(wording.one_line(answer, ANSWER_WIDTH) or "(empty)", style="not dim")
            line.append(f"  {does} {rate:.0%}", style="dim")
            lines.append(line)
    return Group(*lines)


def _as_table(rows: Sequence[Sequence[Text]], verdicts: Sequence[Text]) -> Table:
    table = plain_table()
    for place, heading in enumerate(rows[0]):
        width = max(row[place].cell_len for row in rows)
        table.add_column(heading, justify="right" if 0 < place < 5 else "left", no_wrap=True, min_width=width)
    if verdicts:
        table.add_column("verdict", min_width=20)
    for place, row in enumerate(rows[1:]):
        table.add_row(*row, *verdicts[place : place + 1])
    return table


def _as_lines(rows: Sequence[Sequence[Text]], verdicts: Sequence[Text]) -> RenderableType:
    heading, before, after, *_ = rows[0]
    lines = [Text.assemble(heading, ", ", before, " → ", after, style="dim")]
    for place, (title, was, now, moved, interval, arrow) in enumerate(rows[1:]):
        said = [title, arrow, *verdicts[place : place + 1]]
        lines.append(Text("  ").join(part for part in said if part.plain.strip()))
        lines.append(Text.assemble("    ", was, " → ", now, ", ", moved, " ", interval))
    return Group(*lines)


def _verdict(measure: Measure, change: Change) -> str:
    if change.verdict == "info":
        return ""
    smallest = wording.detectable(measure, change)
    if change.verdict == "NO CHANGE DETECTED" and smallest:
        return f"none detected (could detect {smallest})"
    return change.verdict


def _style(measure: Measure, change: Change) -> str:
    if wording.is_better(measure, change):
        return "green"
    return "red" if wording.is_worse(measure, change) else "default"
