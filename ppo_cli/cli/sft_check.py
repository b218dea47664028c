"""`ppo sft-check`: options and one call.

Not here: the checks (`preflight`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, Overrides, has_failed_checks, put, reported, watching
from ppo_cli.errors import GateError, UsageError


def sft_check(
    subject: Annotated[
        str,
        typer.Argument(
            help="The experiment's YAML file; or a model alone: a folder, an id or builtin:NAME.",
            metavar="CONFIG|MODEL",
        ),
    ],
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """May PPO start from this model, with this reward, on these prompts?"""
    stopped = False
    with reported(as_json):
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.preflight import sft_check as command
        from ppo_cli.report.screens.sft_check import sft_check_screen

        alone = command.is_a_model(subject)
        if alone and overrides:
            raise UsageError("A model alone has no keys that could be changed.", "Leave them out, or give a config.")
        loaded = None if alone else load_experiment(Path(subject), overrides or ())
        with watching(as_json) as on_event:
            result = (
                command.sft_check(loaded, on_event=on_event)
                if loaded
                else command.check_model(subject, on_event=on_event)
            )
        put(as_json, result, lambda: sft_check_screen(result))
        stopped = has_failed_checks("PPO should not start", result.checks, as_json)
    if stopped:  # with --json it stands in the one document that was printed
        raise typer.Exit(GateError.exit_code)
