"""`ppo schema`: one option and one call.

Not here: the JSON Schema (`experiment.json_schema`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import new_console, reported


def schema(
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it to this file instead of the screen.", metavar="FILE")
    ] = None,
) -> None:
    """Print the JSON Schema of a config, by which an editor completes and checks it."""
    with reported(as_json=False):
        from ppo_cli.experiment.json_schema import schema_text

        if out is None:
            typer.echo(schema_text(), nl=False)
            return
        from ppo_cli.store.files import disk_errors, write_text

        with disk_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            write_text(out, schema_text())
        note = f"Wrote {out}. A config beside it names it in its first line: # yaml-language-server: $schema={out.name}"
        new_console().print(note, markup=False, soft_wrap=True)
