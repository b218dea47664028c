"""What `ppo init` shows: the questions about the goal, and what was written.

Not here: reading what is typed.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.records.results import InitResult
from ppo_cli.records.splits import SplitCounts
from ppo_cli.report import formatting
from ppo_cli.report.tables import plain_table, plain_text

STRATA_SHOWN = 12
SITUATION, BEHAVIOUR = "In which situation? When …", "What should the model do then?"
TAKE_IT = "Enter takes it; or type the sentence as you want it:"


def goal_question(recipe_goal: str) -> RenderableType:
    """What stands above the two questions."""
    return Group(
        Text("What should come of this? Two short questions make one sentence. Enter twice keeps the recipe's:"),
        plain_text(f"  {formatting.one_line(recipe_goal)}", style="bold"),
    )


def goal_confirmation(goal: str) -> RenderableType:
    """The sentence that two answers made."""
    return Group(plain_text(f"  {formatting.one_line(goal)}", style="bold"), Text(TAKE_IT))


def init_screen(outcome: InitResult) -> RenderableType:
    """What `ppo init` ends with."""
    rows = [plain_text(f"  prompts/{name}  {count} prompts") for name, count in outcome.prompts.items()]
    return Group(
        plain_text(f"Wrote {outcome.folder}:", style="bold"),
        plain_text(f"  {outcome.config}  every key, with its meaning"),
        *rows,
        plain_text(f"Goal: {formatting.one_line(outcome.goal)}"),
        plain_text(f"Start model: {outcome.model}"),
        *([Text(), *_split(outcome.split)] if outcome.split else []),
        *([Text()] if outcome.notices else []),
        *(plain_text(f"! {formatting.one_line(notice, 400)}", style="yellow") for notice in outcome.notices),
        Text(),
        _next("check the start", f"ppo sft-check {outcome.config}"),
        _next("train", f"ppo train {outcome.config}"),
    )


def _split(counts: SplitCounts) -> list[RenderableType]:
    dropped = "".join(f", {count} {why}" for why, count in counts.dropped)
    table = plain_table()
    for heading in ("category", "should"):
        table.add_column(heading, overflow="fold")
    for heading in ("train", "eval"):
        table.add_column(heading, justify="right")
    for row in counts.strata[:STRATA_SHOWN]:
        table.add_row(row.category, row.expect, str(row.train), str(row.evaluation))
    more = len(counts.strata) - STRATA_SHOWN
    if more > 0:
        rest = counts.strata[STRATA_SHOWN:]
        table.add_row(f"{more} more", "", str(sum(row.train for row in rest)), str(sum(row.evaluation for row in rest)))
    together = (
        f" Variants of one another stay together, {counts.largest_group} at most." if counts.largest_group > 1 else ""
    )
    return [
        plain_text(f"{counts.source}: {counts.rows} rows in {_kind(counts.format)}{dropped}."),
        plain_text(f"{counts.train} to train on, {counts.evaluation} to evaluate on, nothing alike in both.{together}"),
        table,
    ]


def _kind(name: str) -> str:
    return "columns of its own" if name == "own" else f"{name}'s format"


def _next(what: str, command: str) -> Text:
    line = plain_text(f"{what:<16}  ", style="dim")
    return line.append(formatting.printable(command), style="bold not dim")
