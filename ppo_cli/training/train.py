"""`ppo train`: freeze an experiment, claim its folder, carry it out. Also `--resume`.

Not here: the course of a run (`course`), the loop (`engine`), the screens.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ppo_cli.errors import DiskFull, Interrupted, NoPermission, Paused, UsageError
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.load import Loaded, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.preflight.enforce import refuse_bad_start, refuse_leaks
from ppo_cli.records.events import RunStarted, Watcher, nobody
from ppo_cli.records.results import TrainingOutcome
from ppo_cli.setup.parent import descent
from ppo_cli.setup.resolve import (
    Ground,
    frozen,
    read_inputs,
    refuse_missing_trackers,
    stand_on,
    verify_ground,
    verify_reward,
)
from ppo_cli.setup.reward_resources import open_reward
from ppo_cli.store.runs import Run, claim_run, closing
from ppo_cli.training.interrupt import StopRequest

if TYPE_CHECKING:
    from ppo_cli.engine.distributed import Team


def train(
    loaded: Loaded,
    *,
    output: Path | None = None,
    again: bool = False,
    force: bool = False,
    watcher: Watcher = nobody,
    team: Team | None = None,
) -> TrainingOutcome:
    """Runs one experiment from its config.

    Args:
        loaded: the checked config.
        output: folder of run folders, in place of the config's.
        again: if this very experiment has a run already, make another beside it.
        force: train although the gate says stop; the run records it.
        watcher: told of everything that happens.
        team: the processes that train together, of which this one leads.

    Raises:
        UsageError: the config, a prompt file or the model cannot be used, or the run exists.
        GateError: the gate says stop, the reward broke its contract, or policy and reference differ.
        Interrupted: stopped by the user; can be resumed.
    """
    _refuse_idle_processes(team, loaded.experiment)
    inputs = read_inputs(loaded.experiment)
    forced = refuse_leaks(inputs, force, watcher)
    refuse_missing_trackers(inputs.experiment)
    ground = stand_on(inputs, watcher)
    open_reward(inputs.reward, watcher)
    forced += refuse_bad_start(ground, force, watcher)
    experiment, lock, texts = frozen(ground)
    folder = output or Path(experiment.output)
    state = {**descent(loaded, lock, folder, watcher), "forced": list(forced)}
    run = claim_run(folder / name_of_run(experiment, lock), lock, texts, state, again)
    try:
        return _carry_out(run, ground, watcher, team)
    except UsageError as error:
        begun = run.layout.provenance.is_file() or isinstance(error, NoPermission)
        if not begun:  # the start model could not be used
            shutil.rmtree(run.layout.root)
        raise


def name_of_run(experiment: Experiment, lock: Lock) -> str:
    """The name of an experiment's run folder, the same for the same experiment."""
    return f"{experiment.name}-kl{experiment.kl.coef:g}-s{experiment.seed}-{lock.fingerprint[:6]}"


def resume(
    name: str,
    *,
    output: Path,
    overrides: Sequence[str] = (),
    watcher: Watcher = nobody,
    team: Team | None = None,
) -> TrainingOutcome:
    """Continues a run that was interrupted, from its last checkpoint, with the numbers it would have had.

    Args:
        name: run folder, or its name in the output folder.
        output: folder of run folders.
        overrides: `tracking=[…]` for what is left of the run; nothing else may change.
        watcher: told of everything that happens.
        team: the processes that train together, of which this one leads.

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
        experiment = replace(experiment, tracking=load_experiment(run.layout.config, overrides).experiment.tracking)
    refuse_missing_trackers(experiment)
    ground = stand_on(read_inputs(experiment), watcher)
    verify_ground(lock, ground, run.name)
    verify_reward(lock, ground, run.name)
    run.reopen()
    return _carry_out(run, ground, watcher, team)


def _carry_out(run: Run, ground: Ground, watcher: Watcher, team: Team | None) -> TrainingOutcome:
    from ppo_cli.engine.distributed import Team
    from ppo_cli.engine.tracking import Trackers
    from ppo_cli.training.run_loop import Course

    experiment = replace(run.experiment(), tracking=ground.experiment.tracking)
    request = StopRequest(watcher)
    trackers = Trackers(experiment, run.layout.tracking, watcher)
    with _naming_what_is_left(run), closing(run), request.listening(), trackers:
        watcher(
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
            return Course(run, experiment, ground, request, trackers, team or Team()).carry_out()
        except KeyboardInterrupt:
            done = run.state().updates_done
            raise Interrupted(
                f"Interrupted after update {done} of {experiment.ppo.updates}; nothing is lost.",
                f"Continue with: ppo train --resume {run.layout.root}",
            ) from None
        except Paused as error:
            done = run.state().updates_done
            raise Paused(
                f"{error.message.rstrip('.')}; the run is kept as it was after update {done}.",
                f"{error.next_step} Then continue with: ppo train --resume {run.layout.root}",
            ) from error


@contextmanager
def _naming_what_is_left(run: Run) -> Iterator[None]:
    """Says, when nothing can be written any more, which checkpoint is whole and how to go on from it."""
    from ppo_cli.engine.checkpoints import list_checkpoints

    def left() -> str:
        whole = list_checkpoints(run.layout)
        return f"the last whole checkpoint is {whole[-1]}" if whole else "there is no checkpoint yet"

    go_on = f"then continue with: ppo train --resume {run.layout.root}"
    try:
        yield
    except DiskFull as error:
        raise DiskFull(
            f"No space is left on the disk of {run.layout.root}; {left()}.", f"Free some, {go_on}"
        ) from error
    except NoPermission as error:
        raise NoPermission(f"{error.message.rstrip('.')}; {left()}.", f"Allow it, {go_on}") from error


def _refuse_idle_processes(team: Team | None, experiment: Experiment) -> None:
    episodes = experiment.ppo.episodes_per_update
    if team and team.size > episodes:
        raise UsageError(
            f"{team.size} processes cannot share {episodes} episodes an update.",
            "Start fewer, or raise ppo.episodes_per_update.",
        )
