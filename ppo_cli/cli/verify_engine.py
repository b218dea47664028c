"""`ppo verify-engine`: its options and one call.

Not here: the checks (`conformance`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, error_boundary, progress_view, show_result
from ppo_cli.errors import CheckFailedError

EXAMPLES = ((), ("my_trainer.py:engine", "--certificate", "certificate.json"))


def verify_engine(
    engine: Annotated[
        str | None,
        typer.Argument(
            help="Factory of an adapter, as MODULE:FACTORY or FILE.py:FACTORY; the trainer of this program by default.",
            metavar="MODULE:FACTORY",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", help="Write the certificate, as JSON, to this file too.", metavar="FILE"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that a PPO trainer computes what the papers say.

    Trains tiny models on the CPU for less than a minute. A factory that you name is code that runs with your rights:
    name only one that you trust. Exits with code 5 where a check fails.
    """
    with error_boundary(as_json):
        from ppo_cli.conformance.verify import verify_engine as verify
        from ppo_cli.reports.screens.verify_engine import verify_engine_screen

        with progress_view(as_json) as on_event:
            result = verify(engine, on_event=on_event)
        if certificate is not None:
            from ppo_cli.store.files import disk_errors, write_json

            with disk_errors(certificate):
                certificate.parent.mkdir(parents=True, exist_ok=True)
                write_json(certificate, asdict(result))
        show_result(as_json, result, lambda: verify_engine_screen(result))
        if result.status == "fail":
            if as_json:
                raise typer.Exit(CheckFailedError.exit_code)
            failed = [check.name for check in result.checks if check.status == "fail"]
            raise CheckFailedError(f"Failed checks: {', '.join(failed)}.", "docs/verify-engine.md explains each.")
