"""The screen of `ppo sft-check`.

Not here: the checks (`preflight`), their table (`check_table`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.records.checks import CheckStatus
from ppo_cli.records.results import PreflightResult
from ppo_cli.reports.screens.check_table import MARKS, CheckTable, what_to_do
from ppo_cli.reports.screens.elements import exchange, goal_line
from ppo_cli.reports.tables import plain_text

VERDICTS: dict[CheckStatus, str] = {
    "pass": "All checks passed: PPO can start.",
    "warn": "PPO can start; read the checks marked warn first.",
    "fail": "PPO should not start yet: fix the checks marked fail.",
}


def chosen_measure(primary: str, smallest_effect: float, config: str, notices: Sequence[str]) -> RenderableType:
    """What follows the answer to the question for a measure: the lines that keep it, and what it changes besides.

    Args:
        primary: the chosen measure.
        smallest_effect: the smallest change of it that matters.
        config: the file that the lines belong in.
        notices: sentences about settings that the choice changes.
    """
    return Group(
        plain_text(f"This check goes on with {primary}. To keep it, write in {config}:"),
        plain_text("  evaluation:"),
        plain_text(f"    primary: {primary}"),
        plain_text("    primary_confirmed: true"),
        plain_text(f"    smallest_effect: {smallest_effect:g}"),
        *(plain_text(f"! {notice}", style="yellow") for notice in notices),
        Text(),
    )


def sft_check_screen(result: PreflightResult) -> RenderableType:
    """What `ppo sft-check` ends with."""
    examples: list[RenderableType] = [Text("Three answers to read:", style="bold")]
    for prompt, answer in result.examples:
        examples += exchange(prompt, answer)
    return Group(
        plain_text(result.name, style="bold"),
        *([goal_line(result.goal)] if result.goal else []),
        Text(),
        CheckTable(result.checks),
        Text(),
        *examples,
        Text(),
        *what_to_do(result.checks),
        Text(VERDICTS[result.status], style=MARKS[result.status][1]),
    )
