"""The cache folder for fetched and prepared models, and the folder for keys.

Not here: what is kept there (`builtin`, `adapter`, `engine.warm_start`, `engine.reward_model`).
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from ppo_cli.errors import NoPermissionError, PpoError
from ppo_cli.store.files import disk_errors

CACHE_VARIABLE = "PPO_CACHE"
"""Environment variable that overrides the folder."""


def cache_folder() -> Path:
    """The folder for models that may be written; created if it is missing.

    $PPO_CACHE if that is set, else ppo-cli in $XDG_CACHE_HOME or ~/.cache; where that may not be written, as in many
    containers, a folder of this user's own below the folder for temporary files.

    Raises:
        NoPermissionError: $PPO_CACHE may not be written, or no other folder may.
        DiskFullError: no space is left.
    """
    folder = _wanted_folder()
    if folder == _shared_temporary_path():
        return _temporary_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        may_be_written = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        may_be_written = False
    if may_be_written:
        return folder
    if os.environ.get(CACHE_VARIABLE):
        raise NoPermissionError(f"No permission to write {folder}.", f"Set {CACHE_VARIABLE} to another folder.")
    return _temporary_folder()


def key_folders() -> list[Path]:
    """Folders for what must outlive a cache that is emptied, the wanted one first; none is made here.

    ppo-cli in $XDG_STATE_HOME or ~/.local/state; then the cache folder, for a home folder that may not be written.
    """
    base = os.environ.get("XDG_STATE_HOME")
    folders = []
    with suppress(RuntimeError):  # no home folder
        folders.append((Path(base) if base else Path.home() / ".local" / "state") / "ppo-cli")
    if _wanted_folder() != _shared_temporary_path():
        folders.append(_wanted_folder())
    with suppress(PpoError, OSError):
        folders.append(cache_folder())
    return list(dict.fromkeys(folders))


def cached(*names: str) -> Path:
    """The path of something cached: where it lies already, else where it may be written.

    Args:
        names: of the folders and the file below the cache folder.

    Raises:
        UsageError: as `cache_folder`.
    """
    existing = _wanted_folder().joinpath(*names)
    return existing if existing.exists() else cache_folder().joinpath(*names)


def _wanted_folder() -> Path:
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "ppo-cli"
    except RuntimeError:  # no home folder
        return _shared_temporary_path()


def _shared_temporary_path() -> Path:
    """A folder where other users could have made one of the same name."""
    return Path(tempfile.gettempdir()) / f"ppo-cli-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"


def _temporary_folder() -> Path:
    folder = _shared_temporary_path()
    with disk_errors(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid") and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
            raise NoPermissionError(f"{folder} belongs to another user.", f"Set {CACHE_VARIABLE} to another folder.")
    return folder
