"""The screens of `ppo init`: the questions about the goal and its measure, and what was written.

Not here: reading what is typed (`cli.init`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ppo_cli.records.measures import Measure
from ppo_cli.records.program import command
from ppo_cli.records.results import InitResult
from ppo_cli.records.splits import SplitCounts
from ppo_cli.reports import formatting
from ppo_cli.reports.tables import plain_table, plain_text, suggested_command

MAX_STRATA_SHOWN = 12
SITUATION, BEHAVIOUR = "In which situation? When …", "What should the model do then?"
MEASURE = "Measure"
NO_MEASURE = ("none", "no", "-")
"""What is typed where no measure shows whether the goal is reached."""


def goal_question(recipe_goal: str) -> RenderableType:
    """What stands above the two questions."""
    return Group(
        Text("What should the model learn? Answer two questions, or press Enter twice to keep the recipe's goal:"),
        plain_text(f"  {formatting.one_line(recipe_goal)}", style="bold"),
    )


def goal_confirmation(goal: str) -> RenderableType:
    """The goal made from the two answers, to accept or to replace."""
    return Group(
        plain_text(f"  {formatting.one_line(goal)}", style="bold"), Text("Press Enter to accept, or type your own:")
    )


def measure_question(measures: Sequence[Measure], default: str) -> RenderableType:
    """What stands above the question for the measure: one line for each."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for number, measure in enumerate(measures, start=1):
        style = "bold" if measure.name == default else ""
        mark = " (the recipe's)" if measure.name == default else ""
        title = f"{measure.title.strip()}{mark}"
        table.add_row(f"  {number}", plain_text(measure.name, style=style), plain_text(title, style=style))
    return Group(
        Text(),
        Text("Which measure shows whether this goal is reached? The verdict of every run will be about it:"),
        table,
        plain_text(
            f"Type a number or a name. Enter takes {default}, for which the recipe's reward was made. "
            "Type none if no measure shows it."
        ),
    )


def no_such_measure(typed: str, names: Sequence[str]) -> RenderableType:
    """The answer to what is no measure."""
    close = difflib.get_close_matches(typed, names, n=1, cutoff=0.4)
    hint = f" Did you mean {close[0]}?" if close else ""
    return plain_text(f"There is no measure '{formatting.one_line(typed)}' in this list.{hint}", style="yellow")


def init_screen(result: InitResult) -> RenderableType:
    """What `ppo init` ends with."""
    files = [plain_text(f"  prompts/{name}  {count} prompts") for name, count in result.prompts.items()]
    return Group(
        plain_text(f"Wrote {result.folder}:", style="bold"),
        plain_text(f"  {result.config}  the experiment; a comment explains each key"),
        *files,
        plain_text(f"Goal: {formatting.one_line(result.goal)}"),
        plain_text(f"Primary measure: {result.primary}"),
        plain_text(f"Reward: {', '.join(f'{weight:g} {name}' for name, weight in result.reward.items())}"),
        plain_text(f"Start model: {result.model}"),
        *([Text(), *_split(result.split)] if result.split else []),
        *([Text()] if result.notices else []),
        *(plain_text(f"! {formatting.one_line(notice, 400)}", style="yellow") for notice in result.notices),
        Text(),
        suggested_command("check first", command("sft-check", result.config)),
        suggested_command("train", command("train", result.config)),
    )


def _split(counts: SplitCounts) -> list[RenderableType]:
    """How the user's prompts were split, as a sentence and as a table of their categories."""
    dropped = "".join(f", {count} {why}" for why, count in counts.dropped)
    table = plain_table()
    for heading in ("category", "should"):
        table.add_column(heading, overflow="fold")
    for heading in ("train", "eval"):
        table.add_column(heading, justify="right")
    for row in counts.strata[:MAX_STRATA_SHOWN]:
        table.add_row(row.category, row.expect, str(row.train), str(row.evaluation))
    rest = counts.strata[MAX_STRATA_SHOWN:]
    if rest:
        train, evaluation = sum(row.train for row in rest), sum(row.evaluation for row in rest)
        table.add_row(f"{len(rest)} more", "", str(train), str(evaluation))
    largest = f" (largest group: {counts.largest_group})" if counts.largest_group > 1 else ""
    return [
        plain_text(f"Read {counts.rows} rows of {counts.source} in {_format(counts.format)}{dropped}."),
        plain_text(
            f"{counts.train} prompts for training, {counts.evaluation} for evaluation. Near-duplicates are kept on the "
            f"same side{largest}."
        ),
        table,
    ]


def _format(name: str) -> str:
    return "ppo's format" if name == "own" else f"{name}'s format"
