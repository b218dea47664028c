"""Before a run: init, sft-check, reward.

Not here: logic.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ppo_cli.cli.terminal import Config, Json, Overrides, new_console, put, reported, watching
from ppo_cli.errors import GateError, UsageError
from ppo_cli.records.findings import Check


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
        from ppo_cli.commands import init as command
        from ppo_cli.report.beginning import init_screen

        loaded = command.recipe_named(recipe)
        command.refuse_existing(loaded, folder, force)
        own = command.own_of(from_csv, from_dataset, eval_share)
        if goal is None and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
            goal = _ask_goal(loaded.experiment.goal, new_console())
        with watching(as_json) as watcher:
            result = command.init(
                recipe, folder, goal=goal, own=own, force=force, fetch_model=fetch_model, watcher=watcher
            )
        put(as_json, result, lambda: init_screen(result))


def _ask_goal(recipe_goal: str, console: Console) -> str | None:
    """Two short questions that make one sentence; None where the recipe's is kept."""
    from ppo_cli.commands.goal import phrase
    from ppo_cli.report import beginning

    try:
        console.print(beginning.goal_question(recipe_goal))
        situation = console.input(f"{beginning.SITUATION} > ").strip()
        behaviour = console.input(f"{beginning.BEHAVIOUR} > ").strip()
        if not behaviour and situation:
            behaviour = console.input(f"{beginning.BEHAVIOUR} > ").strip()
        if not behaviour:
            return None
        made = phrase(situation, behaviour)
        console.print(beginning.phrased(made))
        return console.input("> ").strip() or made
    except EOFError:
        return None


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
        from ppo_cli.commands import sft_check as command
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.report.gate import gate_screen

        alone = command.is_a_model(subject)
        if alone and overrides:
            raise UsageError("A model alone has no keys that could be changed.", "Leave them out, or give a config.")
        loaded = None if alone else load_experiment(Path(subject), overrides or ())
        with watching(as_json) as watcher:
            result = (
                command.sft_check(loaded, watcher=watcher) if loaded else command.check_model(subject, watcher=watcher)
            )
        put(as_json, result, lambda: gate_screen(result))
        stopped = _stopped("PPO should not start", result.checks, as_json)
    if stopped:  # with --json it stands in the one document that was printed
        raise typer.Exit(GateError.exit_code)


def reward(config: Config, overrides: Overrides = None, as_json: Json = False) -> None:
    """Is the reward sound, what does it lean on, and can it be tricked?"""
    stopped = False
    with reported(as_json):
        from ppo_cli.commands.reward import audit
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.report.gate import reward_screen

        loaded = load_experiment(config, overrides or ())
        with watching(as_json) as watcher:
            result = audit(loaded, watcher=watcher)
        put(as_json, result, lambda: reward_screen(result))
        stopped = _stopped("PPO should not start with this reward", result.checks, as_json)
    if stopped:
        raise typer.Exit(GateError.exit_code)


def _stopped(verdict: str, checks: Sequence[Check], as_json: bool) -> bool:
    stops = [check.name for check in checks if check.outcome == "stop"]
    if stops and not as_json:
        raise GateError(f"{verdict}: {', '.join(stops)}.", "Mend what is marked stop above.")
    return bool(stops)
