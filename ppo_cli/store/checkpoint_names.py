"""Names of a run's checkpoints: RUN/best, RUN/last and RUN/step-N, and a run alone for its last one.

Not here: whether a checkpoint is intact (`engine.checkpoints`), what is evaluated (`evaluation.target`).
"""

from __future__ import annotations

import re
from pathlib import Path

from ppo_cli.errors import UsageError
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import LATEST, Run, find_run, matching_runs, run_of

BEST, LAST = "best", "last"
STEP_NAME = re.compile(r"step-(\d{1,6})")


def checkpoint_path(name: str, runs_dir: Path) -> str:
    """The checkpoint folder that RUN/best, RUN/last or RUN/step-N names; any other name unchanged.

    Args:
        name: of a checkpoint; RUN is a path, a name in `runs_dir`, the beginning of one, or `latest`.
        runs_dir: folder of run folders.

    Raises:
        UsageError: the run has no such checkpoint, or several runs begin so.
    """
    path = Path(name)
    step_name = STEP_NAME.fullmatch(path.name)
    if not (step_name or path.name in (BEST, LAST)) or path.exists():
        return name
    run = _run_at(path.parent, runs_dir)
    if run is None and matching_runs(path.parent, runs_dir):
        run = find_run(path.parent, runs_dir)
    if run is None or (step_name and path.absolute().parent == run.layout.checkpoints.absolute()):
        return name  # a path to a checkpoint that was pruned still names its evaluations
    if step_name:
        return str(run.layout.checkpoint(int(step_name[1])))
    step = run.state().best_step if path.name == BEST else max(_steps(run), default=None)
    if step is None:
        raise UsageError(f"{run.name} has no {path.name} checkpoint.", f"Name one of {run.layout.checkpoints}/step-…")
    return str(run.layout.checkpoint(step))


def last_checkpoint_of(name: str, runs_dir: Path) -> str:
    """A run as RUN/last; anything else as it is.

    Args:
        name: a run by path, name, the beginning of its name or `latest`; or what `checkpoint_path` takes.
        runs_dir: folder of run folders.

    Raises:
        UsageError: several runs begin so.
    """
    is_run = any((folder / "run.json").is_file() for folder in (Path(name), runs_dir / name))
    if is_run or (not Path(name).exists() and matching_runs(name, runs_dir)):
        return str(find_run(name, runs_dir).layout.root / LAST)
    return name


def start_checkpoint(start: str, runs_dir: Path) -> str:
    """A start model that names a checkpoint of a run, as the checkpoint's absolute path; any other unchanged.

    A run alone is taken by its path, its whole name or `latest`: by the beginning of its name it could be mistaken for
    the id of a model.

    Args:
        start: `model.start` of a config.
        runs_dir: folder of run folders.

    Raises:
        UsageError: the run has no such checkpoint, or several runs begin so.
    """
    try:
        folder_here = Path(start).is_dir()
        is_run = any((folder / "run.json").is_file() for folder in (Path(start), runs_dir / start))
    except OSError:  # the name is too long for a path
        return start
    if is_run and not (Path(start) / "config.json").is_file():
        start = str(find_run(start, runs_dir, exact=True).layout.root / LAST)
    elif folder_here:
        return start
    elif start == LATEST and matching_runs(start, runs_dir):
        start = str(find_run(start, runs_dir).layout.root / LAST)
    named = checkpoint_path(start, runs_dir)
    path = Path(named)
    if named == start and not (step_of(path) is not None and run_of(path)):
        return start
    if not path.is_dir():
        raise UsageError(f"model.start: there is no checkpoint {path}.", f"Name one of {path.parent}/step-…")
    return str(path.absolute())


def _run_at(folder: Path, runs_dir: Path) -> Run | None:
    """The run that a path, here or in `runs_dir`, lies in."""
    folders = [candidate for candidate in (folder, runs_dir / folder) if candidate.is_dir()]
    return next((run for candidate in folders if (run := run_of(candidate))), None)


def _steps(run: Run) -> list[int]:
    """Updates of the checkpoints that are there."""
    if not run.layout.checkpoints.is_dir():
        return []
    return [step for folder in run.layout.checkpoints.iterdir() if (step := step_of(folder)) is not None]
