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
from ppo_cli.reports.flips import flip_groups
from ppo_cli.reports.sentences import change_of, flip_verb, flips_line
from ppo_cli.reports.tables import plain_text, side_by_side
from ppo_cli.reports.verdicts import got_worse, worse_sentences


def goal_line(goal: str, style: str = "dim") -> Text:
    """The goal on one line."""
    return plain_text(f"goal: {formatting.one_line(goal)}", style=style)


def head_panel(title: str, goal: str, sentences: Sequence[str], comparison: Comparison) -> RenderableType:
    """The head of a screen about a comparison: the goal, the guards that got worse, and the result in sentences.

    It is red where the primary measure or a guard got worse for certain, and green where only the primary measure
    changed.
    """
    primary = change_of(comparison, comparison.primary)
    changed = primary is not None and primary.verdict == "CHANGED"
    worse = [plain_text(sentence, style="bold red") for sentence in worse_sentences(comparison)]
    return Panel(
        Group(goal_line(goal), *worse, *map(plain_text, sentences)),
        title=plain_text(title),
        title_align="left",
        border_style="red" if got_worse(comparison) else "green" if changed else "default",
    )


def flips_block(comparison: Comparison, before: str, after: str) -> list[RenderableType]:
    """How many prompts flipped, how many would by chance, and two in each direction."""
    parts: list[RenderableType] = [Text(flips_line(comparison, before), style="bold")]
    for group in flip_groups(comparison):
        parts.append(Text(group.title))
        if group.shown:
            parts.append(side_by_side(group.shown, before, after, flip_verb(comparison)))
    return parts


def exchange(prompt: str, answer: str, before: str = "") -> list[RenderableType]:
    """A prompt and its answer, with something short before them."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text("  │", style="dim"), plain_text(formatting.one_line(answer, 200) or "(empty)"))
    return [plain_text(f"  {f'{before}  ' if before else ''}{formatting.one_line(prompt, 100)}", style="italic"), grid]
