"""`ppo train`: one run, a sweep, or the plan of either; its options and one call.

Not here: training (`training`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppo_cli.cli.completion import complete_config, complete_run
from ppo_cli.cli.output import Json, Overrides, StartFolder, TrustCode, error_boundary, progress_view, show_result
from ppo_cli.errors import PpoError, UsageError
from ppo_cli.records.processes import Processes
from ppo_cli.records.program import first_commands

if TYPE_CHECKING:
    from ppo_cli.experiment.load import LoadedExperiment
    from ppo_cli.setup.own_runs import ReceivedRunOptions
    from ppo_cli.store.runs import Run
    from ppo_cli.training.sweep_plan import SweepPlan

EXAMPLES = (
    ("CONFIG",),
    ("CONFIG", "kl.coef=0.05", "--dry-run"),
    ("CONFIG", "--sweep", "kl.coef=0.05,0.2", "--seeds", "3"),
)


def train(
    config: Annotated[
        Path | None,
        typer.Argument(help="The experiment's YAML file.", metavar="CONFIG", autocompletion=complete_config),
    ] = None,
    overrides: Overrides = None,
    resume: Annotated[
        str | None, typer.Option(help="Continue this interrupted run.", metavar="RUN", autocompletion=complete_run)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run and what it costs; runs nothing.")
    ] = False,
    repeat: Annotated[bool, typer.Option("--repeat", help="Run an experiment again that already has a run.")] = False,
    placebo: Annotated[
        bool,
        typer.Option("--placebo", help="A control run: rewards permuted among the answers of each update."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Train although preflight checks failed.")] = False,
    runs_dir: Annotated[
        Path | None,
        typer.Option("--runs-dir", help="Folder of the run folders, in place of the config's.", metavar="DIR"),
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", help="Number of processes on this machine, one GPU each.", metavar="N")
    ] = 1,
    shard: Annotated[
        bool, typer.Option("--shard", help="Divide the model's layers over the processes (FSDP2), to save memory.")
    ] = False,
    parent: Annotated[
        str | None,
        typer.Option(
            help="Parent run to compare with; limits which keys may change.",
            metavar="RUN",
            autocompletion=complete_run,
        ),
    ] = None,
    start: StartFolder = None,
    trust_code: TrustCode = False,
    sweep: Annotated[
        list[str] | None, typer.Option(help="Train one run for each value of a key.", metavar="KEY=VALUE,VALUE,…")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Number of seeds per setting.", metavar="N")] = None,
    as_json: Json = False,
) -> None:
    """Train with PPO, and compare the result with the start model.

    Ctrl-C ends a run after its current update; --resume continues it.
    """
    with error_boundary(as_json):
        changes = [*(overrides or []), *([f"parent={parent}"] if parent is not None else [])]
        changes += ["reward.placebo=true"] if placebo else []
        if sweep or seeds is not None:
            given = [("--resume", resume), ("--repeat", repeat), ("--processes", processes != 1), ("--shard", shard)]
            given += [("--start", start is not None), ("--trust-code", trust_code)]
            _refuse_with_sweep([name for name, value in given if value])
            if config is None:
                raise UsageError("A sweep needs a config.", _example("--seeds", 3))
            from ppo_cli.training.sweep_plan import plan_sweep

            count = 1 if seeds is None else seeds
            plan = plan_sweep(config, changes, sweep=sweep or [], seeds=count, runs_dir=runs_dir, force=force)
            if dry_run:
                _preview_sweep(plan, as_json)
            else:
                _sweep(plan, force, as_json)
            return
        resume_changes = [str(config), *(overrides or [])] if resume is not None and config is not None else []
        if (config is None and resume is None) or (resume_changes and "=" not in resume_changes[0]):
            raise UsageError("Give either a config or --resume RUN.", _example())
        if dry_run:
            _dry_run(None if resume else config, changes, runs_dir, as_json)
            return
        if resume is not None:
            _refuse_with_resume(repeat=repeat, force=force, parent=parent, placebo=placebo)
        if resume is None and (start is not None or trust_code):
            raise UsageError("--start and --trust-code are for --resume only.", "Name the model in model.start.")
        from ppo_cli.experiment.load import load_experiment
        from ppo_cli.setup.own_runs import ReceivedRunOptions
        from ppo_cli.store.runs import find_run

        if resume is not None:
            run = find_run(resume, runs_dir or Path("runs"))
            received = ReceivedRunOptions(start=start, trust_code=trust_code)
            _resume(run, resume_changes, received, Processes(processes, shard), as_json)
        else:
            loaded = load_experiment(config or Path(), changes)
            _train(loaded, runs_dir, repeat=repeat, force=force, processes=Processes(processes, shard), as_json=as_json)


def _example(*words: object) -> str:
    return f"Example: {', then '.join(first_commands(*words))}"


def _train(
    loaded: LoadedExperiment,
    runs_dir: Path | None,
    *,
    repeat: bool,
    force: bool,
    processes: Processes,
    as_json: bool,
) -> None:
    from ppo_cli.cli import main
    from ppo_cli.reports.screens.train import training_screen
    from ppo_cli.training.launch import join_or_launch
    from ppo_cli.training.train import train
    from ppo_cli.training.trained_inputs import train_inputs

    def prepare() -> None:
        with progress_view(as_json) as on_event:
            train_inputs(loaded.experiment, on_event)

    process_group = join_or_launch(loaded.experiment.device, processes, main, prepare)
    with progress_view(as_json) as on_event:
        result = train(
            loaded, runs_dir=runs_dir, repeat=repeat, force=force, on_event=on_event, process_group=process_group
        )
    show_result(as_json, result, lambda: training_screen(result))


def _resume(run: Run, changes: list[str], received: ReceivedRunOptions, processes: Processes, as_json: bool) -> None:
    experiment, _ = run.verify()
    from ppo_cli.cli import main
    from ppo_cli.reports.screens.train import training_screen
    from ppo_cli.setup.own_runs import open_run
    from ppo_cli.training.launch import join_or_launch
    from ppo_cli.training.train import resume
    from ppo_cli.training.trained_inputs import train_inputs

    def prepare() -> None:
        with progress_view(as_json) as on_event:
            train_inputs(open_run(run, received, opens_reward=True), on_event)

    process_group = join_or_launch(experiment.device, processes, main, prepare)
    with progress_view(as_json) as on_event:
        result = resume(run, overrides=changes, received=received, on_event=on_event, process_group=process_group)
    show_result(as_json, result, lambda: training_screen(result))


def _sweep(plan: SweepPlan, force: bool, as_json: bool) -> None:
    from ppo_cli.models.one_gpu import use_one_gpu
    from ppo_cli.reports.screens.sweep import sweep_screen
    from ppo_cli.training.sweep import run_sweep

    use_one_gpu(plan.arms[0].experiment.device)
    with progress_view(as_json) as on_event:
        result = run_sweep(plan, force=force, on_event=on_event)
    show_result(as_json, result, lambda: sweep_screen(result))
    failed = [arm.exit_code for arm in result.arms if arm.problem]
    if failed and as_json:  # the JSON that was printed says why
        raise typer.Exit(max(failed))
    if failed:
        error = PpoError(
            f"{len(failed)} of {len(result.arms)} arms failed; they are listed above.",
            f"Fix the problems, then run the same command again: {result.command}",
        )
        error.exit_code = max(failed)
        raise error


def _preview_sweep(plan: SweepPlan, as_json: bool) -> None:
    from ppo_cli.reports.screens.sweep import sweep_preview_screen
    from ppo_cli.training.sweep import preview_sweep

    result = preview_sweep(plan)
    show_result(as_json, result, lambda: sweep_preview_screen(result))


def _refuse_with_sweep(options: list[str]) -> None:
    if os.environ.get("RANK"):
        options = [*options, "A launcher of several processes"]
    if options:
        raise UsageError(
            f"{options[0]} cannot be combined with --sweep or --seeds: the arms of a sweep run one after another in "
            "one process.",
            "Leave it out; an arm that was already trained on its own is reused.",
        )


def _refuse_with_resume(*, repeat: bool, force: bool, parent: str | None, placebo: bool) -> None:
    if repeat or force:
        raise UsageError("--repeat and --force have no effect with --resume.", "Leave them out.")
    if parent is not None:
        raise UsageError("--resume continues a run with the parent it has.", "Leave --parent out.")
    if placebo:
        raise UsageError("--resume continues a run as it was started, placebo or not.", "Leave --placebo out.")


def _dry_run(config: Path | None, overrides: list[str], runs_dir: Path | None, as_json: bool) -> None:
    if config is None:
        raise UsageError("A dry run needs a config.", _example("--dry-run"))
    from ppo_cli.experiment.load import load_experiment
    from ppo_cli.reports.screens.dry_run import dry_run_screen
    from ppo_cli.training.dry_run import dry_run

    result = dry_run(load_experiment(config, overrides), runs_dir=runs_dir)
    show_result(as_json, result, lambda: dry_run_screen(result))
