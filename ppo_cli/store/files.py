"""Crash-safe writing: atomic replace for small files, append and fsync for JSON Lines.

Not here: what the files mean.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ppo_cli.errors import DiskFullError, IntegrityError, NoPermissionError, UsageError
from ppo_cli.records.json_text import json_value

DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)
PERMISSION_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS)
PATH_ERRORS = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG)
READABLE = 0o644
"""Rights of a file that is written: its owner writes, everybody reads."""
TEMPORARY_PREFIX = ".ppo-partial-"
"""Of files that are being written; one that is left after a kill may be removed."""


@contextmanager
def disk_errors(path: Path, elsewhere: str = "") -> Iterator[None]:
    """Turns a full disk, a missing permission or a file where a folder should be into one sentence.

    Args:
        path: that is written.
        elsewhere: the next step where it may not be written: how this command writes to another place.
    """
    other_place = elsewhere or "Change its permissions, or work on a copy in a folder that you may write."
    try:
        yield
    except NoPermissionError as error:
        if not elsewhere:
            raise
        raise NoPermissionError(error.message, elsewhere) from error
    except OSError as error:
        if error.errno in DISK_FULL_ERRORS:
            raise DiskFullError(
                f"No space is left on the disk of {path}.",
                "Free some space, then run the command again.",
            ) from error
        if error.errno in PERMISSION_ERRORS:
            raise NoPermissionError(f"No permission to write {path}.", other_place) from error
        if error.errno in PATH_ERRORS:
            why = os.strerror(error.errno).lower()
            next_step = elsewhere or "Choose another place for it."
            raise NoPermissionError(f"{path} cannot be written: {why}.", next_step) from error
        raise


def may_write(folder: Path) -> bool:
    """Whether a folder, or the nearest one above it that exists, may be written."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return os.access(existing, os.W_OK | os.X_OK)


def make_runs_folder(folder: Path) -> None:
    """Makes the folder of the run folders, with a .gitignore that keeps runs out of a repository.

    A folder that is there stays as it is.
    """
    if folder.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="utf-8") as file:
        file.write("*\n")


def require_no_link(*paths: Path) -> None:
    """Checks that none of these paths is a link: what a run writes stays inside the run.

    Raises:
        UsageError: one is.
    """
    for path in paths:
        if path.is_symlink():
            raise UsageError(
                f"{path} is a link, and the folders and files of a run are never written through links.",
                f"Put what it points to in its place: {path.resolve()}.",
            )


def remove_partial_files(folder: Path) -> None:
    """Removes the files below a folder whose writing a kill cut off; no link is followed."""
    for parent, _, names in os.walk(folder, followlinks=False):
        for name in names:
            if name.startswith(TEMPORARY_PREFIX):
                (Path(parent) / name).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a small file so that a reader sees the old one or the new one, never a part."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a small file so that a reader sees the old one or the new one, never a part."""
    with disk_errors(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY_PREFIX}{path.name[:100]}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(READABLE)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def make_readable(folder: Path) -> None:
    """Gives weights below a folder the rights of its other files: safetensors writes them for their owner alone."""
    for path in folder.rglob("*.safetensors"):
        path.chmod(READABLE)


def write_json(path: Path, value: object) -> None:
    """Writes JSON that people read: indented, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object that this tool wrote.

    Raises:
        IntegrityError: the file is missing, cut off or not an object.
    """
    content = _read(path)
    try:
        value = json_value(content)
    except ValueError:
        raise IntegrityError(f"{path} is damaged.", "Restore it from a backup, or repeat the run.") from None
    if not isinstance(value, dict):
        raise IntegrityError(f"{path} is damaged.", "Restore it from a backup, or repeat the run.")
    return value


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON Lines atomically: all rows or none."""
    write_text(path, _as_lines(rows))


def append_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Appends JSON Lines in one write and flushes them to the disk."""
    with disk_errors(path), path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(_as_lines(rows))
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads JSON Lines; a last line that a crash cut off is left out.

    Raises:
        IntegrityError: the file is missing, or a line before the last is damaged.
    """
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_whole_lines(path), start=1):
        try:
            row = json_value(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise IntegrityError(f"{path}, line {number} is damaged.", "Restore it from a backup.")
        rows.append(row)
    return rows


def truncate_lines(path: Path, wanted: int) -> None:
    """Cuts a JSON Lines file down to its first `wanted` lines, atomically.

    Raises:
        IntegrityError: it has fewer.
    """
    lines = _whole_lines(path) if path.exists() else []
    if len(lines) < wanted:
        raise IntegrityError(f"{path} has {len(lines)} of {wanted} lines.", "Restore it, or start anew with --repeat.")
    if path.exists():
        write_bytes(path, b"".join(line + b"\n" for line in lines[:wanted]))


def _as_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def _whole_lines(path: Path) -> list[bytes]:
    """The lines with an end; bytes, since a crash may cut a character in two."""
    return _read(path).split(b"\n")[:-1]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing.", "The run folder is incomplete; use another.") from None
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None


def sync_folder(folder: Path) -> None:
    """Flushes this folder to the disk, so that a rename in it survives a power cut; Windows cannot be asked to."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
