"""`ppo report`: options and one call.

Not here: the page (`report.html`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, Output, put, reported


def report(
    run: Annotated[str, typer.Argument(help="A finished run, by name or path.", metavar="RUN")],
    html: Annotated[
        Path | None, typer.Option("--html", help="File to write; RUN/reports/report.html by default.", metavar="FILE")
    ] = None,
    output: Output = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a run against its own step 0 as an HTML page that stands alone."""
    with reported(as_json):
        from ppo_cli.evaluation.report import report_run
        from ppo_cli.report.screens import shared

        written = report_run(run, output=output, html=html)
        put(as_json, written, lambda: shared.report_screen(written))
