"""The screens of the gate: `ppo sft-check` and `ppo reward`.

Not here: the lines themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ppo_cli.records.checks import Check, CheckStatus, MeanDifference, RewardExploit
from ppo_cli.records.results import PreflightResult, RewardAuditResult
from ppo_cli.report import formatting
from ppo_cli.report.tables import plain_table, plain_text

MARKS: dict[CheckStatus, tuple[str, str]] = {"pass": ("✓", "green"), "warn": ("!", "yellow"), "stop": ("✗", "bold red")}
WIDE = 110
"""Columns from which what was found and what was wanted stand side by side."""
VERDICTS: dict[CheckStatus, str] = {
    "pass": "PPO may start.",
    "warn": "PPO may start; read the lines marked warn first.",
    "stop": "PPO should not start.",
}
EXPLOIT_WINS = {"yes": "wins", "for now": "wins for now", "no": ""}


@dataclass(frozen=True)
class CheckLines:
    """Lines of a gate, as a table where there is room."""

    checks: Sequence[Check]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lay_out = _row_wide if options.max_width >= WIDE else _row_narrow
        for _, group in groupby(self.checks, key=lambda check: check.group):
            lines = list(group)
            if lines[0].group:
                yield plain_text(lines[0].group, style="bold")
            yield lay_out(lines)


def sft_check_screen(outcome: PreflightResult) -> RenderableType:
    """What `ppo sft-check` ends with."""
    head = [plain_text(f"goal: {formatting.one_line(outcome.goal)}", style="dim")] if outcome.goal else []
    examples: list[RenderableType] = [Text("Three answers to read:", style="bold")]
    for prompt, answer in outcome.examples:
        examples += _exchange(prompt, answer)
    lines: list[RenderableType] = [
        plain_text(outcome.name, style="bold"),
        *head,
        Text(),
        CheckLines(outcome.checks),
        Text(),
        *examples,
        Text(),
        *_to_do(outcome.checks),
        Text(VERDICTS[outcome.status], style=MARKS[outcome.status][1]),
    ]
    return Group(*lines)


def reward_screen(outcome: RewardAuditResult) -> RenderableType:
    """What `ppo reward` ends with."""
    terms = plain_table(f"term, over {outcome.answers} answers")
    for heading in ("mean", "standard deviation", "least", "greatest"):
        terms.add_column(heading, justify="right")
    for name, values in outcome.terms.items():
        terms.add_row(name, *(formatting.plain(value, 2) for value in values))
    paid: list[RenderableType] = []
    if outcome.examples:
        paid.append(Text("The best and the worst paid answers:", style="bold"))
    for prompt, answer, reward in outcome.examples:
        paid += _exchange(prompt, answer, formatting.signed(reward, 2))
    verdict = {
        "pass": "The reward holds up.",
        "warn": "The reward can be used; read the lines marked warn first.",
        "stop": "PPO should not start with this reward.",
    }[outcome.status]
    lines: list[RenderableType] = [
        plain_text(outcome.name, style="bold"),
        plain_text(f"goal: {formatting.one_line(outcome.goal)}", style="dim"),
        Text(),
        CheckLines(outcome.checks),
        Text(),
    ]
    if outcome.exploits:
        lines += [terms, Text(), exploit_table(outcome.exploits), Text()]
    lines += [*paid, Text(), *_to_do(outcome.checks), Text(verdict, style=MARKS[outcome.status][1])]
    return Group(*lines)


def exploit_table(tricks: Sequence[RewardExploit]) -> RenderableType:
    """What each trick earns."""
    table = plain_table("trick")
    for heading in ("reward", "over honest answers", "over written ones"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for trick in sorted(tricks, key=lambda trick: -trick.gain_over_start.mean):
        style = {"yes": "bold red", "for now": "yellow", "no": "default"}[trick.wins]
        table.add_row(
            trick.name,
            formatting.signed(trick.reward, 2),
            _margin(trick.gain_over_start),
            _margin(trick.gain_over_written) if trick.gain_over_written else formatting.MISSING,
            Text(EXPLOIT_WINS[trick.wins], style=style),
        )
    return table


def _row_wide(checks: Sequence[Check]) -> RenderableType:
    table = plain_table()
    table.add_column("", no_wrap=True, width=6)
    table.add_column("check", overflow="fold", ratio=3)
    table.add_column("found", overflow="fold", ratio=4)
    table.add_column("wanted, and why", overflow="fold", ratio=5)
    table.expand = True
    table.show_header = False
    for check in checks:
        table.add_row(_mark(check.status), check.name, check.value, f"{check.threshold}: {check.reason}")
    return table


def _row_narrow(checks: Sequence[Check]) -> RenderableType:
    lines: list[RenderableType] = []
    for check in checks:
        head = Text.assemble(
            _mark(check.status), "  ", plain_text(check.name, style="bold" if check.status != "pass" else "")
        )
        lines += [head, Padding(plain_text(check.value), (0, 0, 0, 8))]
        lines.append(Padding(plain_text(f"wanted {check.threshold}: {check.reason}", style="dim"), (0, 0, 0, 8)))
    return Group(*lines)


def _to_do(checks: Sequence[Check]) -> list[RenderableType]:
    """What to do, the stops first."""
    asked = [check for level in ("stop", "warn") for check in checks if check.status == level and check.next_step]
    if not asked:
        return []
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in asked:
        table.add_row(_mark(check.status), plain_text(f"{check.name}: {check.next_step}"))
    return [Text("What to do:", style="bold"), table, Text()]


def _exchange(prompt: str, answer: str, before: str = "") -> list[RenderableType]:
    said = plain_text(formatting.one_line(answer, 200) or "(empty)")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text("  │", style="dim"), said)
    return [plain_text(f"  {f'{before}  ' if before else ''}{formatting.one_line(prompt, 100)}", style="italic"), grid]


def _mark(outcome: CheckStatus) -> Text:
    mark, style = MARKS[outcome]
    return Text(f"{mark} {outcome}", style=style)


def _margin(margin: MeanDifference) -> str:
    ends = (
        formatting.signed(value, 2) if abs(value) < 1e6 else formatting.MISSING for value in (margin.low_95, margin.high_95)
    )
    return f"{formatting.signed(margin.mean, 2)} [{', '.join(ends)}]"
