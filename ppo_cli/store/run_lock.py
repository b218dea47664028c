"""File locks: held by the process that works on a run or samples an evaluation, released by the system when it exits.

A process id alone would not do: ids are given out again, and those of another machine cannot be checked. On a file
system without locks nothing is written, since two processes could write the same files.

Not here: whether another process has one (`file_locks`), what a run's status is (`runs`).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ppo_cli.errors import UsageError, reason_of


class RunLock:
    """A folder held by this process until it is released or the process ends."""

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        """Takes the lock.

        Args:
            path: the lock's file; made if it is not there.
            wait: until the process that has it gives it back.

        Raises:
            BlockingIOError: another process has it, and `wait` is false.
            UsageError: the file system has no locks.
            OSError: the file cannot be made.
        """
        self._path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o644))
        self._lock = FileLock(path, thread_local=False, fallback_to_soft=False)
        try:
            self._lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            raise BlockingIOError(f"{path} is locked by another process") from None
        except OSError as error:
            raise UsageError(
                f"{path.parent} cannot be locked against a second process: {reason_of(error)}.",
                "Choose a folder on a local disk with --runs-dir DIR, or mount this file system with locks (flock).",
            ) from error

    def release(self) -> None:
        """Gives the lock back; harmless if it was given back before."""
        self._lock.release()

    def remove(self) -> None:
        """Removes the file and gives the lock back; another process that waits for it makes the file anew."""
        if sys.platform == "win32":  # which removes no file that is open, and whose lock removes its own
            self.release()
            with suppress(PermissionError):  # another process has it by now
                self._path.unlink(missing_ok=True)
            return
        self._path.unlink(missing_ok=True)
        self.release()
