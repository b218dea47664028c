"""The screen of `ppo train --dry-run`: every key with its role, the prompts, the parent, the cost.

Not here: the plan of a sweep (`sweep`).
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.experiment.values import format_value
from ppo_cli.records.results import Cost, DryRunResult
from ppo_cli.reports import formatting
from ppo_cli.reports.screens.elements import goal_line
from ppo_cli.reports.tables import plain_table, plain_text


def dry_run_screen(result: DryRunResult) -> RenderableType:
    """What `ppo train --dry-run` ends with."""
    table = plain_table("key", "value", "role", "from", "in place of")
    for row in result.keys:
        table.add_row(
            row.path,
            format_value(row.value),
            Text(row.role, style="cyan" if row.role == "treatment" else "dim"),
            Text(row.origin, style="bold" if row.origin == "override" else "dim"),
            "" if row.replaces is None else format_value(row.replaces),
        )
    leak = f"{result.overlaps} of them overlap training" if result.overlaps else "none overlaps training"
    allowed = ", ".join(result.may_change)
    return Group(
        goal_line(result.goal, "bold"),
        Text(f"round {result.round}, {result.question}: only {allowed} may differ from the parent run"),
        Text(f"prompts: {result.train_prompts} for training, {result.eval_prompts} for evaluation; {leak}"),
        *_parent_lines(result),
        Text(f"cost: {_cost(result.cost)}"),
        Text(),
        table,
        Text(),
        Text("Nothing was run. Runs can be compared only where their frozen keys are the same.", style="dim"),
    )


def _cost(cost: Cost) -> str:
    if cost.seconds is None:
        return f"{cost.episodes} episodes; time and memory are unknown until the model is downloaded"
    return (
        f"{cost.episodes} episodes, about {formatting.duration(cost.seconds)}, {cost.memory_gb:.1f} GB of memory and "
        f"{cost.disk_gb:.1f} GB of disk on {cost.device} (measured {cost.gflops:.0f} GFLOP/s)"
    )


def _parent_lines(result: DryRunResult) -> list[RenderableType]:
    if result.parent is None:
        return []
    differs = ", ".join(f"{key} {format_value(value)}" for key, value in result.changed.items()) or "nothing"
    return [
        plain_text(f"parent: {result.parent}; differs in: {differs}"),
        *(plain_text(f"! {notice}", style="yellow") for notice in result.notices),
    ]
