"""`ppo init`: options, the question about the goal, and one call.

Not here: what is written (`setup.init`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ppo_cli.cli.output import Json, new_console, put, reported, watching


def init(
    recipe: Annotated[
        str,
        typer.Argument(
            help="refusal, concise, clarify, …; blank is the plainest start for your own.", metavar="RECIPE"
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Folder to write.", metavar="FOLDER")],
    goal: Annotated[str | None, typer.Option(help="What to align to, in one plain sentence.")] = None,
    from_csv: Annotated[
        Path | None,
        typer.Option("--from-csv", help="Train and evaluate on these prompts: CSV or JSONL.", metavar="FILE"),
    ] = None,
    from_dataset: Annotated[
        str | None, typer.Option("--from-dataset", help="The same from hf:NAME[:SPLIT] or a folder.", metavar="NAME")
    ] = None,
    eval_share: Annotated[
        float | None, typer.Option(help="Share of your own prompts that is kept for evaluation; 0.4 by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    fetch_model: Annotated[bool, typer.Option(help="Fetch the built-in start model now.")] = True,
    as_json: Json = False,
) -> None:
    """Write a commented config with prompts, and fetch the start model."""
    with reported(as_json):
        from ppo_cli.report.screens.init import init_screen
        from ppo_cli.setup import init as command

        loaded = command.load_recipe(recipe)
        command.refuse_existing(loaded, folder, force)
        own = command.prompt_source(from_csv, from_dataset, eval_share)
        if goal is None and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
            goal = _ask_goal(loaded.experiment.goal, new_console())
        with watching(as_json) as on_event:
            result = command.init(
                recipe, folder, goal=goal, own=own, force=force, fetch_model=fetch_model, on_event=on_event
            )
        put(as_json, result, lambda: init_screen(result))


def _ask_goal(recipe_goal: str, console: Console) -> str | None:
    """Two short questions that make one sentence; None where the recipe's is kept."""
    from ppo_cli.report.screens import init
    from ppo_cli.setup.goal_wording import phrase

    try:
        console.print(init.goal_question(recipe_goal))
        situation = console.input(f"{init.SITUATION} > ").strip()
        behaviour = console.input(f"{init.BEHAVIOUR} > ").strip()
        if not behaviour and situation:
            behaviour = console.input(f"{init.BEHAVIOUR} > ").strip()
        if not behaviour:
            return None
        made = phrase(situation, behaviour)
        console.print(init.goal_confirmation(made))
        return console.input("> ").strip() or made
    except EOFError:
        return None
