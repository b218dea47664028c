"""The screen that ends `ppo report`.

Not here: the page itself (`reports.html`).
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.records.results import ReportResult
from ppo_cli.reports.seed_noise import single_run_sentence
from ppo_cli.reports.tables import plain_text


def report_screen(result: ReportResult) -> RenderableType:
    """What `ppo report` ends with."""
    size = f"{result.bytes / 1e6:.1f} MB, {result.prompts} prompts; a single file that loads nothing"
    noise = single_run_sentence(result.seed_noise, result.primary)
    lines = [Text(f"  {size}", style="dim"), *([plain_text(noise, style="dim")] if noise else [])]
    return Group(plain_text(f"Wrote {result.path}"), *lines)
