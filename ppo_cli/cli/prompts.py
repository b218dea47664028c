"""`ppo prompts`: its options and one call.

Not here: what is looked at (`preflight.describe_prompts`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from ppo_cli.cli.output import Json, error_boundary, show_result

EXAMPLES = (("prompts.csv",), ("prompts.csv", "--against", "other.jsonl"))


def prompts(
    file: Annotated[
        str,
        typer.Argument(help="A file of prompts in any form, or hf:NAME[:SPLIT].", metavar="FILE"),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            help="Another file, or a config with its sets, to look for the same prompts in.",
            metavar="FILE",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a file of prompts holds.

    What the reader saw and left out, duplicates, leaks into other sets, languages, lengths and topics.
    """
    with error_boundary(as_json):
        from ppo_cli.preflight.describe_prompts import describe_prompts
        from ppo_cli.reports.screens.prompts import prompt_report_screen

        result = describe_prompts(file, against=against or ())
        show_result(as_json, result, lambda: prompt_report_screen(result))
