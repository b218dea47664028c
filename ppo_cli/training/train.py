"""`ppo train`: check an experiment, freeze it, create its run folder and train; also `--resume`.

Not here: the loop of a run (`run_loop`), what an update is (`engine.trainer`), the screens (`reports`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ppo_cli.errors import DiskFullError, InterruptedRunError, NoPermissionError, RewardUnavailableError, UsageError
from ppo_cli.evaluation.capabilities import require_harness, tasks_of
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.preflight.enforce import enforce_no_overlap, enforce_start_checks
from ppo_cli.records.events import PLACEBO, EventHandler, Notice, RunStarted, ignore_events
from ppo_cli.records.program import command
from ppo_cli.records.results import TrainingResult
from ppo_cli.records.training import COMPLETED_STATUSES
from ppo_cli.setup.freeze_inputs import freeze_inputs, verify_against_lock, verify_terms
from ppo_cli.setup.own_runs import OWN_RUN, ReceivedRunOptions, mark_of, open_run
from ppo_cli.setup.parent import check_parent, find_parent
from ppo_cli.setup.resolve import ResolvedExperiment, read_inputs, require_trackers, resolve_experiment, with_start
from ppo_cli.setup.reward_resources import open_measures, open_terms
from ppo_cli.store.layout import step_of
from ppo_cli.store.new_run import create_run
from ppo_cli.store.runs import FrozenExperiment, Run, find_run, recording_failure
from ppo_cli.training.interrupt import StopRequest

if TYPE_CHECKING:
    from ppo_cli.engine.distributed import ProcessGroup

PLACEBO_SUFFIX = "-placebo"
"""Ends the name of a run whose rewards are permuted."""


def train(
    config: str | Path | LoadedExperiment,
    *,
    runs_dir: str | Path | None = None,
    repeat: bool = False,
    force: bool = False,
    on_event: EventHandler = ignore_events,
    process_group: ProcessGroup | None = None,
) -> TrainingResult:
    """Runs one experiment from its config.

    Args:
        config: the experiment's YAML file, or an experiment from `load_experiment`.
        runs_dir: folder of run folders, in place of the config's.
        repeat: if this experiment has a run already, make another beside it.
        force: train although a preflight check failed; the run records it.
        on_event: called with everything that happens.
        process_group: the processes that train together, this one being the main one.

    Raises:
        UsageError: the config, a prompt file or the model cannot be used, or the run exists.
        CheckFailedError: a preflight check failed, the reward gave something else than finite scores, or policy and
            reference differ before the first update.
        InterruptedRunError: stopped by the user; can be resumed.

    Example:
        >>> result = train("configs/refusal.yaml")
        >>> result.updates
        30
    """
    loaded = config if isinstance(config, LoadedExperiment) else load_experiment(Path(config))
    _require_episodes_for_all(process_group, loaded)
    _require_shardable(process_group, loaded.experiment)
    inputs = read_inputs(loaded.experiment, runs_dir)
    overridden = enforce_no_overlap(inputs, force, on_event)
    require_trackers(inputs.experiment)
    resolved = resolve_experiment(inputs, on_event)
    open_terms(inputs.reward, on_event)
    open_measures(inputs.measures, on_event)
    require_harness(inputs.experiment)
    overridden += enforce_start_checks(resolved, force, on_event)
    frozen = freeze_inputs(resolved, loaded.environment)
    folder = Path(runs_dir or frozen.experiment.output)
    ancestry = check_parent(loaded, frozen.lock, find_parent(loaded, folder), on_event)
    state = {
        **ancestry,
        "overridden_checks": list(overridden),
        "started_from": resolved.started_from,
        "mark": mark_of(frozen.lock),
    }
    run = create_run(folder / run_name(frozen), frozen, state, repeat)
    try:
        return _run(run, resolved.with_experiment(run.experiment()), on_event, process_group)
    except UsageError as error:
        has_records = run.layout.provenance.is_file() or isinstance(error, NoPermissionError)
        if not has_records:  # the start model could not be used, so nothing is worth keeping
            shutil.rmtree(run.layout.root)
        raise


def run_name(frozen: FrozenExperiment) -> str:
    """The name of an experiment's run folder, the same for the same experiment."""
    experiment = frozen.experiment
    placebo = PLACEBO_SUFFIX if experiment.reward.placebo else ""
    return f"{experiment.name}-kl{experiment.kl.coef:g}-s{experiment.seed}-{frozen.lock.fingerprint[:6]}{placebo}"


def resume(
    run: str | Path | Run,
    *,
    runs_dir: str | Path = "runs",
    overrides: Sequence[str] = (),
    received: ReceivedRunOptions = OWN_RUN,
    on_event: EventHandler = ignore_events,
    process_group: ProcessGroup | None = None,
) -> TrainingResult:
    """Continues a run that was interrupted, from its last checkpoint, with the numbers it would have had.

    Args:
        run: run folder, its name in `runs_dir`, or the run itself.
        runs_dir: folder of run folders.
        overrides: `tracking=[…]` for what is left of the run; no other key may change.
        received: what the user says of a run that was made on another machine.
        on_event: called with everything that happens.
        process_group: the processes that train together, this one being the main one.

    Raises:
        UsageError: no such run, it is finished or running, another key is overridden, or it brings code.
        IntegrityError: something frozen was changed.

    Example:
        >>> result = resume("refusal-kl0.15-s1-7f3a9c")
    """
    others = [override for override in overrides if override.partition("=")[0].strip() != "tracking"]
    if others:
        raise UsageError(
            f"--resume continues a run as it was started, so {others[0]} would have no effect.",
            "Leave it out; only tracking=[…] may change.",
        )
    run = find_run(run, runs_dir)
    _require_shardable(process_group, run.experiment())
    state = run.state()
    if state.status in COMPLETED_STATUSES:
        status = state.status.replace("_", " ")
        raise UsageError(
            f"{run.name} has {status}; there is nothing to resume.",
            f"See it with `{command('show', run.layout.root)}`.",
        )
    if state.status == "running":
        raise UsageError(f"{run.name} is still running (process {state.pid}).", "Wait for it or stop it first.")
    experiment, lock = run.verify()
    if overrides:  # trackers change no number, so they are not frozen
        tracking = load_experiment(run.layout.config, overrides).experiment.tracking
        experiment = experiment.model_copy(update={"tracking": tracking})
    experiment = with_start(experiment, open_run(run, received, opens_reward=True).model.start)
    require_trackers(experiment)
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    verify_against_lock(lock, resolved, run.name)
    verify_terms(lock, resolved, run.name)
    run.reopen()
    return _run(run, resolved, on_event, process_group)


def _run(
    run: Run, resolved: ResolvedExperiment, on_event: EventHandler, process_group: ProcessGroup | None
) -> TrainingResult:
    from ppo_cli.engine.distributed import ProcessGroup
    from ppo_cli.engine.tracking import Trackers
    from ppo_cli.training.run_loop import TrainingRun

    experiment = resolved.experiment
    request = StopRequest(on_event)
    trackers = Trackers(experiment, run.layout.tracking, on_event)
    with _naming_last_checkpoint(run), recording_failure(run), request.listening(), trackers:
        on_event(
            RunStarted(
                run=run.name,
                folder=str(run.layout.root),
                goal=experiment.goal,
                updates=experiment.ppo.updates,
                kl_stop_at=experiment.kl.stop_at,
                primary=experiment.evaluation.primary,
            )
        )
        if experiment.reward.placebo:
            on_event(Notice(text=PLACEBO))
        try:
            return TrainingRun(run, resolved, request, trackers, process_group or ProcessGroup()).run_to_end()
        except KeyboardInterrupt:
            raise InterruptedRunError(
                _interrupted(run, experiment.ppo.updates),
                f"Continue with: {command('train', '--resume', run.layout.root)}",
            ) from None
        except RewardUnavailableError as error:
            done = run.state().updates_done
            raise RewardUnavailableError(
                f"{error.message.rstrip('.')}; the run is kept as it was after update {done}.",
                f"{error.next_step} Then continue with: {command('train', '--resume', run.layout.root)}",
            ) from error


def _interrupted(run: Run, updates: int) -> str:
    """Up to where an interrupted run got, and what of it runs again."""
    from ppo_cli.engine.checkpoints import list_checkpoints

    done = run.state().updates_done
    where = f"Interrupted after update {done} of {updates}"
    whole = list_checkpoints(run.layout)
    saved = (step_of(whole[-1]) or 0) if whole else 0
    if saved >= done:
        return f"{where}; nothing is lost."
    if not whole:
        return f"{where}; there is no checkpoint yet, so the run begins again at its first update."
    again = f"update {done} runs" if done == saved + 1 else f"updates {saved + 1} to {done} run"
    return f"{where}; the last whole checkpoint is {whole[-1]}, so {again} again."


@contextmanager
def _naming_last_checkpoint(run: Run) -> Iterator[None]:
    """Adds to an error about the disk which checkpoint is intact and how to continue from it."""
    from ppo_cli.engine.checkpoints import list_checkpoints

    def last_checkpoint() -> str:
        intact = list_checkpoints(run.layout)
        return f"the last intact checkpoint is {intact[-1]}" if intact else "there is no checkpoint yet"

    then = f"then continue with: {command('train', '--resume', run.layout.root)}"
    try:
        yield
    except DiskFullError as error:
        raise DiskFullError(
            f"No space is left on the disk of {run.layout.root}; {last_checkpoint()}.", f"Free some space, {then}"
        ) from error
    except NoPermissionError as error:
        raise NoPermissionError(
            f"{error.message.rstrip('.')}; {last_checkpoint()}.", f"Change the permission, {then}"
        ) from error


def _require_shardable(process_group: ProcessGroup | None, experiment: Experiment) -> None:
    if not process_group or not process_group.sharded:
        return
    for key, value, usual in (
        ("ppo.optimizer", experiment.ppo.optimizer, "adamw"),
        ("model.load_in", experiment.model.load_in, None),
    ):
        if value != usual:
            raise UsageError(f"{key}={value} does not work with --shard.", f"Leave out --shard, or {key}.")
    if names := list(tasks_of(experiment)):
        raise UsageError(
            f"evaluation.measures.{names[0]}: with --shard no process has the whole model, which lm-evaluation-harness "
            "needs.",
            "Leave out --shard, or this measure.",
        )


def _require_episodes_for_all(process_group: ProcessGroup | None, loaded: LoadedExperiment) -> None:
    episodes = loaded.experiment.ppo.episodes_per_update
    if process_group and process_group.world_size > episodes:
        raise UsageError(
            f"{process_group.world_size} processes cannot share {episodes} episodes per update.",
            "Start fewer, or raise ppo.episodes_per_update.",
        )
