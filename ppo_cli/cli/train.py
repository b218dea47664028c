"""A run, several arms, and what either would cost: train.

Not here: logic.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ppo_cli.cli.output import Json, Overrides, put, reported, watching
from ppo_cli.errors import PpoError, UsageError


def train(
    config: Annotated[Path | None, typer.Argument(help="The experiment's YAML file.", metavar="[CONFIG]")] = None,
    overrides: Overrides = None,
    resume: Annotated[str | None, typer.Option(help="Continue this run where it stopped.", metavar="RUN")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run and what it costs, and stop.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Repeat an experiment that has a run already.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Train although the gate says stop.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder that holds the run folders, in place of the config's.")
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", help="Processes that train together on this machine, a GPU each.")
    ] = 1,
    parent: Annotated[
        str | None, typer.Option(help="The run that this one varies, within what its round lets move.", metavar="RUN")
    ] = None,
    vary: Annotated[
        list[str] | None, typer.Option(help="Run one arm for each value.", metavar="KEY=VALUE,VALUE,…")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Repeat every arm with so many seeds.", metavar="N")] = None,
    as_json: Json = False,
) -> None:
    """Freeze, train, evaluate against step 0, and say what happened."""
    if vary or seeds is not None:
        idle = [("--resume", resume), ("--again", again), ("--processes", processes != 1)]
        changes = [*(overrides or []), *([f"parent={parent}"] if parent is not None else [])]
        _train_arms(config, changes, vary or [], seeds, output, force, dry_run, idle, as_json)
        return
    with reported(as_json):
        changes = [str(config), *(overrides or [])] if resume is not None and config is not None else []
        if (config is None and resume is None) or (changes and "=" not in changes[0]):
            raise UsageError("Give either a config or --resume RUN.", "Example: ppo train configs/refusal.yaml")
        if resume is not None and (again or force):
            raise UsageError(
                "--resume continues a run as it was begun, so --again and --force would have no effect.",
                "Leave them out.",
            )
        if resume is not None and parent is not None:
            raise UsageError("--resume continues a run with the parent it has.", "Leave --parent out.")
        overrides = [*(overrides or []), *([f"parent={parent}"] if parent is not None else [])]
        from ppo_cli.report.screens import shared

        if dry_run:
            _dry_run(None if resume else config, overrides or [], output, as_json)
            return
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.store.runs import find_run
        from ppo_cli.training import train as command

        folder = output or Path("runs")
        loaded = None if resume is not None else load_experiment(config or Path(), overrides or ())
        experiment = find_run(resume or "", folder).verify()[0] if loaded is None else loaded.experiment
        from ppo_cli.cli import main
        from ppo_cli.training.launch import join_or_launch

        process_group = join_or_launch(experiment.device, processes, main)
        with watching(as_json) as on_event:
            if loaded is None:
                result = command.resume(
                    resume or "", output=folder, overrides=changes, on_event=on_event, process_group=process_group
                )
            else:
                result = command.train(
                    loaded, output=output, again=again, force=force, on_event=on_event, process_group=process_group
                )
        put(as_json, result, lambda: shared.training_screen(result))


def _train_arms(
    config: Path | None,
    overrides: list[str],
    vary: list[str],
    seeds: int | None,
    output: Path | None,
    force: bool,
    dry_run: bool,
    idle: list[tuple[str, Any]],
    as_json: bool,
) -> None:
    failed: list[int] = []
    with reported(as_json):
        from ppo_cli.report.screens import sweep
        from ppo_cli.training.sweep_plan import plan_sweep

        _refuse_with_arms([name for name, given in idle if given])
        if config is None:
            raise UsageError("Several arms need a config.", "Example: ppo train configs/refusal.yaml --seeds 3")
        planned = plan_sweep(
            config, overrides, vary=vary, seeds=1 if seeds is None else seeds, output=output, force=force
        )
        from ppo_cli.training import sweep as command

        if dry_run:
            shown = command.preview_sweep(planned)
            put(as_json, shown, lambda: sweep.sweep_preview_screen(shown))
            return
        with watching(as_json) as on_event:
            result = command.run_sweep(planned, force=force, on_event=on_event)
        put(as_json, result, lambda: sweep.sweep_screen(result))
        failed = [arm.exit_code for arm in result.arms if arm.problem]
        if failed and not as_json:
            error = PpoError(
                f"{len(failed)} of {len(result.arms)} arms failed; they are named above.",
                f"Mend what they name, then type again: {result.command}",
            )
            error.exit_code = max(failed)
            raise error
    if failed:  # with --json the arms say why, in the one document that was printed
        raise typer.Exit(max(failed))


def _refuse_with_arms(given: list[str]) -> None:
    if os.environ.get("RANK"):
        given = [*given, "A launcher of several processes"]
    if given:
        raise UsageError(
            f"{given[0]} does not go with --vary and --seeds, whose arms run one after another in one process.",
            "Leave it out; an arm that was run by itself, with --processes say, is used and not run twice.",
        )


def _dry_run(config: Path | None, overrides: list[str], output: Path | None, as_json: bool) -> None:
    if config is None:
        raise UsageError("A dry run needs a config.", "Example: ppo train configs/refusal.yaml --dry-run")
    from ppo_cli.experiment.load import load_experiment
    from ppo_cli.report.screens import shared
    from ppo_cli.training.dry_run import dry_run

    planned = dry_run(load_experiment(config, overrides), output=output)
    put(as_json, planned, lambda: shared.dry_run_screen(planned))
