"""`ppo sft-check`: its options and one call.

Not here: the checks (`preflight`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppo_cli.cli.completion import complete_config
from ppo_cli.cli.measure_question import ask_measure, is_answered_at_a_terminal
from ppo_cli.cli.output import Json, Overrides, error_boundary, exit_on_failed_checks, progress_view, show_result
from ppo_cli.cli.terminal import new_console
from ppo_cli.errors import UsageError

if TYPE_CHECKING:
    from ppo_cli.experiment.load import LoadedExperiment

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

    Samples the start model, and times a part of the run. Exits with code 5 where a check fails. On a terminal, where
    the goal is not that of the recipe whose prompts or reward it has, it asks which measure shows if it is reached.
    """
    with error_boundary(as_json):
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.preflight import sft_check as preflight
        from ppo_cli.reports.screens.sft_check import sft_check_screen

        model_alone = preflight.is_a_model(subject)
        if model_alone and overrides:
            raise UsageError("A model alone has no keys to change.", "Leave them out, or give a config.")
        loaded = None if model_alone else load_experiment(Path(subject), overrides or ())
        if loaded and not as_json and is_answered_at_a_terminal():
            loaded = _with_chosen_measure(loaded)
        with progress_view(as_json) as on_event:
            result = (
                preflight.sft_check(loaded, on_event=on_event)
                if loaded
                else preflight.check_model(subject, on_event=on_event)
            )
        show_result(as_json, result, lambda: sft_check_screen(result))
        exit_on_failed_checks(result.checks, as_json)


def _with_chosen_measure(loaded: LoadedExperiment) -> LoadedExperiment:
    """The experiment with the measure that the user chooses for a goal that is not the recipe's."""
    from ppo_cli.prompts.prompt_files import read_prompt_file
    from ppo_cli.reports.screens.sft_check import chosen_measure
    from ppo_cli.reports.tables import plain_text
    from ppo_cli.setup.recipe_choices import RecipeChoices, chosen_experiment
    from ppo_cli.setup.recipes import unconfirmed_goal

    experiment, console = loaded.experiment, new_console()
    evaluation = read_prompt_file(Path(experiment.prompts.eval))
    unconfirmed = unconfirmed_goal(experiment, evaluation.text)
    if unconfirmed is None:
        return loaded
    console.print(plain_text(f"{unconfirmed.sentence}."))
    measure = ask_measure(console, experiment.evaluation.primary, evaluation.prompts)
    if measure is None:
        return loaded
    chosen, notices = chosen_experiment(loaded, RecipeChoices(primary=measure))
    settings = chosen.experiment.evaluation
    console.print(chosen_measure(settings.primary, settings.smallest_effect, str(loaded.source), notices))
    return chosen
