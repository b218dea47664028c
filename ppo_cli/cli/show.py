"""`ppo show`: its options and one call.

Not here: the summary (`evaluation.run_summary`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.completion import complete_run
from ppo_cli.cli.output import Json, RunsDir, error_boundary, show_result

EXAMPLES = (("runs/RUN",),)


def show(
    run: Annotated[str, typer.Argument(help="A run, by name or path.", metavar="RUN", autocompletion=complete_run)],
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Summarise one run on one screen.

    What was changed, the result, the alarms, and what to do next.
    """
    with error_boundary(as_json):
        from ppo_cli.evaluation.run_summary import summarise_run
        from ppo_cli.reports.screens.show import run_summary_screen

        result = summarise_run(run, runs_dir=runs_dir)
        show_result(as_json, result, lambda: run_summary_screen(result))
