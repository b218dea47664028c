"""`ppo export`: its options and one call.

Not here: writing the export (`exports`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.completion import complete_checkpoint
from ppo_cli.cli.output import Json, RunsDir, StartFolder, TrustCode, error_boundary, progress_view, show_result
from ppo_cli.errors import UsageError
from ppo_cli.records.program import command

EXAMPLES = (("runs/RUN/best", "my-model"), ("runs/RUN/best", "my-adapter", "--adapter", "--push", "ORG/NAME"))


def export(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            help="A checkpoint: RUN (its last), RUN/best, RUN/last or RUN/step-N.",
            metavar="RUN",
            autocompletion=complete_checkpoint,
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(help="Folder for the export; empty or not there.", metavar="DIR")
    ] = None,
    adapter: Annotated[
        bool, typer.Option("--adapter", help="The adapter alone, in PEFT's format, in place of the whole model.")
    ] = False,
    push: Annotated[
        str | None, typer.Option(help="Upload it to this repository of the Hugging Face hub.", metavar="ORG/NAME")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="The repository may be public.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a folder that is not empty; other files in it stay.")
    ] = False,
    start: StartFolder = None,
    trust_code: TrustCode = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a checkpoint as a folder for others.

    The whole model, or the adapter alone; with a model card, and tested to give exactly the run's answers.
    """
    with error_boundary(as_json):
        if checkpoint is None:
            from ppo_cli.evaluation.run_checkpoint import no_run_named

            raise no_run_named("export", runs_dir)
        if folder is None:
            raise UsageError(
                f"Name the folder for the export of {checkpoint}.",
                f"Example: `{command('export', checkpoint, 'my-model')}`.",
            )
        from ppo_cli.exports.export import export as write_export
        from ppo_cli.records.exports import ExportOptions
        from ppo_cli.reports.screens.export import export_screen
        from ppo_cli.setup.own_runs import ReceivedRunOptions

        with progress_view(as_json) as on_event:
            result = write_export(
                checkpoint,
                folder,
                options=ExportOptions(adapter=adapter, push=push, public=public, force=force),
                runs_dir=runs_dir,
                received=ReceivedRunOptions(start=start, trust_code=trust_code),
                on_event=on_event,
            )
        show_result(as_json, result, lambda: export_screen(result))
