"""Creating a run folder: claiming its name, and writing what is frozen into it.

run.json is written last and turns the folder into a run. A folder that a kill or a full disk left without it is taken
over by the next `ppo train` of the same experiment.

Not here: what is frozen (`setup.freeze_inputs`), reading runs and adding records (`runs`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.paths import with_paths
from ppo_cli.records.program import command
from ppo_cli.records.training import COMPLETED_STATUSES, RunState
from ppo_cli.store.files import TEMPORARY_PREFIX, disk_errors, make_runs_folder, write_text
from ppo_cli.store.layout import RunLayout
from ppo_cli.store.run_lock import RunLock
from ppo_cli.store.runs import FrozenExperiment, Run, now, write_state

READ_ONLY = 0o444
ELSEWHERE = "Choose another folder with --runs-dir DIR."


def create_run(root: Path, frozen: FrozenExperiment, state: Mapping[str, Any], repeat: bool) -> Run:
    """Makes a run folder and writes what is frozen into it.

    Args:
        root: the folder to make; `mkdir` decides between two processes that want it.
        frozen: config, lock and files.
        state: fields of run.json besides those known here.
        repeat: if the folder exists, take the next free name instead of refusing.

    Raises:
        UsageError: the folder exists, or may not be written.
    """
    layout, run_lock = _claim_folder(root, repeat)
    root = layout.root
    try:
        _write_frozen(layout, frozen, state)
    except BaseException:
        run_lock.release()
        raise
    run = Run(root, run_lock)
    absolute = {key: str((root / copy).absolute()) for key, copy in frozen.copies.items()}
    run._experiment = with_paths(frozen.experiment, absolute)  # noqa: SLF001 - as load_frozen would read it
    return run


def _write_frozen(layout: RunLayout, frozen: FrozenExperiment, state: Mapping[str, Any]) -> None:
    """Writes what is frozen; run.json comes last and turns the folder into a run."""
    root = layout.root
    with disk_errors(root, ELSEWHERE):
        for name, text in {**frozen.texts, layout.lock.name: freeze.to_yaml(frozen.lock)}.items():
            path = root / name
            path.parent.mkdir(exist_ok=True)
            write_text(path, text)
            path.chmod(READ_ONLY)
        for folder in (layout.checkpoints, layout.evaluations, layout.reports):
            folder.mkdir(exist_ok=True)
        host = socket.gethostname()
        started = RunState(id=root.name, status="running", started=now(), host=host, pid=os.getpid(), **state)
        write_state(layout, started)


def _claim_folder(root: Path, repeat: bool) -> tuple[RunLayout, RunLock]:
    """A folder for a new run, and its lock.

    A folder that a killed process began and did not make a run is taken over.

    Raises:
        UsageError: the folder is that of a run, of a process that is making one, or of something else.
    """
    number = 1
    candidate = root
    with disk_errors(root, ELSEWHERE):
        make_runs_folder(root.parent)
        while True:
            layout = RunLayout(candidate)
            with suppress(FileExistsError):
                candidate.mkdir()
            if not _is_unfinished(layout):
                if not repeat:
                    raise UsageError(*_exists(root)) from None
                number += 1
                candidate = root.with_name(f"{root.name}-{number}")
                continue
            try:
                run_lock = RunLock(layout.run_lock)
            except BlockingIOError:
                if repeat:
                    number += 1
                    candidate = root.with_name(f"{root.name}-{number}")
                    continue
                raise UsageError(
                    f"Another process is making {candidate}.", "Wait for it, or add --repeat to run beside it."
                ) from None
            if layout.state.is_file():  # another process made it a run, and ended, since it was looked at
                run_lock.release()
                continue
            return layout, run_lock


def _is_unfinished(layout: RunLayout) -> bool:
    """Whether a folder holds nothing but what `create_run` writes before run.json."""
    if layout.root.is_symlink() or not layout.root.is_dir():
        return False
    folders = (layout.inputs, layout.checkpoints, layout.evaluations, layout.reports)
    files = {layout.run_lock, layout.config, layout.lock}
    for path in layout.root.iterdir():
        is_partial = path.name.startswith(TEMPORARY_PREFIX)
        if path.is_symlink() or (path not in files and path not in folders and not is_partial):
            return False
    return not any(any(folder.iterdir()) for folder in folders[1:] if folder.is_dir())


def _exists(root: Path) -> tuple[str, str]:
    try:
        status = Run(root).state().status
    except (UsageError, IntegrityError):
        return f"{root} exists already, and is not a run.", "Choose another name=…, or add --repeat to run beside it."
    if status in COMPLETED_STATUSES:
        return (
            f"This experiment already has a run: {root} ({status.replace('_', ' ')}).",
            f"See it with `{command('show', root)}`, change a key, or add --repeat to repeat it beside {root.name}.",
        )
    if status == "running":
        return f"This experiment is running now: {root}.", "Wait for it, or add --repeat to run beside it."
    return (
        f"This experiment has a run that did not end: {root} ({status}).",
        f"Continue it with `{command('train', '--resume', root)}`, or add --repeat to make another beside it.",
    )
