"""`ppo init`: its options, the questions about the goal and its measure, and one call.

Not here: what is written (`setup.init`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ppo_cli.cli.completion import complete_recipe
from ppo_cli.cli.measure_question import ask_measure, is_answered_at_a_terminal
from ppo_cli.cli.output import Json, error_boundary, progress_view, show_result
from ppo_cli.cli.terminal import new_console

EXAMPLES = (
    ("refusal", "my-exp"),
    ("blank", "my-exp", "--from-file", "prompts.csv", "--goal", "When asked for code, answer with code only."),
    ("concise", "my-exp", "--model", "my-model", "--reward", "ends_turn=0.3", "--primary", "ending.eos"),
)


def init(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Experiment to start from: refusal, concise, clarify, …; blank is the smallest.",
            metavar="RECIPE",
            autocompletion=complete_recipe,
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Folder to write.", metavar="FOLDER")],
    goal: Annotated[
        str | None, typer.Option(help="What the model should learn, in one sentence.", metavar="TEXT")
    ] = None,
    primary: Annotated[
        str | None,
        typer.Option(
            "--primary",
            help="The measure that shows whether the goal is reached (see `ppo measures`).",
            metavar="MEASURE",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="Start model: a folder, a Hugging Face id, builtin:NAME or RUN/best.", metavar="MODEL"
        ),
    ] = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(
            "--reward", help="A term of the reward, in place of the recipe's; repeat it.", metavar="TERM[=WEIGHT]"
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option("--from-file", help="Use your own prompts: CSV, JSON, Parquet or a plain list.", metavar="FILE"),
    ] = None,
    from_dataset: Annotated[
        str | None,
        typer.Option(
            "--from-dataset", help="Use the prompts of a dataset: hf:NAME[:SPLIT] or a folder.", metavar="NAME"
        ),
    ] = None,
    eval_share: Annotated[
        float | None,
        typer.Option(help="Share of your own prompts kept for evaluation; 0.4 by default.", metavar="SHARE"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    fetch_model: Annotated[bool, typer.Option(help="Download the built-in start model now.")] = True,
    as_json: Json = False,
) -> None:
    """Write an experiment folder: config, prompts, start model.

    A comment explains each key of the config. On a terminal, two questions help to phrase the goal, and where it is
    not the recipe's, a third asks which measure shows whether it is reached.
    """
    with error_boundary(as_json):
        from ppo_cli.prompts.prompt_files import read_prompts
        from ppo_cli.reports.screens.init import init_screen
        from ppo_cli.setup import init as setup
        from ppo_cli.setup.recipe_choices import chosen_experiment
        from ppo_cli.setup.recipes import is_same_goal, load_recipe

        own = setup.prompt_source(from_file, from_dataset, eval_share)
        choices = setup.InitChoices(prompts=own, model=model, reward=tuple(reward or ()), primary=primary)
        loaded, _ = chosen_experiment(load_recipe(recipe), choices)
        setup.refuse_existing(loaded, folder, force)
        if not as_json and is_answered_at_a_terminal():
            console, recipe_goal = new_console(), loaded.experiment.goal
            if goal is None:
                goal = _ask_goal(recipe_goal, console)
            if primary is None and not is_same_goal(goal or recipe_goal, recipe_goal):
                prompts = read_prompts(Path(loaded.experiment.prompts.eval)) if own is None else None
                choices = replace(choices, primary=ask_measure(console, loaded.experiment.evaluation.primary, prompts))
        with progress_view(as_json) as on_event:
            result = setup.init(
                recipe, folder, goal=goal, choices=choices, force=force, fetch_model=fetch_model, on_event=on_event
            )
        show_result(as_json, result, lambda: init_screen(result))


def _ask_goal(recipe_goal: str, console: Console) -> str | None:
    """The goal made from the answers to two questions; None to keep the recipe's."""
    from ppo_cli.reports.screens import init as screen
    from ppo_cli.setup.goal_wording import phrase

    try:
        console.print(screen.goal_question(recipe_goal))
        situation = console.input(f"{screen.SITUATION} > ").strip()
        behaviour = console.input(f"{screen.BEHAVIOUR} > ").strip()
        if not behaviour and situation:
            behaviour = console.input(f"{screen.BEHAVIOUR} > ").strip()
        if not behaviour:
            return None
        goal = phrase(situation, behaviour)
        console.print(screen.goal_confirmation(goal))
        return console.input("> ").strip() or goal
    except EOFError:
        return None
