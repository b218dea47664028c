"""The screen that ends `ppo view`.

Not here: the pages themselves (`reports.html`).
"""

from __future__ import annotations

from rich.console import Group, RenderableType

from ppo_cli.records.pages import ViewResult
from ppo_cli.records.program import first_commands
from ppo_cli.reports.tables import plain_text, suggested_command


def view_screen(result: ViewResult, opened: bool | None = None) -> RenderableType:
    """What `ppo view` ends with.

    Args:
        result: the pages.
        opened: whether the browser opened the page; None where it was not asked to.
    """
    lines: list[RenderableType] = [plain_text(f"Wrote {result.path}")]
    reports = result.reports_written
    parts = [
        _counted(result.runs, "run"),
        _counted(result.rollouts, "rollout"),
        *([_counted(reports, "new report")] if reports else []),
        f"{result.bytes / 1e6:.1f} MB; files that load nothing",
    ]
    lines.append(plain_text(f"  {', '.join(parts)}", style="dim"))
    if result.unreadable:
        lines.append(plain_text(f"cannot be read, the page says why: {', '.join(result.unreadable)}", style="red"))
    if opened is False:
        lines.append(plain_text("No browser was found: open the file by hand."))
    if not result.runs:
        first, *rest = first_commands()
        lines += [suggested_command("start a run", first), *(suggested_command("then", line) for line in rest)]
    elif opened is None:
        lines.append(plain_text("Open it in a browser, or add --open.", style="dim"))
    return Group(*lines)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
