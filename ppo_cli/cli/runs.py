"""`ppo runs`: options and one call.

Not here: reading runs (`evaluation.run_list`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, Output, put, reported


def list_runs(
    only_changed: Annotated[
        bool, typer.Option("--only-changed", help="A column for each key that differs, and nothing else.")
    ] = False,
    sort: Annotated[
        str, typer.Option(help="started, a key (smaller first) or a measure (better first).", metavar="WHAT")
    ] = "started",
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """List runs as a tree of parents and variations: how they ended, and which keys differ."""
    with reported(as_json):
        from ppo_cli.evaluation.run_list import differing_keys, run_rows
        from ppo_cli.report.screens import shared

        rows = run_rows(output, sort=sort, only_changed=only_changed)
        screen = shared.run_differences_screen if only_changed else shared.runs_screen
        put(as_json, rows, lambda: screen(rows, differing_keys(rows), str(output)))
