"""The screen of `ppo verify-engine`: one line per check, and what was measured.

Not here: the checks (`conformance`).
"""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.records.conformance import ConformanceCheck, ConformanceResult, ConformanceStatus
from ppo_cli.reports import formatting
from ppo_cli.reports.tables import plain_table, plain_text

MARKS: dict[ConformanceStatus, tuple[str, str]] = {
    "pass": ("✓ pass", "green"),
    "fail": ("✗ fail", "bold red"),
    "not checked": ("- not checked", "yellow"),
}
"""(words, style) of each status."""


def verify_engine_screen(result: ConformanceResult) -> RenderableType:
    """What `ppo verify-engine` ends with."""
    table = plain_table()
    table.add_column("", no_wrap=True)
    table.add_column("check", overflow="fold", ratio=4)
    table.add_column("measured", no_wrap=True)
    table.add_column("wanted", no_wrap=True)
    table.add_column("what was measured", overflow="fold", ratio=5)
    table.expand = True
    for check in result.checks:
        words, style = MARKS[check.status]
        table.add_row(
            Text(words, style=style),
            check.title,
            measured(check),
            f"{check.bound} {check.tolerance:g}",
            explained(check),
        )
    counts = Counter(check.status for check in result.checks)
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return Group(
        plain_text(f"{result.engine} {result.engine_version}", style="bold"),
        Text(),
        table,
        Text(),
        plain_text(", ".join(f"{counts[status]} {status}" for status in MARKS if counts[status]), style="bold"),
        plain_text(f"{versions}; {result.date}; {formatting.duration(result.seconds)}", style="dim"),
    )


def measured(check: ConformanceCheck) -> str:
    """The measured number."""
    return "" if check.measured is None else f"{check.measured:.2g}"


def explained(check: ConformanceCheck) -> str:
    """What was measured; or why nothing was."""
    if check.status == "not checked":
        return f"not checked: {check.detail}"
    return check.detail or check.quantity
