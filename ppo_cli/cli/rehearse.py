"""`ppo rehearse`: its options and one call.

Not here: drawing and scoring answers (`preflight.rehearse`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from ppo_cli.cli.output import Config, Json, Overrides, error_boundary, progress_view, show_result

EXAMPLES = (("CONFIG",), ("CONFIG", "--prompts", "200", "--json"))


def rehearse(
    config: Config,
    overrides: Overrides = None,
    prompts: Annotated[
        int | None,
        typer.Option(
            help="Training prompts to answer; 40 by default, 16 where a term runs code, a model or a service.",
            metavar="N",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """See what the reward would teach, before PPO starts.

    Draws 16 answers per prompt from the start model, and shows the highest-rewarded ones beside an average answer.
    """
    with error_boundary(as_json):
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.preflight.rehearse import rehearse as rehearse_reward
        from ppo_cli.reports.screens.rehearse import rehearsal_screen

        loaded = load_experiment(config, overrides or ())
        with progress_view(as_json) as on_event:
            result = rehearse_reward(loaded, prompts=prompts, on_event=on_event)
        show_result(as_json, result, lambda: rehearsal_screen(result))
