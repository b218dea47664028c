"""`ppo report`: its options and one call.

Not here: the page (`reports.html`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.completion import complete_run
from ppo_cli.cli.output import Json, RunsDir, error_boundary, show_result

EXAMPLES = (("runs/RUN",), ("runs/RUN", "--html", "page.html"))


def report(
    run: Annotated[
        str, typer.Argument(help="A finished run, by name or path.", metavar="RUN", autocompletion=complete_run)
    ],
    html: Annotated[
        Path | None, typer.Option("--html", help="File to write; RUN/reports/report.html by default.", metavar="FILE")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write an HTML page: a run against its own step 0.

    The page is a single file that loads nothing, so it can be sent as it is.
    """
    with error_boundary(as_json):
        from ppo_cli.evaluation.report import report as write_report
        from ppo_cli.reports.screens.report import report_screen

        result = write_report(run, runs_dir=runs_dir, html=html)
        show_result(as_json, result, lambda: report_screen(result))
