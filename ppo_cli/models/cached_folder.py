"""Folders of models in the cache: their manifest names the sha256 of every file, and is checked before each use.

Not here: where the cache is (`cache_dir`), what is put there (`builtin`, `adapter`, `engine.warm_start`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError, PpoError
from ppo_cli.experiment.digest import sha256_file
from ppo_cli.store.files import read_json, write_json


def write_manifest(folder: Path, manifest: str, more: Mapping[str, Any] | None = None) -> None:
    """Writes the manifest of a finished folder.

    Args:
        folder: with all its files.
        manifest: name of the file.
        more: further values to keep there.
    """
    files = {file.relative_to(folder).as_posix(): sha256_file(file) for file in _files(folder, manifest)}
    write_json(folder / manifest, {**(more or {}), "files": files})


def verify_manifest(folder: Path, manifest: str, what: str) -> dict[str, Any]:
    """Checks that a cached folder holds the files of its manifest, unchanged, and no others.

    Args:
        folder: in the cache.
        manifest: name of the file.
        what: the folder holds, for the message.

    Returns:
        The manifest.

    Raises:
        IntegrityError: a file is missing, was changed or was added.
    """
    next_step = f"Remove {folder} and run the command again; it is then made again."
    try:
        values = read_json(folder / manifest)
        expected = dict(values["files"])
    except (OSError, PpoError, ValueError, KeyError, TypeError):
        raise IntegrityError(f"The cached {what} in {folder} is damaged.", next_step) from None
    actual = {file.relative_to(folder).as_posix(): file for file in _files(folder, manifest)}
    for name in sorted({*expected, *actual}):
        if name not in actual or sha256_file(actual[name]) != expected.get(name):
            raise IntegrityError(f"The cached {what} in {folder} was changed: {name}.", next_step)
    return values


def _files(folder: Path, manifest: str) -> list[Path]:
    own = (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    return sorted(file for file in own if file != folder / manifest)
