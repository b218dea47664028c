"""The screen of `ppo doctor`: one line per check, with what was seen and what to do.

Imports Rich alone: numpy or SciPy may be what is out of order.

Not here: the checks (`preflight.doctor`).
"""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ppo_cli.records.doctor import DoctorResult, DoctorStatus

MARKS: dict[DoctorStatus, tuple[str, str]] = {
    "ok": ("✓ ok", "green"),
    "warn": ("! warn", "yellow"),
    "fail": ("✗ fail", "bold red"),
}
"""(words, style) of each status."""
NOTHING = "nothing to do"
VERDICTS: dict[DoctorStatus, str] = {
    "ok": "This machine can train.",
    "warn": "This machine can train; what is marked warn may be missed.",
    "fail": "A training would fail here; what is marked fail comes first.",
}


def doctor_screen(result: DoctorResult) -> RenderableType:
    """What `ppo doctor` ends with."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("what was seen", overflow="fold", ratio=5)
    table.add_column("what to do", overflow="fold", ratio=4)
    for check in result.checks:
        words, style = MARKS[check.status]
        step = Text(check.next_step) if check.next_step else Text(NOTHING, style="dim")
        table.add_row(Text(words, style=style), Text(check.name), Text(check.saw), step)
    counts = Counter(check.status for check in result.checks)
    numbers = ", ".join(f"{counts[status]} {status}" for status in MARKS if counts[status])
    return Group(
        table,
        Text(),
        Text(f"{VERDICTS[result.status]} ({numbers})", style="bold"),
        Text(f"{result.date}; {result.seconds:.0f} s", style="dim"),
    )
