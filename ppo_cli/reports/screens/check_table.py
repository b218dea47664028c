"""Check results on the screen: the table of checks, and the list of what to do.

Not here: the checks themselves (`preflight`, `rewards.audit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ppo_cli.records.checks import Check, CheckStatus
from ppo_cli.reports.tables import plain_table, plain_text

MARKS: dict[CheckStatus, tuple[str, str]] = {"pass": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}
"""(sign, style) of each status."""
WIDE_COLUMNS = 110
"""Columns from which value and threshold stand side by side."""


@dataclass(frozen=True)
class CheckTable:
    """Checks under the heading of their group, as a table on a wide console and as lines on a narrow one."""

    checks: Sequence[Check]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lay_out = _as_table if options.max_width >= WIDE_COLUMNS else _as_lines
        for _, group in groupby(self.checks, key=lambda check: check.group):
            checks = list(group)
            if checks[0].group:
                yield plain_text(checks[0].group, style="bold")
            yield lay_out(checks)


def what_to_do(checks: Sequence[Check]) -> list[RenderableType]:
    """The next steps of the checks that did not pass, the failed ones first."""
    levels: tuple[CheckStatus, ...] = ("fail", "warn")
    open_checks = [check for level in levels for check in checks if check.status == level and check.next_step]
    if not open_checks:
        return []
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in open_checks:
        table.add_row(_mark(check.status), plain_text(f"{check.name}: {check.next_step}"))
    return [Text("What to do:", style="bold"), table, Text()]


def _as_table(checks: Sequence[Check]) -> RenderableType:
    table = plain_table()
    table.add_column("", no_wrap=True, width=6)
    table.add_column("check", overflow="fold", ratio=3)
    table.add_column("measured", overflow="fold", ratio=4)
    table.add_column("expected, and why", overflow="fold", ratio=5)
    table.expand = True
    table.show_header = False
    for check in checks:
        table.add_row(_mark(check.status), check.name, check.value, f"{check.threshold}: {check.reason}")
    return table


def _as_lines(checks: Sequence[Check]) -> RenderableType:
    lines: list[RenderableType] = []
    for check in checks:
        name = plain_text(check.name, style="bold" if check.status != "pass" else "")
        lines += [
            Text.assemble(_mark(check.status), "  ", name),
            Padding(plain_text(check.value), (0, 0, 0, 8)),
            Padding(plain_text(f"expected {check.threshold}: {check.reason}", style="dim"), (0, 0, 0, 8)),
        ]
    return Group(*lines)


def _mark(status: CheckStatus) -> Text:
    mark, style = MARKS[status]
    return Text(f"{mark} {status}", style=style)
