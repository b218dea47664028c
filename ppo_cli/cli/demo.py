"""`ppo demo`: train the shipped recipe `refusal` in the current folder; its options and one call.

Not here: training (`training`), the recipe (`setup.recipes`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppo_cli.cli.output import Json, Overrides, error_boundary, progress_view, show_result

RECIPE = "refusal"
EXAMPLES = ((), ("ppo.updates=4",), ("--runs-dir", "demo-runs"))


def demo(
    overrides: Overrides = None,
    runs_dir: Annotated[
        Path | None,
        typer.Option(
            "--runs-dir", help="Folder of the run folders; runs, below this folder, by default.", metavar="DIR"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a small model to refuse harmful requests and help with the rest.

    Takes 8 to 14 minutes on two CPU cores, and needs no checkout, no config and no GPU. The 135M start model is
    downloaded once. To change the experiment, write it to a folder of yours with `ppo init refusal my-exp`.
    """
    with error_boundary(as_json):
        from ppo_cli.setup.recipes import load_recipe

        loaded = load_recipe(RECIPE, overrides or ())
        from ppo_cli.models.one_gpu import use_one_gpu
        from ppo_cli.reports.screens.train import training_screen
        from ppo_cli.training.train import train

        use_one_gpu(loaded.experiment.device)
        with progress_view(as_json) as on_event:
            result = train(loaded, runs_dir=runs_dir, repeat=True, on_event=on_event)
        show_result(as_json, result, lambda: training_screen(result))
