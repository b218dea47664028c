"""The parts that screens are made of: behaviour tables, side-by-side answers, panels.

Colour is never the only sign: every coloured word is also a word.

Not here: whole screens.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ppo_cli.behaviours.catalog import measure_named
from ppo_cli.records import Change, Comparison, Estimate, Flip, Measure
from ppo_cli.report import wording

VERDICT_STYLE = {"CHANGED": "bold", "EQUIVALENT": "dim", "NO CHANGE DETECTED": "dim", "INCONCLUSIVE": "yellow"}
ANSWER_WIDTH = 88


def plain_table(*headings: str) -> Table:
    """A table without lines."""
    table = Table(*headings, box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for column in table.columns:
        column.overflow = "fold"
    return table


def behaviour_table(comparison: Comparison, before: str, after: str) -> Table:
    """Every measure before and after, with the paired difference, its interval and a verdict."""
    table = plain_table()
    title = f"behaviour ({comparison.prompts} prompts × {comparison.samples_per_prompt})"
    table.add_column(title, no_wrap=True, min_width=25)
    for heading in (before, after, "change", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for change in comparison.changes:
        measure = measure_named(change.name)
        star = "★ " if change.name == comparison.primary else "  "
        table.add_row(
            f"{star}{measure.title}",
            wording.value(measure, change.before),
            wording.value(measure, change.after),
            wording.difference(measure, change.difference),
            wording.interval(measure, change.low, change.high),
            Text(wording.arrow(measure, change), style=_style(measure, change)),
            Text(_verdict(measure, change), style=VERDICT_STYLE.get(change.verdict, "")),
        )
    return table


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


def side_by_side(flips: Sequence[Flip], before: str, after: str) -> RenderableType:
    """Prompts with the answer before and after, model text shown as text."""
    width = max(len(before), len(after))
    lines: list[RenderableType] = []
    for flip in flips:
        head = Text(f"{flip.prompt_id}  ", style="dim")
        head.append(f"{flip.category}, should {flip.expect}  ", style="dim")
        head.append(wording.one_line(flip.prompt, ANSWER_WIDTH))
        lines.append(head)
        for name, answer, rate in (
            (before, flip.before_answer, flip.before_rate),
            (after, flip.after_answer, flip.after_rate),
        ):
            line = Text(f"  {name:<{width}} │ ", style="dim")
            line.append(wording.one_line(answer, ANSWER_WIDTH) or "(empty)", style="default")
            line.append(f"  refuses {rate:.0%}", style="dim")
            lines.append(line)
    return Group(*lines)


def _verdict(measure: Measure, change: Change) -> str:
    if change.verdict == "info":
        return ""
    if change.verdict == "NO CHANGE DETECTED" and change.detectable is not None:
        smallest = wording.difference(measure, change.detectable).lstrip("+")
        return f"none detected (could detect {smallest})"
    return change.verdict


def _style(measure: Measure, change: Change) -> str:
    if wording.is_better(measure, change):
        return "green"
    return "red" if wording.is_worse(measure, change) else "default"
