"""`ppo schema`: its option and one call.

Not here: the JSON Schema (`experiment.json_schema`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import error_boundary
from ppo_cli.cli.terminal import new_console, print_text

EXAMPLES = ((), ("--schema-file", "experiment.schema.json"))


def schema(
    schema_file: Annotated[
        Path | None, typer.Option("--schema-file", help="Write it to this file instead of the screen.", metavar="FILE")
    ] = None,
) -> None:
    """Print the JSON Schema of a config.

    An editor uses it to complete keys, to explain them and to underline mistakes.
    """
    with error_boundary(as_json=False):
        from ppo_cli.experiment.json_schema import schema_text

        if schema_file is None:
            print_text(schema_text())
            return
        from ppo_cli.store.files import disk_errors, write_text

        with disk_errors(schema_file):
            schema_file.parent.mkdir(parents=True, exist_ok=True)
            write_text(schema_file, schema_text())
        first_line = f"# yaml-language-server: $schema={schema_file.name}"
        note = f"Wrote {schema_file}. The first line of a config beside it: {first_line}"
        new_console().print(note, markup=False, soft_wrap=True)
