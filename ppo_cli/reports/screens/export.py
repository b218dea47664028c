"""The screen of `ppo export`: what was written where, what the self-test compared, and what to type next.

Not here: writing it (`exports`).
"""

from __future__ import annotations

from rich.console import Group, RenderableType

from ppo_cli.records.exports import ExportResult
from ppo_cli.reports.tables import plain_text


def export_screen(result: ExportResult) -> RenderableType:
    """What `ppo export` shows."""
    what = "adapter alone (PEFT)" if result.form == "adapter" else "whole model"
    size = result.total_bytes / 1e6
    lines = [
        plain_text(f"{result.checkpoint} exported to {result.folder}: {what}, {size:,.1f} MB.", style="bold"),
        plain_text(f"files      {', '.join([*result.files, 'export.json'])}"),
    ]
    if result.base is not None:
        inside = ", the run's start model, which no hub has" if result.base.startswith(".") else ""
        lines.append(plain_text(f"base       {result.base}{inside}"))
    if (test := result.self_test) is not None:
        lines.append(
            plain_text(
                f"self-test  passed: the same weights, and the run's answers to {', '.join(test.prompt_ids)}, greedy "
                f"and sampled ({test.tokens} tokens)"
            )
        )
    else:
        lines.append(plain_text("self-test  not repeated: the folder held this export, every file as it was written"))
    if result.pushed_to is not None:
        lines.append(plain_text(f"pushed to  {result.pushed_to}"))
    lines.append(plain_text("card       README.md; read it before others do", style="dim"))
    return Group(*lines)
