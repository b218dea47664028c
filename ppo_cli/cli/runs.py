"""`ppo runs`: its options and one call.

Not here: reading runs (`evaluation.run_list`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, RunsDir, error_boundary, show_result

EXAMPLES = ((), ("--diff", "--sort", "kl.coef"))


def list_runs(
    diff: Annotated[
        bool, typer.Option("--diff", help="Show only the keys that differ between the runs, a column each.")
    ] = False,
    sort: Annotated[
        str, typer.Option(help="started, a key (smallest first) or a measure (best first).", metavar="WHAT")
    ] = "started",
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """List runs as a tree, with the settings that differ."""
    with error_boundary(as_json):
        from ppo_cli.evaluation.run_list import differing_keys, run_rows
        from ppo_cli.reports.screens.runs import run_differences_screen, runs_screen

        rows = run_rows(runs_dir, sort=sort, diff=diff)
        screen = run_differences_screen if diff else runs_screen
        show_result(as_json, rows, lambda: screen(rows, differing_keys(rows), str(runs_dir)))
