"""`ppo measures`: its options and one call.

Not here: the measures (`behaviours.measures`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.completion import complete_config
from ppo_cli.cli.output import Json, Overrides, error_boundary, show_result

EXAMPLES = ((), ("CONFIG",))


def measures(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="A config, whose own measures are listed too.", metavar="CONFIG", autocompletion=complete_config
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """List every measure, and which of them a reward scores.

    Of each: what it means, its unit, and whether higher or lower is better.
    """
    with error_boundary(as_json):
        from ppo_cli.evaluation.measure_list import list_measures
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.reports.screens.measures import measures_screen

        result = list_measures(None if config is None else load_experiment(config, overrides or ()))
        show_result(as_json, result, lambda: measures_screen(result))
