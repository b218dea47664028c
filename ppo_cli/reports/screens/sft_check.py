"""The screen of `ppo sft-check`.

Not here: the checks (`preflight`), their table (`check_table`).
"""

from __future__ import annotations

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
