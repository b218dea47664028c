"""`ppo show`: options and one call.

Not here: the summary (`evaluation.run_summary`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, Output, put, reported


def show(
    run: Annotated[str, typer.Argument(help="A run, by name or path.", metavar="RUN")],
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """One run's story in one screen: what was changed, what came of it, what to do next."""
    with reported(as_json):
        from ppo_cli.evaluation.run_summary import summarise_run as command
        from ppo_cli.report.screens.show import run_summary_screen

        story = command(run, output=output)
        put(as_json, story, lambda: run_summary_screen(story))
