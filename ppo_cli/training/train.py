"""`ppo train`: freeze an experiment, claim its folder, carry it out. Also `--resume`.

Not here: the course of a run (`course`), the loop (`engine`), the screens.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ppo_cli.errors import DiskFullError, InterruptedRunError, NoPermissionError, RewardUnavailableError, UsageError
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.preflight.enforce import enforce_no_overlap, enforce_start_checks
from ppo_cli.records.events import EventHandler, RunStarted, ignore_events
from ppo_cli.records.results import TrainingResult
from ppo_cli.setup.parent import check_parent
from ppo_cli.setup.resolve import (
    ResolvedExperiment,
    freeze_inputs,
    read_inputs,
    require_trackers,
    resolve_experiment,
    verify_against_lock,
    verify_reward,
)
from ppo_cli.setup.reward_resources import open_terms
from ppo_cli.store.runs import Run, create_run, recording_failure
from ppo_cli.training.interrupt import StopRequest

if TYPE_CHECKING:
    from ppo_cli.engine.distributed import ProcessGroup


def train(
    loaded: LoadedExperiment,
    *,
    output: Path | None = None,
    again: bool = False,
    force: bool = False,
    on_event: EventHandler = ignore_events,
    process_group: ProcessGroup | None = None,
) -> TrainingResult:
    """Runs one experiment from its config.

    Args:
        loaded: the checked config.
        output: folder of run folders, in place of the config's.
        again: if this very experiment has a run already, make another beside it.
        force: train although the gate says stop; the run records it.
        on_event: told of everything that happens.
        process_group: the processes that train together, of which this one leads.

    Raises:
        UsageError: the config, a prompt file or the model cannot be used, or the run exists.
        GateError: the gate says stop, the reward broke its contract, or policy and reference differ.
        Interrupted: stopped by the user; can be resumed.
    """
    _require_work_for_each(process_group, loaded.experiment)
    inputs = read_inputs(loaded.experiment)
    forced = enforce_no_overlap(inputs, force, on_event)
    require_trackers(inputs.experiment)
    resolved = resolve_experiment(inputs, on_event)
    open_terms(inputs.reward, on_event)
    forced += enforce_start_checks(resolved, force, on_event)
    experiment, lock, texts = freeze_inputs(resolved)
    folder = output or Path(experiment.output)
    state = {**check_parent(loaded, lock, folder, on_event), "overridden_checks": list(forced)}
    run = create_run(folder / run_name(experiment, lock), lock, texts, state, again)
    try:
        return _run(run, resolved, on_event, process_group)
    except UsageError as error:
        begun = run.layout.provenance.is_file() or isinstance(error, NoPermissionError)
        if not begun:  # the start model could not be used
            shutil.rmtree(run.layout.root)
        raise


def run_name(experiment: Experiment, lock: Lock) -> str:
    """The name of an experiment's run folder, the same for the same experiment."""
    return f"{experiment.name}-kl{experiment.kl.coef:g}-s{experiment.seed}-{lock.fingerprint[:6]}"


def resume(
    name: str,
    *,
    output: Path,
    overrides: Sequence[str] = (),
    on_event: EventHandler = ignore_events,
    process_group: ProcessGroup | None = None,
) -> TrainingResult:
    """Continues a run that was interrupted, from its last checkpoint, with the numbers it would have had.

    Args:
        name: run folder, or its name in the output folder.
        output: folder of run folders.
        overrides: `tracking=[…]` for what is left of the run; nothing else may change.
        on_event: told of everything that happens.
        process_group: the processes that train together, of which this one leads.

    Raises:
        UsageError: no such run, it is finished or running, or another key is overridden.
        IntegrityError: something frozen was changed.
    """
    from ppo_cli.store.runs import find_run

    others = [word for word in overrides if word.partition("=")[0].strip() != "tracking"]
    if others:
        raise UsageError(
            f"--resume continues a run as it was begun, so {others[0]} would have no effect.",
            "Leave it out; only tracking=[…] may change.",
        )
    run = find_run(name, output)
    state = run.state()
    if state.status in ("finished", "stopped"):
        raise UsageError(f"{run.name} is {state.status}; there is nothing to resume.", "See it with `ppo runs`.")
    if state.status == "running":
        raise UsageError(f"{run.name} is still running (process {state.pid}).", "Wait for it or stop it first.")
    experiment, lock = run.verify()
    if overrides:  # trackers move no number, so they are not frozen
        tracking = load_experiment(run.layout.config, overrides).experiment.tracking
        experiment = experiment.model_copy(update={"tracking": tracking})
    require_trackers(experiment)
    resolved = resolve_experiment(read_inputs(experiment), on_event)
    verify_against_lock(lock, resolved, run.name)
    verify_reward(lock, resolved, run.name)
    run.reopen()
    return _run(run, resolved, on_event, process_group)


def _run(
    run: Run, resolved: ResolvedExperiment, on_event: EventHandler, process_group: ProcessGroup | None
) -> TrainingResult:
    from ppo_cli.engine.distributed import ProcessGroup
    from ppo_cli.engine.tracking import Trackers
    from ppo_cli.training.run_loop import TrainingRun

    experiment = run.experiment().model_copy(update={"tracking": resolved.experiment.tracking})
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
        try:
            return TrainingRun(
                run, experiment, resolved, request, trackers, process_group or ProcessGroup()
            ).run_to_end()
        except KeyboardInterrupt:
            done = run.state().updates_done
            raise InterruptedRunError(
                f"Interrupted after update {done} of {experiment.ppo.updates}; nothing is lost.",
                f"Continue with: ppo train --resume {run.layout.root}",
            ) from None
        except RewardUnavailableError as error:
            done = run.state().updates_done
            raise RewardUnavailableError(
                f"{error.message.rstrip('.')}; the run is kept as it was after update {done}.",
                f"{error.next_step} Then continue with: ppo train --resume {run.layout.root}",
            ) from error


@contextmanager
def _naming_last_checkpoint(run: Run) -> Iterator[None]:
    """Says, when nothing can be written any more, which checkpoint is whole and how to go on from it."""
    from ppo_cli.engine.checkpoints import list_checkpoints

    def left() -> str:
        whole = list_checkpoints(run.layout)
        return f"the last whole checkpoint is {whole[-1]}" if whole else "there is no checkpoint yet"

    go_on = f"then continue with: ppo train --resume {run.layout.root}"
    try:
        yield
    except DiskFullError as error:
        raise DiskFullError(
            f"No space is left on the disk of {run.layout.root}; {left()}.", f"Free some, {go_on}"
        ) from error
    except NoPermissionError as error:
        raise NoPermissionError(f"{error.message.rstrip('.')}; {left()}.", f"Allow it, {go_on}") from error


def _require_work_for_each(process_group: ProcessGroup | None, experiment: Experiment) -> None:
    episodes = experiment.ppo.episodes_per_update
    if process_group and process_group.world_size > episodes:
        raise UsageError(
            f"{process_group.world_size} processes cannot share {episodes} episodes an update.",
            "Start fewer, or raise ppo.episodes_per_update.",
        )
