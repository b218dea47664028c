"""Elements that several screens share: the head panel, the goal line, the prompts that flipped.

Not here: tables (`reports.tables`), sentences (`reports.sentences`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ppo_cli.records.comparisons import Comparison
from ppo_cli.reports import formatting
from ppo_cli.reports.sentences import change_of, flip_verb, flips_line
from ppo_cli.reports.tables import plain_text, side_by_side

FLIPS_SHOWN = 4


def goal_line(goal: str, style: str = "dim") -> Text:
    """The goal on one line."""
    return plain_text(f"goal: {formatting.one_line(goal)}", style=style)


def head_panel(title: str, goal: str, sentences: Sequence[str], comparison: Comparison) -> RenderableType:
    """The head of a screen about a comparison: the goal and the result in sentences; green where it changed."""
    primary = change_of(comparison, comparison.primary)
    changed = primary is not None and primary.verdict == "CHANGED"
    return Panel(
        Group(goal_line(goal), *map(plain_text, sentences)),
        title=plain_text(title),
        title_align="left",
        border_style="green" if changed else "default",
    )


def flips_block(comparison: Comparison, before: str, after: str) -> list[RenderableType]:
    """How many prompts flipped, how many would by chance, and the ones that changed most."""
    parts: list[RenderableType] = [Text(flips_line(comparison, before), style="bold")]
    if comparison.flips:
        parts.append(side_by_side(comparison.flips[:FLIPS_SHOWN], before, after, flip_verb(comparison)))
    return parts


def exchange(prompt: str, answer: str, before: str = "") -> list[RenderableType]:
    """A prompt and its answer, with something short before them."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text("  │", style="dim"), plain_text(formatting.one_line(answer, 200) or "(empty)"))
    return [plain_text(f"  {f'{before}  ' if before else ''}{formatting.one_line(prompt, 100)}", style="italic"), grid]
