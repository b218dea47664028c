"""The folder of an export: what may be written over, which files are whose, and export.json, which lists them.

Not here: what the files hold (`merged_model`, `adapter`, `model_card`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ppo_cli.errors import IntegrityError, PpoError, UsageError
from ppo_cli.evaluation.run_checkpoint import RunCheckpoint
from ppo_cli.experiment.digest import sha256_file
from ppo_cli.records.exports import Form
from ppo_cli.store.files import disk_errors, read_json, sync_folder, write_json
from ppo_cli.store.runs import run_of

MANIFEST = "export.json"
FORMAT = 1
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack")
"""Files that a loader could take for the model's weights."""


def require_free(folder: Path, *, force: bool) -> None:
    """Checks that an export may be written to a folder.

    Args:
        folder: need not exist.
        force: files of the same names may be replaced, and those of an earlier export removed.

    Raises:
        UsageError: it is a file or a link, lies in a run, or holds something.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is not a folder.", "Name another place for the export.")
    if run_of(folder.absolute()) is not None:
        raise UsageError(f"{folder} lies in a run, and an export is never written there.", "Name a folder outside.")
    held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if held and not force:
        more = f" and {len(held) - 1} more" if len(held) > 1 else ""
        raise UsageError(
            f"{folder} is not empty: it holds {held[0]}{more}.", "Name another folder, or add --force to write over it."
        )
    own = set(read_manifest(folder)["files"]) if (folder / MANIFEST).is_file() else set()
    for path in sorted(folder.rglob("*")) if held else []:
        if path.suffix in WEIGHTS and path.relative_to(folder).as_posix() not in own:
            raise UsageError(
                f"{path} holds weights that no export wrote, and a loader could take them for the model's.",
                "Move that file elsewhere, or name another folder.",
            )
        if path.is_symlink():
            raise UsageError(f"{path} is a link, and an export is never written through links.", "Remove it.")


def partial_folder(folder: Path) -> Path:
    """A new folder beside the export, in which it is made and tested."""
    partial = folder.absolute().with_name(f".{folder.absolute().name}.partial-{os.getpid()}")
    with disk_errors(folder):
        partial.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    return partial


def write_manifest(folder: Path, checkpoint: RunCheckpoint, form: Form, base: str | None) -> dict[str, str]:
    """Writes export.json over all files of a folder, and gives their digests."""
    files = {
        path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    about = {**_about(checkpoint, form), "run": checkpoint.records.name, "base": base}
    write_json(folder / MANIFEST, {"format": FORMAT, **about, "files": files})
    return files


def read_manifest(folder: Path) -> dict[str, Any]:
    """export.json of a folder.

    Raises:
        IntegrityError: it is damaged.
    """
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest.get("files"), dict):
        raise IntegrityError(f"{folder / MANIFEST} is damaged.", "Name another folder.")
    return manifest


def kept_export(folder: Path, checkpoint: RunCheckpoint, form: Form) -> dict[str, Any] | None:
    """export.json of a folder that holds this very export, each file as it was written; else None."""
    try:
        manifest = read_manifest(folder)
    except PpoError:
        return None
    same = all(manifest.get(name) == value for name, value in _about(checkpoint, form).items())
    files: dict[str, str] = manifest["files"]
    intact = all((folder / name).is_file() and sha256_file(folder / name) == value for name, value in files.items())
    return manifest if same and intact else None


def put_in_place(partial: Path, folder: Path) -> None:
    """Moves a finished export to its folder; files of an earlier export that the new one lacks are removed."""
    with disk_errors(folder):
        if not folder.exists() or not any(folder.iterdir()):
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
            sync_folder(folder.absolute().parent)
            return
        earlier = set(read_manifest(folder)["files"]) if (folder / MANIFEST).is_file() else set()
        (folder / MANIFEST).unlink(missing_ok=True)  # until the new one is whole, the folder holds no export
        new = [path.relative_to(partial) for path in sorted(partial.rglob("*")) if path.is_file()]
        for name in earlier - {path.as_posix() for path in new}:
            (folder / name).unlink(missing_ok=True)
        for path in sorted(new, key=lambda path: path.name == MANIFEST):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (partial / path).replace(folder / path)
        shutil.rmtree(partial, ignore_errors=True)


def _about(checkpoint: RunCheckpoint, form: Form) -> dict[str, Any]:
    """What tells an export from another."""
    return {"lock": checkpoint.records.lock.fingerprint, "step": checkpoint.step, "form": form}
