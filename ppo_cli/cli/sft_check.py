"""`ppo sft-check`: its options and one call.

Not here: the checks (`preflight`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.completion import complete_config
from ppo_cli.cli.output import Json, Overrides, error_boundary, exit_on_failed_checks, progress_view, show_result
from ppo_cli.errors import UsageError

EXAMPLES = (("CONFIG",), ("builtin:smollm2-135m-instruct",))


def sft_check(
    subject: Annotated[
        str,
        typer.Argument(
            help="The experiment's YAML file; or a model alone: a folder, a Hugging Face id or builtin:NAME.",
            metavar="CONFIG|MODEL",
            autocompletion=complete_config,
        ),
    ],
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Check that model, reward and prompts are ready for PPO.

    Samples the start model, and times a part of the run. Exits with code 5 where a check fails.
    """
    with error_boundary(as_json):
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.preflight import sft_check as preflight
        from ppo_cli.reports.screens.sft_check import sft_check_screen

        model_alone = preflight.is_a_model(subject)
        if model_alone and overrides:
            raise UsageError("A model alone has no keys to change.", "Leave them out, or give a config.")
        loaded = None if model_alone else load_experiment(Path(subject), overrides or ())
        with progress_view(as_json) as on_event:
            result = (
                preflight.sft_check(loaded, on_event=on_event)
                if loaded
                else preflight.check_model(subject, on_event=on_event)
            )
        show_result(as_json, result, lambda: sft_check_screen(result))
        exit_on_failed_checks(result.checks, as_json)
