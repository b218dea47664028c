"""The screen of `ppo reward`: the audit's checks, the terms' distributions, exploits, and answers to read.

Not here: the audit (`rewards.audit`, `preflight.audit_reward`), the table of checks (`check_table`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.records.checks import CheckStatus, MeanDifference, RewardExploit
from ppo_cli.records.results import RewardAuditResult
from ppo_cli.reports import formatting
from ppo_cli.reports.screens.check_table import MARKS, CheckTable, what_to_do
from ppo_cli.reports.screens.elements import exchange, goal_line
from ppo_cli.reports.tables import plain_table, plain_text

VERDICTS: dict[CheckStatus, str] = {
    "pass": "All checks passed: the reward can be used.",
    "warn": "The reward can be used; read the checks marked warn first.",
    "fail": "PPO should not start with this reward: fix the checks marked fail.",
}
WINS = {"yes": ("beats real answers", "bold red"), "temporary": ("beats the start model", "yellow"), "no": ("", "")}
"""(words, style) for whether an exploit scores more than real answers."""
MAX_MARGIN_SHOWN = 1e6


def reward_screen(result: RewardAuditResult) -> RenderableType:
    """What `ppo reward` ends with."""
    terms = plain_table(f"term, over {result.answers} answers")
    for heading in ("mean", "standard deviation", "min", "max"):
        terms.add_column(heading, justify="right")
    for name, values in result.terms.items():
        terms.add_row(name, *(formatting.plain(value, 2) for value in values))
    examples: list[RenderableType] = []
    if result.examples:
        examples.append(Text("Answers with the highest and the lowest reward:", style="bold"))
    for prompt, answer, reward in result.examples:
        examples += exchange(prompt, answer, formatting.signed(reward, 2))
    return Group(
        plain_text(result.name, style="bold"),
        goal_line(result.goal),
        Text(),
        CheckTable(result.checks),
        Text(),
        *([terms, Text(), exploit_table(result.exploits), Text()] if result.exploits else []),
        *examples,
        Text(),
        *what_to_do(result.checks),
        Text(VERDICTS[result.status], style=MARKS[result.status][1]),
    )


def exploit_table(exploits: Sequence[RewardExploit]) -> RenderableType:
    """The reward of each exploit, the largest gain over the start model's answers first."""
    table = plain_table("exploit")
    for heading in ("reward", "gain over model answers", "over written answers"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for exploit in sorted(exploits, key=lambda exploit: -exploit.gain_over_start.mean):
        words, style = WINS[exploit.wins]
        table.add_row(
            exploit.name,
            formatting.signed(exploit.reward, 2),
            _gain(exploit.gain_over_start),
            _gain(exploit.gain_over_written) if exploit.gain_over_written else formatting.MISSING,
            Text(words, style=style or "default"),
        )
    return table


def _gain(gain: MeanDifference) -> str:
    ends = (
        formatting.signed(value, 2) if abs(value) < MAX_MARGIN_SHOWN else formatting.MISSING
        for value in (gain.low_95, gain.high_95)
    )
    return f"{formatting.signed(gain.mean, 2)} [{', '.join(ends)}]"
