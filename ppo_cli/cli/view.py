"""`ppo view`: its options and one call.

Not here: the pages (`reports.html`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, RunsDir, error_boundary, progress_view, show_result

EXAMPLES = ((), ("--open",))


def view(
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Folder to write to; RUNS_DIR/view by default.", metavar="DIR")
    ] = None,
    reports: Annotated[
        bool, typer.Option("--reports/--no-reports", help="Also write the report of each finished run that has none.")
    ] = True,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write local pages of all runs and their rollouts.

    They are files that load nothing and need no server: open the one that is named.
    """
    with error_boundary(as_json):
        from ppo_cli.evaluation.view import view as write_pages
        from ppo_cli.reports.screens.view import view_screen

        with progress_view(as_json) as on_event:
            result = write_pages(runs_dir=runs_dir, folder=folder, reports=reports, on_event=on_event)
        opened = _opened(Path(result.path)) if open_page else None
        show_result(as_json, result, lambda: view_screen(result, opened))


def _opened(page: Path) -> bool:
    """Opens a page in the user's browser, and whether there is one."""
    import webbrowser

    return webbrowser.open(page.absolute().as_uri())
