"""A checkpoint of a run by its name, with the run's records: what `ppo chat` talks to and `ppo export` writes out.

Never imports torch. Not here: models that belong to no run (`target`), whether its files are intact
(`setup.start_model.open_checkpoint`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ppo_cli.errors import PpoError, UsageError
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.evaluation.target import no_such_checkpoint
from ppo_cli.records.program import command, first_commands
from ppo_cli.store.checkpoint_names import checkpoint_path, last_checkpoint_of
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, find_run, list_runs, run_of

MAX_RUNS = 12
"""Runs that an error lists."""


@dataclass(frozen=True, kw_only=True)
class RunCheckpoint:
    """A checkpoint and the run that wrote it."""

    records: RunRecords
    folder: Path
    step: int
    """The update after which it was written."""

    @property
    def name(self) -> str:
        """What screens call it."""
        return f"{self.records.name}/step-{self.step}"


def find_run_checkpoint(name: str, runs_dir: Path) -> RunCheckpoint:
    """Finds a checkpoint of a run, without loading a model.

    Args:
        name: RUN/best, RUN/last, RUN/step-N, a checkpoint folder, or a run alone for its last checkpoint.
        runs_dir: folder of run folders.

    Raises:
        UsageError: no such run or checkpoint, or it is not of a run.
        IntegrityError: the run was changed after freezing.
    """
    folder = Path(checkpoint_path(last_checkpoint_of(name, runs_dir), runs_dir))
    if not folder.is_dir():
        if step_of(folder) is None or run_of(folder) is None:
            find_run(Path(name).parent if "/" in name else name, runs_dir)
        raise no_such_checkpoint(str(folder))
    run, step = run_of(folder), step_of(folder.absolute())
    if run is None or step is None:
        raise UsageError(
            f"{name} is not a checkpoint of a run.", f"Name RUN, RUN/best or RUN/step-N, as `{command('runs')}` lists."
        )
    return RunCheckpoint(records=RunRecords.verified(run), folder=folder, step=step)


def no_run_named(word: str, runs_dir: Path) -> UsageError:
    """The error of a command without a run: it lists the runs that there are, the newest first.

    Args:
        word: the command.
        runs_dir: folder of run folders.
    """
    runs = list_runs(runs_dir)[::-1]
    if not runs:
        first = first_commands()[0]
        return UsageError(f"There is no run in {runs_dir} yet.", f"Start one with `{first}`.")
    lines = [f"  - {_described(run)}" for run in runs[:MAX_RUNS]]
    more = f"\n  - and {len(runs) - MAX_RUNS} more" if len(runs) > MAX_RUNS else ""
    return UsageError(
        f"`{word}` needs a run; these are in {runs_dir}:\n" + "\n".join(lines) + more,
        f"Name one: `{command(word, runs[0].layout.root)}`.",
    )


def _described(run: Run) -> str:
    try:
        state = run.state()
    except PpoError:
        return f"{run.name}, which cannot be read"
    best = f", best step-{state.best_step}" if state.best_step is not None else ""
    return f"{run.name}, {state.status.replace('_', ' ')}, {state.updates_done} updates{best}"
